/** The systemd unit of the gateway: whatever stands in paths and variables arrives as it is. Pure. */

import { gatewayArguments, RESTART_PAUSE_SECONDS, type ServiceSpec, STOP_SECONDS } from "./definition.ts";

/** More starts than this within the time, and systemd gives up. */
const START_LIMIT = 5;
const START_LIMIT_SECONDS = 60;

/** systemd refuses to run a file with one of these in its path (252), in quotes or not. */
const REFUSED_IN_PROGRAM = /["'\\]/;
/** Replaced by the program whose path it is given. */
const BY_SHELL = `/bin/sh -c ${argument('exec "$0" "$@"')}`;

/** @returns the file's content. @see systemd.service(5), systemd.syntax(7), systemd.exec(5) */
export function unitFile(spec: ServiceSpec): string {
  const { command, env, log } = spec;
  const program = REFUSED_IN_PROGRAM.test(command) ? `${BY_SHELL} ${argument(command)}` : quoted(command);
  const variables = Object.entries(env).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`);
  return [
    "[Unit]",
    "Description=dev-sessions gateway",
    `StartLimitIntervalSec=${START_LIMIT_SECONDS}`,
    `StartLimitBurst=${START_LIMIT}`,
    "",
    "[Service]",
    `ExecStart=${program} ${gatewayArguments(spec).map(argument).join(" ")}`,
    ...variables,
    "# The sessions' tmux and app-servers belong to the users of the gateway, and outlive it.",
    "KillMode=process",
    `TimeoutStopSec=${STOP_SECONDS}`,
    "Restart=on-failure",
    `RestartSec=${RESTART_PAUSE_SECONDS}`,
    `StandardOutput=append:${specifiersKept(log)}`,
    `StandardError=append:${specifiersKept(log)}`,
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
}

/** An argument of a command line, where `$` names a variable. Only the program itself is taken without that. */
function argument(text: string): string {
  return quoted(text).replaceAll("$", "$$$$");
}

function quoted(text: string): string {
  return `"${specifiersKept(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function specifiersKept(text: string): string {
  return text.replaceAll("%", "%%");
}

/**
 * Splits a line at its spaces as systemd does, but for `%` and `$`, which stay. Pure.
 *
 * @see systemd.syntax(7)
 */
export function wordsOf(line: string): string[] {
  const words = line.matchAll(/(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'\\])+/gs);
  return [...words].map(([word]) =>
    word.replaceAll(
      /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\\.)/gs,
      (_, double, single, escaped) => (double ?? single ?? escaped).replaceAll(/\\(.)/gs, "$1"),
    )
  );
}
