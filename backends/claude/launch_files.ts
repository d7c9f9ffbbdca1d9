/** The texts of a session's folder: hook script, settings and the launcher that removes itself. Pure. */

import { PANE_NAMES } from "./environment.ts";

/** Known to 2.1.197 and later; a name the installed version does not know opens a dialog at start. */
export const HOOK_EVENTS = [
  "SessionStart",
  "UserPromptSubmit",
  "PermissionRequest",
  "Stop",
  "StopFailure",
  "SessionEnd",
] as const;

/** Of a hook that writes one small file; Claude ends a hook that takes longer and goes on. */
const HOOK_TIMEOUT_S = 30;

export interface SessionFolder {
  readonly root: string;
  readonly events: string;
  readonly hook: string;
  readonly settings: string;
  readonly launcher: string;
  readonly sendLock: string;
  /** Each holds the tmux commands of one delivery, under a name of its own; removed after it. */
  readonly deliveries: string;
  /** What the screen showed when the agent was found dead. */
  readonly lastScreen: string;
}

export function sessionFolder(root: string): SessionFolder {
  return {
    root,
    events: `${root}/events`,
    hook: `${root}/hook.sh`,
    settings: `${root}/settings.json`,
    launcher: `${root}/launch.sh`,
    sendLock: `${root}/send.lock`,
    deliveries: `${root}/deliveries`,
    lastScreen: `${root}/last-screen.txt`,
  };
}

/** Bash, as `sh` of macOS and many Linux systems, refuses to set these and ends; it exports its own values. */
const READ_ONLY_IN_BASH: ReadonlySet<string> = new Set([
  "BASHOPTS",
  "BASH_VERSINFO",
  "EUID",
  "PPID",
  "SHELLOPTS",
  "UID",
]);

/** Quotes for POSIX sh. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Writes the event on stdin to a file of its own, complete before it is visible, named by its time in nanoseconds.
 * Always exits 0 and says nothing, since a hook's exit code and output steer Claude.
 */
export function hookScript(eventsFolder: string): string {
  return `#!/bin/sh
# Records one event of this session; see https://code.claude.com/docs/en/hooks
umask 077
cd ${shellQuote(eventsFolder)} 2>/dev/null || { cat >/dev/null 2>&1; exit 0; }
now=$(date +%s%N 2>/dev/null)
case $now in *[!0-9]*) now= ;; esac
if [ \${#now} -ne 19 ]; then
  now=$(perl -MTime::HiRes=time -e 'printf "%.0f", time * 1e9' 2>/dev/null) || now=$(date +%s)000000000
fi
part=".$now-$$.part"
if cat 2>/dev/null >"$part"; then mv -f "$part" "$now-$$.$1.json"; else cat >/dev/null; rm -f "$part"; fi 2>/dev/null
exit 0
`;
}

/** Merged by Claude with the user's own settings and hooks. */
export function settingsJson(hookPath: string, mode: "yolo" | "native"): string {
  const hooks = Object.fromEntries(
    HOOK_EVENTS.map((event) => [event, [{
      hooks: [{
        type: "command",
        command: `/bin/sh ${shellQuote(hookPath)} ${event}`,
        timeout: HOOK_TIMEOUT_S,
      }],
    }]]),
  );
  return JSON.stringify({
    ...(mode === "yolo" ? { skipDangerousModePermissionPrompt: true } : {}),
    hooks,
  });
}

/**
 * tmux gives a pane the environment of its server, so the launcher starts over with an empty one, removes itself
 * (it holds the caller's environment, secrets included) and becomes the agent. Nothing secret is an argument.
 */
export function launcherScript(spec: {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly command: readonly string[];
}): string {
  const pane = PANE_NAMES.map((name) => `\${${name}+"${name}=$${name}"}`).join(" ");
  const exports = Object.entries(spec.env).map(([name, value]) => exportLine(name, shellQuote(value)));
  return `#!/bin/sh
if [ "\${1-}" != clean ]; then exec /usr/bin/env -i ${pane} /bin/sh "$0" clean; fi
rm -f -- "$0"
${exports.join("\n")}
cd -- ${shellQuote(spec.cwd)} || exit 97
exec ${spec.command.map(shellQuote).join(" ")}
`;
}

function exportLine(name: string, quoted: string): string {
  if (!READ_ONLY_IN_BASH.has(name)) return `export ${name}=${quoted}`;
  return `if (${name}=${quoted}) 2>/dev/null; then export ${name}=${quoted}; else export ${name}; fi`;
}

/**
 * The agent's command line. Claude refuses a session id that is no UUID or has a transcript already, and to resume one
 * that has none.
 */
export function claudeArguments(spec: {
  readonly binary: string;
  readonly sessionId: string;
  /** Goes on with the conversation of that id instead of beginning it. */
  readonly resume?: boolean;
  readonly settings: string;
  readonly mode: "yolo" | "native";
  readonly model: string | null;
  readonly agentArgs: readonly string[];
}): string[] {
  return [
    spec.binary,
    spec.resume ? "--resume" : "--session-id",
    spec.sessionId,
    "--settings",
    spec.settings,
    // Claude's own default is auto mode, which asks a dialog of its own on the first tool.
    ...(spec.mode === "yolo" ? ["--dangerously-skip-permissions"] : ["--permission-mode", "default"]),
    ...(spec.model === null ? [] : ["--model", spec.model]),
    ...spec.agentArgs,
  ];
}
