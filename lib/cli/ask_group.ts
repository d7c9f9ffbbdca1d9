/** `ask @group`: each session of a group gets the message, and each reply is printed as it comes, whatever others do. */

import type { SessionId } from "../session.ts";
import { asCompleted } from "../parallel.ts";
import { type AskMessageOptions, reply } from "./ask.ts";
import { readMessage } from "./message.ts";
import { note, type Result } from "./output.ts";
import { deliver, sendResult } from "./send.ts";
import { asFailure, assertNoneLeft, AT_ONCE } from "./send_group.ts";
import { type GroupTarget, heading, sessionsOf } from "./targets.ts";
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
  const source = { kind: "argument", text: await readMessage(options.source, context.deps) } as const;
  const { ids, notes } = await sessionsOf([target], "send", options.sender, context);
  yield note(...notes);
  const left = new Set(ids);
  const asked: Sent[] = [];
  const send = async (id: SessionId): Promise<Result> => {
    left.delete(id);
    try {
      const sent = await deliver({ ...options, source, id }, context);
      const result = sendResult(sent);
      if (result.failure !== null) return { ...result, layout: "compact" };
      const { receipt } = sent.receipt;
      asked.push({ id, receipt });
      return note(`${id} receipt ${receipt}`);
    } catch (error) {
      return { failure: asFailure(`Cannot send to "${id}"`, error) };
    }
  };
  yield* asCompleted(ids, AT_ONCE, send, context.signal);

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
  assertNoneLeft(left);
}
