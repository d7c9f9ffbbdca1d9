/** Does one thing to each session of a group: whatever happens with one, the others get it. */

import { AppError } from "../errors.ts";
import type { GroupAction } from "../groups.ts";
import { asCompleted } from "../parallel.ts";
import type { SessionId } from "../session.ts";
import { note, type Result } from "./output.ts";
import { asFailure, AT_ONCE } from "./send_group.ts";
import { type GroupTarget, sessionsOf } from "./targets.ts";
import type { CliContext } from "./verb.ts";

/** @param caller the session whose agent runs this command, if any. */
export async function* actOnEach(
  target: GroupTarget,
  action: Extract<GroupAction, "interrupt" | "respond" | "resume">,
  caller: SessionId | null,
  context: CliContext,
  act: (id: SessionId) => Promise<Result>,
): AsyncIterable<Result> {
  const { ids, notes } = await sessionsOf([target], action, caller, context);
  yield note(...notes);
  const left = new Set(ids);
  const one = async (id: SessionId): Promise<Result> => {
    left.delete(id);
    try {
      return { ...await act(id), layout: "compact" };
    } catch (error) {
      const failure = asFailure(`Cannot ${action} "${id}"`, error);
      return { json: { id, result: null, error: failure.code, reason: failure.message }, failure };
    }
  };
  yield* asCompleted(ids, AT_ONCE, one, context.signal);
  if (left.size > 0) {
    throw new AppError("interrupted", `Interrupted: nothing was done to ${[...left].join(", ")}`);
  }
}
