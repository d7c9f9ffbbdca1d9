/**
 * What is given to ssh: options, and a command line for whatever login shell the user has over there. Messages and
 * other texts of users are never in it. Pure.
 */

import { AppError } from "../../lib/errors.ts";
import { isSshHost } from "../../lib/ssh_host.ts";

export const USUAL_REMOTE_BIN = "dev-sessions";

const UTF8 = 'case "$LC_ALL$LC_CTYPE$LANG" in "") LC_CTYPE=C.UTF-8; export LC_CTYPE ;; esac';
/** Login shells that take `-l` together with `-c`. */
const LOGIN_SHELLS = "bash|zsh|fish|ksh|mksh|dash|ash|sh";
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x1f\x7f-\x9f]/;

export interface Destination {
  readonly host: string;
  /** As a shell reads it, so that it may hold arguments; null: the usual one. */
  readonly remoteBin: string | null;
}

/** What is to run there: the wire, or a session's terminal. */
export type RemoteTask =
  | { readonly kind: "rpc" }
  /** `utf8`: what this terminal shows; ssh may not say so there. */
  | { readonly kind: "attach"; readonly id: string; readonly utf8: boolean };

/** @throws AppError (usage) for what ssh would not take for a host. */
export function checkHost(host: string): string {
  if (isSshHost(host)) return host;
  throw new AppError(
    "usage",
    `Invalid SSH host: ${host}`,
    "Give a name as ssh takes it: box, me@box.example",
  );
}

/** @throws AppError (usage) */
export function checkRemoteBin(bin: string): string {
  if (bin.trim() !== "" && !CONTROLS.test(bin)) return bin.trim();
  throw new AppError(
    "usage",
    "DEV_SESSIONS_REMOTE_BIN must be one line with the command that starts dev-sessions",
  );
}

/** From `DEV_SESSIONS_REMOTE_BIN`; null: the usual one. @throws AppError (usage) */
export function usualRemoteBin(env: Readonly<Record<string, string>>): string | null {
  const bin = env["DEV_SESSIONS_REMOTE_BIN"] ?? "";
  return bin === "" ? null : checkRemoteBin(bin);
}

/** @param controlPath null: a connection of its own. */
export function sshArguments(
  destination: Destination,
  task: RemoteTask,
  controlPath: string | null,
): string[] {
  const shared = controlPath === null
    ? ["ControlMaster=no", "ControlPath=none"]
    : ["ControlMaster=auto", "ControlPersist=60s", `ControlPath=${optionValue(controlPath)}`];
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=accept-new",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ConnectTimeout=10",
    // What the user's configuration has for logins of his own: their ports would be taken by a connection that stays.
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
    ...shared,
  ];
  return [
    task.kind === "attach" ? "-t" : "-T",
    ...options.flatMap((option) => ["-o", option]),
    "--",
    checkHost(destination.host),
    remoteCommandLine(destination.remoteBin ?? USUAL_REMOTE_BIN, task),
  ];
}

/**
 * One line that means the same to every shell that sshd may give it to. It ends as `<bin> <task>` with the PATH of a
 * login, whose profile may print whatever it likes.
 */
export function remoteCommandLine(bin: string, task: RemoteTask): string {
  const verb = task.kind === "rpc" ? "rpc" : `attach ${checkedId(task.id)}`;
  // The last word on PATH is where install.sh puts it, for logins that do not know of it.
  const locale = task.kind === "attach" && task.utf8 ? `${UTF8}; ` : "";
  const start = `${locale}PATH=$PATH:$HOME/.local/bin; export PATH; exec ${bin} ${verb}`;
  const login = `exec sh -c ${quote(start)}`;
  const choose = [
    "s=${SHELL:-/bin/sh}",
    `case \${s##*/} in ${LOGIN_SHELLS}) ;; *) s=/bin/sh ;; esac`,
    `exec "$s" -l -c ${quote(login)}`,
  ].join("; ");
  return `exec sh -c ${quote(choose)}`;
}

/**
 * A word for every shell: POSIX shells, fish (where a backslash before a quote or another backslash means something
 * between single quotes, too) and csh.
 */
export function quote(text: string): string {
  return `'${text.replace(/['\\]/g, (one) => one === "'" ? `'"'"'` : `'"\\\\"'`)}'`;
}

/** ssh splits what follows `-o` at white space, and replaces `%` and `${}` in it. */
function optionValue(path: string): string {
  return /\s/.test(path) ? `"${path}"` : path;
}

/** It has been checked where it came from; here it becomes part of a command line. */
function checkedId(id: string): string {
  if (/^[a-z0-9-]+$/.test(id)) return id;
  throw new AppError("usage", `Invalid session id: ${JSON.stringify(id)}`);
}
