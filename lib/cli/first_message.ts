/** The first message of a session that is being created: understood before, sent after, as any other message. */

import { AppError } from "../errors.ts";
import type { CreateRequest, RenderRequest, SessionService } from "../service.ts";
import type { SessionId } from "../session.ts";
import { sendResult } from "./deliver.ts";
import { type MessageSource, messageSource, readMessage } from "./message.ts";
import type { Result } from "./output.ts";
import { type RenderFlags, renderRequest } from "./render_flags.ts";
import { type CliContext, usageError } from "./verb.ts";

export interface FirstMessage {
  readonly source: MessageSource;
  readonly render: RenderRequest | null;
}

interface Flags extends RenderFlags {
  readonly message: string | undefined;
  readonly file: string | undefined;
}

/** Null when there is none. @throws AppError (usage) */
export function firstMessage(flags: Flags): FirstMessage | null {
  const render = renderRequest(flags);
  if (flags.message === undefined && flags.file === undefined) {
    if (render !== null) throw usageError("--render belongs to --message and --file");
    return null;
  }
  if (flags.message !== undefined && flags.file !== undefined) {
    throw usageError("Provide either --message or --file, not both");
  }
  return { source: messageSource(flags.message, flags.file), render };
}

/** @throws AppError (usage) for what can't be sent, and for a template that can't be filled. */
export async function readFirst(
  { source, render }: FirstMessage,
  { group, parent }: CreateRequest,
  context: Pick<CliContext, "deps" | "signal">,
): Promise<string> {
  const text = await readMessage(source, context);
  if (render === null) return text;
  const { checkTemplate } = await import("../render.ts");
  const used = checkTemplate(text, render.vars);
  for (const [name, value] of [["session.group", group], ["parent.id", parent]] as const) {
    if (value === null && used.includes(name)) {
      throw usageError(`Cannot render the message: {{${name}}} has no value here`);
    }
  }
  return text;
}

/** With the key of the `create`, a repeated one sends it only if it was not sent yet. */
export async function sendFirst(
  id: SessionId,
  text: string,
  { render }: FirstMessage,
  { key, parent }: CreateRequest,
  service: SessionService,
  signal: AbortSignal,
): Promise<Result> {
  try {
    const request = { id, text, render, key: key === null ? null : firstMessageKey(key), sender: parent };
    const result = sendResult(await service.send(request, signal));
    return { ...result, failure: result.failure ? withSession(result.failure, id) : null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { failure: withSession(error, id) };
  }
}

/** No other message's. */
function firstMessageKey(key: string): string {
  return `first message of create ${key}`;
}

function withSession(error: AppError, id: SessionId): AppError {
  const stays = `The session ${id} was created and stays`;
  return new AppError(
    error.code,
    error.message,
    [error.detail, stays].filter((part) => part !== null).join("\n"),
  );
}
