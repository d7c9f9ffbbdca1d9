/** Goals of sessions: whose agent knows them, and never one without a limit that nobody has set. */

import type { Backend, GoalOperations } from "../backends/backend.ts";
import { AppError } from "./errors.ts";
import { normaliseMessage } from "./message_text.ts";
import type { GoalRequest, GoalResult, WaitUntil } from "./service.ts";
import type { Session } from "./session.ts";

/** A goal goes on without a pause until it is done: some dozens of turns of a large model. */
const DEFAULT_GOAL_TOKENS = 500_000;

/** @throws AppError (usage) for an agent that knows none. */
function goalsOf(backend: Backend, session: Session, what: string): GoalOperations {
  if (backend.goals !== undefined) return backend.goals;
  throw new AppError(
    "usage",
    `${what} are only supported for codex sessions; ${session.id} is a ${session.agent} session`,
  );
}

export async function changeGoal(
  session: Session,
  backend: Backend,
  { change }: GoalRequest,
  signal: AbortSignal,
): Promise<GoalResult> {
  const goals = goalsOf(backend, session, "Goals");
  const told = { id: session.id, cleared: null, defaultBudget: null };
  if (change === null) return { ...told, goal: await goals.get(session) };
  switch (change.kind) {
    case "clear":
      return { ...told, goal: null, cleared: await goals.clear(session, signal) };
    case "adjust":
      return { ...told, goal: await goals.set(session, change, signal) };
    case "begin": {
      const tokenBudget = change.tokenBudget ?? DEFAULT_GOAL_TOKENS;
      const objective = normaliseMessage(change.objective);
      const goal = await goals.set(session, { kind: "begin", objective, tokenBudget }, signal);
      return { ...told, goal, defaultBudget: change.tokenBudget === null ? tokenBudget : null };
    }
  }
}

/** What `outcome()` is asked for. @throws AppError (usage) when the session has nothing of that kind. */
export async function anchorOfWait(
  session: Session,
  backend: Backend,
  until: Exclude<WaitUntil, "message">,
): Promise<unknown> {
  switch (until) {
    case "goal":
      return await goalsOf(backend, session, "Goals").anchor(session);
    case "next_turn":
      return await goalsOf(backend, session, "--next-turn waits").nextTurn(session);
  }
}
