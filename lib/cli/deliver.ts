/** Sends one message, and tells what its receipt proves. */

import { AppError } from "../errors.ts";
import type { RenderRequest, SendOutcome } from "../service.ts";
import type { SendMode, SessionId } from "../session.ts";
import { type MessageSource, readMessage } from "./message.ts";
import type { Result } from "./output.ts";
import { answerHint, optionLines, pendingPhrase } from "./pending.ts";
import type { CliContext } from "./verb.ts";

/** What is to be sent, to whomever. */
export interface MessageOptions {
  readonly source: MessageSource;
  /** Null: sent as it is. */
  readonly render: RenderRequest | null;
  readonly key: string | null;
  readonly sender: SessionId | null;
  readonly mode: SendMode;
}

export interface SendOptions extends MessageOptions {
  readonly id: SessionId;
}

/** Reads the message, then sends it. */
export async function deliver(options: SendOptions, context: CliContext): Promise<SendOutcome> {
  const text = await readMessage(options.source, context);
  const service = await context.service();
  const { id, render, key, sender, mode } = options;
  return await service.send(
    { id, text, render, key, sender, ...(mode === "queue" ? {} : { mode }) },
    context.signal,
  );
}

export function sendResult({ id, receipt, repeated }: SendOutcome) {
  const { result, reason, evidence } = receipt;
  const failure = sendFailure({ id, receipt, repeated });
  const text = failure ? null : result === "queued" ? `Queued message for ${id}` : `Sent message to ${id}`;
  const json = { id, result, receipt: receipt.receipt, reason, evidence, repeated };
  return { text, json, notes: sendNotes({ id, receipt, repeated }), failure } satisfies Result;
}

/** What is to be said of a delivery that succeeded, for stderr. */
export function sendNotes({ id, receipt }: SendOutcome): string[] {
  const delivered = receipt.result === "submitted" || receipt.result === "queued";
  return delivered && receipt.reason !== null ? [`${id}: ${receipt.reason}`] : [];
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
      const message = `${cannot} it waits for ${pendingPhrase(pending)}. ${answerHint(id, pending)}`;
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
