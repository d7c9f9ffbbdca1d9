/** `send`: returns at the receipt, and calls a message delivered only when the agent's own record has it. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { SendMode } from "../session.ts";
import { deliver, type MessageOptions, type SendOptions, sendResult } from "./deliver.ts";
import { messageSource } from "./message.ts";
import type { Result } from "./output.ts";
import { anyText, callingSession, key, nonEmpty, target } from "./parsers.ts";
import { RENDER_FLAGS, type RenderFlags, renderRequest } from "./render_flags.ts";
import type { GroupTarget } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const SEND_MODES: readonly SendMode[] = ["queue", "steer", "interrupt"];

interface ModeFlags {
  readonly queue: boolean;
  readonly steer: boolean;
  readonly interrupt: boolean;
}

interface Flags extends ModeFlags, RenderFlags {
  readonly file: string | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
}

/** @throws AppError (usage) unless exactly one of message and file is given, and at most one mode. */
export function messageOptions(
  flags: Pick<Flags, "file" | "key" | keyof ModeFlags | keyof RenderFlags>,
  message: string | undefined,
  env: ParseContext["env"],
): MessageOptions {
  return {
    source: messageSource(message, flags.file),
    render: renderRequest(flags),
    key: flags.key ?? null,
    sender: callingSession(env),
    mode: sendMode(flags),
  };
}

function sendMode(flags: ModeFlags): SendMode {
  const modes = SEND_MODES.filter((mode) => flags[mode]);
  if (modes.length > 1) {
    throw usageError(`Use only one of ${SEND_MODES.map((mode) => `--${mode}`).join(", ")}`);
  }
  return modes[0] ?? "queue";
}

export async function run(options: SendOptions, context: CliContext): Promise<Result> {
  return sendResult(await deliver(options, context));
}

async function* runGroup(
  target: GroupTarget,
  options: MessageOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const { sendToGroup } = await import("./send_group.ts");
  yield* sendToGroup(target, options, context);
}

/** Shared with `ask`. */
export const MESSAGE_FLAGS = {
  file: {
    kind: "parsed",
    parse: nonEmpty("--file"),
    optional: true,
    brief: "Read the message from a file (- is stdin)",
    placeholder: "path",
  },
  key: {
    kind: "parsed",
    parse: key,
    optional: true,
    brief: "Repeat with the same key: sent only once",
    placeholder: "key",
  },
  queue: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "While it works: behind the running turn (the default)",
  },
  steer: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "While it works: into the running turn where possible",
  },
  interrupt: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "While it works: stop the running turn first",
  },
  ...RENDER_FLAGS,
} as const;

export const command = buildCommand<Flags, [Target, string?], ParseContext>({
  docs: {
    brief: "Send a message to an agent",
    fullDescription:
      `Send a message to an agent and return when its own record has it (not at the end of its turn).
@group sends it to each live session of a group, but never to the one that runs the command, and prints
"id<TAB>result" per session as it is known: submitted or queued, else why not. What fails for one does not
stop the others; the worst of them makes the exit code. With --json, one JSON object per line. Repeated with
the same --key, it is sent only to those that did not get it.

Examples:
  dev-sessions send fizz-top "Run the tests and fix what fails"

  # From a file, or from another command
  dev-sessions send fizz-top -f brief.md
  git diff | dev-sessions send fizz-top -f -

  # Stop what it does, then send; nothing is sent unless it has stopped
  dev-sessions send fizz-top --interrupt "Stop. Do the login form first"

  # Into the running turn, at its next step
  dev-sessions send fizz-top --steer "Leave the tests alone"
  # To a group; again for those that refused it
  dev-sessions send @api --key rebase "Rebase onto main and run the tests"
  # From a template with a place for a value
  dev-sessions send fizz-top --render --var issue=42 "Fix issue {{var.issue}} on {{git.branch}}."

  # A message that starts with a dash
  dev-sessions send fizz-top -- "--help does not work"`,
  },
  parameters: {
    flags: {
      ...MESSAGE_FLAGS,
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print the receipt as JSON" },
    },
    aliases: { f: "file" },
    positional: {
      kind: "tuple",
      parameters: [
        { parse: target, brief: "Session or @group", placeholder: "id" },
        { parse: anyText, optional: true, brief: "What to send", placeholder: "message" },
      ],
    },
  },
  func(flags, target, message) {
    const options = messageOptions(flags, message, this.env);
    this.accept({
      json: flags.json,
      long: true,
      run: (context) =>
        target.kind === "session"
          ? run({ id: target.id, ...options }, context)
          : runGroup(target, options, context),
    });
  },
});
