/**
 * Decides whether a goal is over, and whether the next turn is. Pure. A goal goes on from turn to turn by itself; it is over
 * when its status says so and the turn in which that happened has ended, too.
 */

import * as v from "valibot";
import type { TurnState, WaitOutcome } from "../../lib/session.ts";
import { courseOf, endOf, stopsWithGoal } from "./course.ts";
import { codexAnchorOf, type CodexEvidence, neutralGoal } from "./evidence.ts";
import type { Turn } from "./frames.ts";
import { decideState } from "./state.ts";
import { judgeTurn, outcomeOf } from "./turn.ts";

const target = v.variant("until", [
  v.object({ until: v.literal("goal") }),
  v.object({
    until: v.literal("next_turn"),
    /** The newest turn that was over when the wait began; null for none. */
    after: v.nullable(v.string()),
  }),
]);
/** What a wait waits for, where it is no message. */
export type WaitTarget = v.InferOutput<typeof target>;

/** The next turn to end from now on: the one that runs, else the next one to begin. */
export function nextTurnFrom(evidence: CodexEvidence): WaitTarget {
  const over = evidence.turns.findLast((turn) => !isOpen(turn, evidence));
  return { until: "next_turn", after: over?.id ?? null };
}

/**
 * Whether what is waited for is over; null: not yet.
 *
 * @param anchor of a message, a `WaitTarget`, or null for a session that nothing was ever sent to.
 */
export function judgeWait(evidence: CodexEvidence, anchor: unknown): WaitOutcome | null {
  const parsed = v.safeParse(target, anchor);
  if (!parsed.success) return judgeTurn(evidence, codexAnchorOf(anchor));
  switch (parsed.output.until) {
    case "goal":
      return judgeGoal(evidence);
    case "next_turn":
      return judgeNextTurn(evidence, parsed.output.after);
  }
}

function judgeGoal(evidence: CodexEvidence): WaitOutcome | null {
  const state = decideState(evidence);
  if (state.state === "gone" || state.state === "waiting_for_input") return blockedBy(state);
  if (evidence.server !== "up") return evidence.server === "down" ? NO_SERVER : null;
  const goal = evidence.goal === null ? null : neutralGoal(evidence.goal);
  const error = state.lastTurn?.kind === "failed" ? state.lastTurn.error : null;
  if (goal?.status === "active") {
    if (state.state !== "idle") return null;
    if (evidence.settled !== true && stopsWithGoal(evidence)) return null;
    return error === null ? { outcome: "interrupted" } : { outcome: "failed", error };
  }
  // Its last words are still to come.
  if (state.state !== "idle" && !isOfMessage(evidence.turns.at(-1))) return null;
  const outcome = goal === null ? "cleared" : goal.status;
  return { outcome, goal, error: outcome === "complete" || outcome === "paused" ? null : error };
}

function judgeNextTurn(evidence: CodexEvidence, after: string | null): WaitOutcome | null {
  // The ids are ordered by time.
  const next = evidence.turns.filter(({ id }) => after === null || id > after);
  for (const turn of next) {
    const course = courseOf(turn, evidence);
    if (course !== "running" && course !== "unsettled") return outcomeOf(endOf(turn, course));
  }
  if (evidence.server === "down") return NO_SERVER;
  return blockedBy(decideState(evidence));
}

const NO_SERVER: WaitOutcome = {
  outcome: "failed",
  error: "Codex's app-server is not running: what became of it can't be read",
};

function blockedBy(state: TurnState): WaitOutcome | null {
  switch (state.state) {
    case "gone":
      return { outcome: "gone", reason: state.reason };
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending, others: state.others };
    case "idle":
    case "working":
    case "unknown":
      return null;
  }
}

function isOpen(turn: Turn, evidence: CodexEvidence): boolean {
  const course = courseOf(turn, evidence);
  return course === "running" || course === "unsettled";
}

/** Begun by a message, and so none of a goal's. */
function isOfMessage(turn: Turn | undefined): boolean {
  return turn?.items[0]?.type === "userMessage";
}
