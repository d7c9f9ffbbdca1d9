/** `help`: what the command can do, and what its exit codes mean. */

import { type ErrorCode, EXIT_CODES, WORST_FIRST } from "../errors.ts";

const MEANINGS: Readonly<Record<ErrorCode, readonly [meaning: string, then: string]>> = {
  failure: ["failure not listed below", "read stderr"],
  usage: ["usage", "fix the call"],
  not_found: ["no such session", "list the sessions"],
  not_delivered: ["not delivered, nothing was typed", "may send again"],
  waiting_for_input: ["the session waits for input (also what send answers then)", "respond"],
  turn_failed: ["the turn failed or was interrupted", "read the error"],
  agent_gone: ["the agent is gone", "resume it"],
  refused: ["refused by gateway, policy or limit", "read stderr, ask its owner"],
  unproven: ["unproven: it may have been delivered", "look (status --explain), do not send again"],
  timed_out: ["timed out (the agent goes on)", "wait again"],
  interrupted: ["interrupted", "wait again"],
  transport: ["transport to host or gateway failed", "try again"],
};

/** The table of `dev-sessions help exit-codes`. */
export function exitCodesHelp(): string {
  const rows = (Object.keys(EXIT_CODES) as ErrorCode[])
    .map((code) => ({ code: EXIT_CODES[code], meaning: MEANINGS[code][0], then: MEANINGS[code][1] }))
    .sort((a, b) => a.code - b.code);
  const all = [
    { code: 0, meaning: "done; for send: the agent's own record has the message", then: "go on" },
    ...rows,
  ];
  const width = Math.max(...all.map(({ meaning }) => meaning.length));
  const lines = all.map(({ code, meaning, then }) =>
    `${String(code).padStart(4)}  ${meaning.padEnd(width)}  ${then}`
  );
  return [
    "Exit codes, their meaning and what a script does then:",
    "",
    ...lines,
    "",
    `For several sessions the worst counts, in this order: ${WORST_FIRST.join(", ")}.`,
  ]
    .join("\n");
}

/** Commands that begin with the same words. */
export function commandsBelow(
  verbs: readonly { readonly name: string; readonly brief: string }[],
): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  return ["Commands:", ...verbs.map(({ name, brief }) => `  dev-sessions ${name.padEnd(width)}  ${brief}`)]
    .join("\n");
}

/** The page of `dev-sessions help`. */
export function rootHelp(verbs: readonly { readonly name: string; readonly brief: string }[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const lines = verbs.map(({ name, brief }) => `  ${name.padEnd(width)}  ${brief}`);
  return `Start coding agents, hand them work, wait for them and read their replies.

Usage: dev-sessions <command> [options]

Commands:
${lines.join("\n")}
  ${"help".padEnd(width)}  Explain a command, or: help exit-codes

Options:
  -h, --help     Print help; after a command, the help of that command
  -V, --version  Print the version; with --json also the versions of all that it works with

Examples:
  # Start an agent here, give it work, read its reply
  id=$(dev-sessions create -q -d "login form")
  dev-sessions send "$id" "Add a login form. Run the tests."
  dev-sessions wait "$id" && dev-sessions last-message "$id"`;
}
