/** `ask @group`: each session of a group gets the message, and each reply is printed as it comes, whatever others do. */

import type { AppError } from "../errors.ts";
import type { SessionId } from "../session.ts";
import { asCompleted } from "../parallel.ts";
import { asFailure, assertNoneLeft, begunOnEach } from "./act_on_each.ts";
import { deliver, sendResult } from "./deliver.ts";
import { readMessage } from "./message.ts";
import { note, type Result } from "./output.ts";
import { type AskMessageOptions, reply } from "./reply.ts";
import { type GroupTarget, heading } from "./targets.ts";
import type { CliContext } from "./verb.ts";

/** Every wait is begun, so that each one that is interrupted says how to take it up. */
const NEVER = new AbortController().signal;

interface Sent {
  readonly id: SessionId;
  readonly receipt: string;
}

export async function* askGroup(
  target: GroupTarget,
  options: AskMessageOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const source = { kind: "argument", text: await readMessage(options.source, context) } as const;
  const asked: Sent[] = [];
  const send = async (id: SessionId): Promise<Result> => {
    const sent = await deliver({ ...options, source, id }, context);
    const result = sendResult(sent);
    if (result.failure !== null) return result;
    const { receipt } = sent.receipt;
    asked.push({ id, receipt });
    return note(`${id} receipt ${receipt}`);
  };
  const failed = (_: SessionId, failure: AppError): Result => ({ failure });
  const left = yield* begunOnEach(target, "send", options.sender, context, send, failed);

  const wait = async ({ id, receipt }: Sent): Promise<Result> => {
    try {
      const result = await reply(id, receipt, options.timeoutMs, context);
      const text = result.text === null || result.text === undefined
        ? null
        : `${heading(id)}\n${result.text}`;
      return { ...result, text, layout: "compact" };
    } catch (error) {
      return { failure: asFailure(`Cannot wait for "${id}"`, error) };
    }
  };
  let first = true;
  for await (const result of asCompleted(asked, asked.length, wait, NEVER)) {
    yield first || !result.text ? result : { ...result, text: `\n${result.text}` };
    first &&= !result.text;
  }
  assertNoneLeft(left, "sent");
}
