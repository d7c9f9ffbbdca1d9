/** Decides whether the turn of one message is over, and what was said in it, from the server's records. Pure. */

import type { TurnEnd, TurnState, WaitOutcome } from "../../lib/session.ts";
import { courseOf, endOf, hasClientId, isMissing } from "./course.ts";
import type { CodexAnchor, CodexEvidence } from "./evidence.ts";
import type { Turn } from "./frames.ts";
import { decideState, TAKE_UP_MS } from "./state.ts";

/**
 * Null: not over. The turn that counts is the one that has the message, as its start or steered into it; what a queue or
 * a goal does behind it doesn't count.
 *
 * @param anchor null: nothing was ever sent; then what counts is that the session is at rest.
 */
export function judgeTurn(evidence: CodexEvidence, anchor: CodexAnchor | null): WaitOutcome | null {
  const state = decideState(evidence);
  if (anchor === null) return judgeRest(state);
  const turn = evidence.turns.find((one) => hasClientId(one, anchor.clientId));
  if (turn !== undefined) {
    const course = courseOf(turn, evidence);
    if (course !== "running" && course !== "unsettled") return outcomeOf(endOf(turn, course));
  }
  switch (state.state) {
    case "gone":
      return { outcome: "gone", reason: state.reason };
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending, others: state.others };
    case "idle":
      if (evidence.server === "down") return { outcome: "failed", error: NO_SERVER };
      return turn === undefined && isLost(evidence, anchor) ? { outcome: "failed", error: LOST } : null;
    case "working":
    case "unknown":
      return null;
  }
}

const NO_SERVER = "Codex's app-server is not running: what became of the turn can't be read";
const LOST =
  "Codex's records do not have the message: the turn that it went into ended before it was taken up, " +
  "or the app-server ended before it was written";

/** Looked for twice, at rest. */
function isLost(evidence: CodexEvidence, anchor: CodexAnchor): boolean {
  return evidence.settled === true && evidence.at - anchor.at >= TAKE_UP_MS && isMissing(evidence, anchor);
}

/** The session as a whole; null while it works or can't be seen. */
function judgeRest(state: TurnState): WaitOutcome | null {
  switch (state.state) {
    case "gone":
      return { outcome: "gone", reason: state.reason };
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending, others: state.others };
    case "idle":
      return state.lastTurn === null ? { outcome: "idle" } : outcomeOf(state.lastTurn);
    case "working":
    case "unknown":
      return null;
  }
}

export function outcomeOf(end: TurnEnd): WaitOutcome {
  switch (end.kind) {
    case "completed":
    case "interrupted":
      return { outcome: end.kind };
    case "failed":
      return { outcome: "failed", error: end.error ?? "unknown error" };
  }
}

/** What the agent said in the turn of one message, after it, oldest first; `ended` once that turn is over. */
export function saidInTurn(
  evidence: Pick<CodexEvidence, "server" | "thread" | "turns" | "settled">,
  anchor: CodexAnchor,
): { readonly texts: string[]; readonly ended: boolean } {
  const turn = evidence.turns.find((one) => hasClientId(one, anchor.clientId));
  if (turn === undefined) return { texts: [], ended: false };
  const from = turn.items.findIndex((item) =>
    item.type === "userMessage" && item.clientId === anchor.clientId
  );
  const course = courseOf(turn, evidence);
  return { texts: textsOf(turn, from + 1), ended: course !== "running" && course !== "unsettled" };
}

/** What the agent said in a turn. */
export function textsOf(turn: Turn, from = 0): string[] {
  return turn.items.slice(from).flatMap((item) => item.type === "agentMessage" ? [item.text] : []);
}
