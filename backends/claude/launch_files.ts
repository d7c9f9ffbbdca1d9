/** The texts of a session's folder: hook script, settings and the launcher that removes itself. */

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

/** Of the hook that waits for an answer: 20 days. Claude's timer counts milliseconds in 31 bits, i.e. 24.8 days. */
const ANSWER_TIMEOUT_S = 1_728_000;

export interface SessionFolder {
  readonly root: string;
  readonly events: string;
  /** A FIFO for each permission request whose hook waits for an answer. */
  readonly requests: string;
  readonly answers: string;
  /** Of an agent in a container: hook and settings, which it can only read ... */
  readonly contained: string;
  /** ... and its live registry. */
  readonly registry: string;
  readonly hook: string;
  readonly settings: string;
  readonly launcher: string;
  readonly sendLock: string;
  /** Each holds the tmux commands of one delivery, under a name of its own; removed after it. */
  readonly deliveries: string;
  /** When `interrupt` pressed Escape last, in milliseconds since the epoch. */
  readonly lastEscape: string;
  /** What was counted of its tokens so far. */
  readonly usage: string;
  /** What the screen showed when the agent was found dead. */
  readonly lastScreen: string;
}

export function sessionFolder(root: string): SessionFolder {
  return {
    root,
    events: `${root}/events`,
    requests: `${root}/requests`,
    answers: `${root}/answers`,
    contained: `${root}/contained`,
    registry: `${root}/registry`,
    hook: `${root}/hook.sh`,
    settings: `${root}/settings.json`,
    launcher: `${root}/launch.sh`,
    sendLock: `${root}/send.lock`,
    deliveries: `${root}/deliveries`,
    lastEscape: `${root}/last-escape`,
    usage: `${root}/usage.json`,
    lastScreen: `${root}/last-screen.txt`,
  };
}

/** Under the lock: what a killed sender has left here was not typed by now, and must not be typed any more. */
export function dropLeftCommands({ deliveries }: SessionFolder): void {
  try {
    Deno.removeSync(deliveries, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
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

/** Merged by Claude with the user's own settings and hooks. */
export function settingsJson(hookPath: string, mode: "yolo" | "native"): string {
  const hooks = Object.fromEntries(
    HOOK_EVENTS.map((event) => [event, [{
      hooks: [{
        type: "command",
        // Without a shell in between, which would keep Claude's signals to itself.
        command: `exec /bin/sh ${shellQuote(hookPath)} ${event}`,
        timeout: event === "PermissionRequest" ? ANSWER_TIMEOUT_S : HOOK_TIMEOUT_S,
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
