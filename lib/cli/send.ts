/** `send`: returns at the receipt, and calls a message delivered only when the agent's own record has it. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { RenderRequest, SendOutcome } from "../service.ts";
import type { SessionId } from "../session.ts";
import { type MessageSource, messageSource, readMessage } from "./message.ts";
import type { Result } from "./output.ts";
import { anyText, callingSession, key, nonEmpty, sessionId } from "./parsers.ts";
import { answerHint, optionLines, pendingPhrase } from "./pending.ts";
import { RENDER_FLAGS, type RenderFlags, renderRequest } from "./render_flags.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags extends RenderFlags {
  readonly file: string | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
}

export interface SendOptions {
  readonly id: SessionId;
  readonly source: MessageSource;
  /** Null: sent as it is. */
  readonly render: RenderRequest | null;
  readonly key: string | null;
  readonly sender: SessionId | null;
}

/** @throws AppError (usage) unless exactly one of message and file is given. */
export function sendOptions(
  flags: Pick<Flags, "file" | "key" | keyof RenderFlags>,
  id: SessionId,
  message: string | undefined,
  env: ParseContext["env"],
): SendOptions {
  return {
    id,
    source: messageSource(message, flags.file),
    render: renderRequest(flags),
    key: flags.key ?? null,
    sender: callingSession(env),
  };
}

export async function run(options: SendOptions, context: CliContext): Promise<Result> {
  return sendResult(await deliver(options, context));
}

/** Reads the message, then sends it. */
export async function deliver(options: SendOptions, context: CliContext): Promise<SendOutcome> {
  const text = await readMessage(options.source, context.deps);
  const service = await context.service();
  return await service.send(
    { id: options.id, text, render: options.render, key: options.key, sender: options.sender },
    context.signal,
  );
}

export function sendResult({ id, receipt, repeated }: SendOutcome): Result {
  const { result, reason, evidence } = receipt;
  const failure = sendFailure({ id, receipt, repeated });
  const text = failure ? null : result === "queued" ? `Queued message for ${id}` : `Sent message to ${id}`;
  return { text, json: { id, result, receipt: receipt.receipt, reason, evidence, repeated }, failure };
}

/** Null when the agent's own record has the message. */
export function sendFailure({ id, receipt }: SendOutcome): AppError | null {
  const cannot = `Cannot send to "${id}":`;
  const reason = (receipt.reason ?? "no reason is known").replace(/\.$/, "");
  switch (receipt.result) {
    case "submitted":
    case "queued":
      return null;
    case "refused": {
      const { pending } = receipt;
      if (pending === null) {
        return new AppError("not_delivered", `${cannot} ${reason}. Nothing was delivered`);
      }
      const message = `${cannot} it waits for ${pendingPhrase(pending)}. ${answerHint(id)}`;
      return new AppError("waiting_for_input", message, optionLines(pending));
    }
    case "typed_not_submitted":
      return new AppError(
        "unproven",
        `${cannot} the text stands in its input box, but was not accepted: ${reason}. ` +
          `Look before you send again: dev-sessions attach ${id}`,
      );
    case "indeterminate":
      return new AppError(
        "unproven",
        `${cannot} it may have been delivered, but nothing proves it: ${reason}. ` +
          `Look before you send again: dev-sessions status ${id} --explain`,
      );
  }
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
  ...RENDER_FLAGS,
} as const;

export const command = buildCommand<Flags, [SessionId, string?], ParseContext>({
  docs: {
    brief: "Send a message to an agent",
    fullDescription:
      `Send a message to an agent and return when its own record has it (not at the end of its turn).

Examples:
  dev-sessions send fizz-top "Run the tests and fix what fails"

  # From a file, or from another command
  dev-sessions send fizz-top -f brief.md
  git diff | dev-sessions send fizz-top -f -

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
        { parse: sessionId, brief: "Session", placeholder: "id" },
        { parse: anyText, optional: true, brief: "What to send", placeholder: "message" },
      ],
    },
  },
  func(flags, id, message) {
    const options = sendOptions(flags, id, message, this.env);
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
