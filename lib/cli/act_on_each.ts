/** Does one thing to each session of a group: whatever happens with one, the others get it. */

import { AppError, messageOf } from "../errors.ts";
import type { GroupAction } from "../groups.ts";
import { asCompleted } from "../parallel.ts";
import type { SessionId } from "../session.ts";
import { note, type Result } from "./output.ts";
import { type GroupTarget, sessionsOf } from "./targets.ts";
import type { CliContext } from "./verb.ts";

/** Each has a tmux call or two and an agent that reads: more of them do not make it faster. */
const AT_ONCE = 8;

/** @param caller the session whose agent runs this command, if any. */
export async function* actOnEach(
  target: GroupTarget,
  action: Extract<GroupAction, "interrupt" | "respond" | "resume">,
  caller: SessionId | null,
  context: CliContext,
  act: (id: SessionId) => Promise<Result>,
): AsyncIterable<Result> {
  const failed = (id: SessionId, failure: AppError): Result => {
    return { json: { id, result: null, error: failure.code, reason: failure.message }, failure };
  };
  const left = yield* begunOnEach(target, action, caller, context, act, failed);
  assertNoneLeft(left, "done");
}

/**
 * @param failed what is printed of a session with which it went wrong.
 * @returns those with which it was not begun, because the command was interrupted.
 */
export async function* begunOnEach(
  target: GroupTarget,
  action: Extract<GroupAction, "send" | "interrupt" | "respond" | "resume">,
  caller: SessionId | null,
  context: CliContext,
  act: (id: SessionId) => Promise<Result>,
  failed: (id: SessionId, failure: AppError) => Result,
): AsyncGenerator<Result, readonly SessionId[]> {
  const { ids, notes } = await sessionsOf([target], action, caller, context);
  yield note(...notes);
  const left = new Set(ids);
  const one = async (id: SessionId): Promise<Result> => {
    left.delete(id);
    try {
      return { ...await act(id), layout: "compact" };
    } catch (error) {
      const cannot = `Cannot ${action === "send" ? "send to" : action} "${id}"`;
      return { ...failed(id, asFailure(cannot, error)), layout: "compact" };
    }
  };
  yield* asCompleted(ids, AT_ONCE, one, context.signal);
  return [...left];
}

/** What went wrong with one session, so that the others go on. */
export function asFailure(cannot: string, error: unknown): AppError {
  return error instanceof AppError ? error : new AppError("failure", `${cannot}: ${messageOf(error)}`);
}

/** @throws AppError (interrupted) when there is one. */
export function assertNoneLeft(left: readonly SessionId[], nothing: "done" | "sent"): void {
  if (left.length > 0) {
    throw new AppError("interrupted", `Interrupted: nothing was ${nothing} to ${left.join(", ")}`);
  }
}
