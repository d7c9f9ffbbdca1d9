/** What the outcome of a wait means to the caller: success, or the error that makes the exit code. */

import { AppError } from "../errors.ts";
import type { WaitOutcome } from "../session.ts";
import { waitsForInput } from "./pending.ts";

/** Null when the turn came to its end; `timedOut` is the text for a wait that did not. */
export function outcomeFailure(id: string, outcome: WaitOutcome, timedOut: string): AppError | null {
  switch (outcome.outcome) {
    case "idle":
    case "completed":
      return null;
    case "failed":
      return new AppError("turn_failed", `The turn of "${id}" failed: ${outcome.error}`);
    case "interrupted":
      return new AppError("turn_failed", `The turn of "${id}" was interrupted`);
    case "waiting_for_input":
      return waitsForInput(id, outcome.pending, outcome.others);
    case "gone":
      return new AppError(
        "agent_gone",
        `The agent of "${id}" is gone: ${outcome.reason}. Bring it back with: dev-sessions resume ${id}`,
      );
    case "timed_out":
      return new AppError("timed_out", timedOut);
    case "complete":
      return null;
    case "paused":
    case "blocked":
    case "usageLimited":
    case "budgetLimited":
    case "cleared":
      return new AppError("turn_failed", goalEnded(id, GOAL_ENDS[outcome.outcome], outcome.error));
  }
}

/** The further facts of an outcome, for JSON. */
export function outcomeDetails(outcome: WaitOutcome): Record<string, unknown> {
  const { outcome: name, ...details } = outcome;
  return { outcome: name, ...details };
}

const GOAL_ENDS = {
  paused: "it is paused",
  blocked: "the agent can't go on with it",
  usageLimited: "the usage limit of the account is reached",
  budgetLimited: "its budget of tokens is used up",
  cleared: "it was cleared",
};

function goalEnded(id: string, how: string, error: string | null): string {
  const why = error === null ? "" : ` (${error.replace(/\.$/, "")})`;
  return `The goal of "${id}" is not complete: ${how}${why}. Look with: dev-sessions goal ${id}`;
}
