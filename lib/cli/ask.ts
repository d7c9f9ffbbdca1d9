/** `ask`: send, wait and print the reply; the receipt goes to stderr first, so that a killed `ask` can be taken up. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import { deliver, sendFailure, sendNotes, type SendOptions, sendResult } from "./deliver.ts";
import { note, type Result } from "./output.ts";
import { anyText, milliseconds, target } from "./parsers.ts";
import type { RenderFlags } from "./render_flags.ts";
import { type AskMessageOptions, reply } from "./reply.ts";
import { MESSAGE_FLAGS, messageOptions } from "./send.ts";
import type { GroupTarget } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const TIMEOUT_MS = 300_000;

interface Flags extends RenderFlags {
  readonly file: string | undefined;
  readonly timeout: number | undefined;
  readonly key: string | undefined;
  readonly queue: boolean;
  readonly steer: boolean;
  readonly interrupt: boolean;
  readonly json: boolean;
}

export interface AskOptions extends SendOptions {
  readonly timeoutMs: number;
}

/** @throws AppError (usage) for a session that asks itself, and for what `send` refuses. */
function askOptions(
  flags: Omit<Flags, "json">,
  target: Target,
  message: string | undefined,
  env: ParseContext["env"],
): AskMessageOptions {
  const options = messageOptions(flags, message, env);
  if (target.kind === "session" && target.id === options.sender) {
    throw usageError(`Cannot ask "${target.id}": it is the session that runs this command`);
  }
  return { ...options, timeoutMs: flags.timeout ?? TIMEOUT_MS };
}

export async function* run(options: AskOptions, context: CliContext): AsyncIterable<Result> {
  const sent = await deliver(options, context);
  const receipt = sent.receipt.receipt;
  if (sendFailure(sent) !== null) return yield sendResult(sent);
  yield note(`receipt ${receipt}`, ...sendNotes(sent));
  yield await reply(options.id, receipt, options.timeoutMs, context);
}

async function* runGroup(
  target: GroupTarget,
  options: AskMessageOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const { askGroup } = await import("./ask_group.ts");
  yield* askGroup(target, options, context);
}

export const command = buildCommand<Flags, [Target, string?], ParseContext>({
  docs: {
    brief: "Send a message, wait and print the reply",
    fullDescription: `Send a message, wait for the end of the turn and print the agent's last message.
@group asks each live session of a group, but never the one that runs the command, and prints each reply as it
comes, under a line "==> id <==". With --json, one JSON object per line.

Examples:
  dev-sessions ask fizz-top "Which port does the server listen on?"

  # All of a group
  dev-sessions ask @api "What is left to do?"

  # Give up after a minute (exit code 124); the agent goes on
  dev-sessions ask fizz-top -t 60 -f question.md`,
  },
  parameters: {
    flags: {
      ...MESSAGE_FLAGS,
      timeout: {
        kind: "parsed",
        parse: milliseconds("--timeout"),
        optional: true,
        brief: "Seconds to wait after it was sent (300)",
        placeholder: "s",
      },
      json: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print receipt, outcome and reply as JSON",
      },
    },
    aliases: { f: "file", t: "timeout" },
    positional: {
      kind: "tuple",
      parameters: [
        { parse: target, brief: "Session or @group", placeholder: "id" },
        { parse: anyText, optional: true, brief: "What to ask", placeholder: "message" },
      ],
    },
  },
  func(flags, target, message) {
    const options = askOptions(flags, target, message, this.env);
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
