/** `send @group`: one message to each session of a group; whatever happens with one, the others get it. */

import { AppError, messageOf } from "../errors.ts";
import type { SessionId } from "../session.ts";
import { asCompleted } from "../parallel.ts";
import { readMessage } from "./message.ts";
import { note, type Result } from "./output.ts";
import { deliver, type MessageOptions, sendResult } from "./send.ts";
import { type GroupTarget, sessionsOf } from "./targets.ts";
import type { CliContext } from "./verb.ts";

/** Each has a tmux call or two and an agent that reads: more of them do not make it faster. */
export const AT_ONCE = 8;

export async function* sendToGroup(
  target: GroupTarget,
  options: MessageOptions,
  context: CliContext,
): AsyncIterable<Result> {
  // Read once, whether it comes from a file or from stdin.
  const source = { kind: "argument", text: await readMessage(options.source, context.deps) } as const;
  const { ids, notes } = await sessionsOf([target], "send", options.sender, context);
  yield note(...notes);
  const left = new Set(ids);
  const send = async (id: SessionId): Promise<Result> => {
    left.delete(id);
    try {
      return line(id, sendResult(await deliver({ ...options, source, id }, context)));
    } catch (error) {
      return failed(id, error);
    }
  };
  yield* asCompleted(ids, AT_ONCE, send, context.signal);
  assertNoneLeft(left);
}

/** What went wrong with one session, so that the others go on. */
export function asFailure(cannot: string, error: unknown): AppError {
  return error instanceof AppError ? error : new AppError("failure", `${cannot}: ${messageOf(error)}`);
}

/** @throws AppError (interrupted) when there is one. */
export function assertNoneLeft(left: Iterable<SessionId>): void {
  const ids = [...left];
  if (ids.length > 0) throw new AppError("interrupted", `Interrupted: nothing was sent to ${ids.join(", ")}`);
}

function line(id: SessionId, sent: ReturnType<typeof sendResult>): Result {
  return { ...sent, text: `${id}\t${sent.json.result}`, layout: "compact" };
}

/** Its word is the name of the error, such as `agent_gone`. */
function failed(id: SessionId, error: unknown): Result {
  const failure = asFailure(`Cannot send to "${id}"`, error);
  const { code, message } = failure;
  return {
    text: `${id}\t${code}`,
    json: { id, result: null, receipt: null, reason: message, evidence: null, repeated: false, error: code },
    layout: "compact",
    failure,
  };
}
