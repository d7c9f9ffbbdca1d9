/**
 * Decides what a session does now. Pure: evidence that does not say gives `unknown`, and the moments in which a thread is
 * idle although it goes on (before a turn's end is on record, between two turns of a queue or of a goal, after a message
 * has gone in) are none of rest.
 */

import type { Evidence, TurnEnd, TurnState } from "../../lib/session.ts";
import { courseOf, endedAt, endOf, isMissing, isoOrNull, startedAt } from "./course.ts";
import { type CodexEvidence, isArchived, neutralGoal } from "./evidence.ts";
import { openInputs } from "./pending.ts";

/** From one turn to the next of a queue or a goal (measured: up to 30 ms), with room for a busy machine. */
const NEXT_TURN_MS = 5_000;
/** From the answer to `turn/start` until the records have the message (measured: up to 0.1 s), with room. */
export const TAKE_UP_MS = 5_000;

/** What the session does now. */
export function decideState(evidence: CodexEvidence): TurnState {
  const { server, thread } = evidence;
  const newest = evidence.turns.at(-1);
  const goal = evidence.goal === null ? null : neutralGoal(evidence.goal);
  const base = { evidence: explain(evidence), background: [], lastTurn: lastTurn(evidence), goal };
  if (server === "unknown") {
    return { state: "unknown", reason: "Codex's app-server does not answer", since: null, ...base };
  }
  // Nothing runs without it, and the next command that needs it starts it.
  if (server === "down") return { state: "idle", since: base.lastTurn?.at ?? null, ...base };
  if (thread === null) {
    return { state: "gone", reason: "Codex's app-server does not know its thread", since: null, ...base };
  }
  if (isArchived(thread)) return { state: "gone", reason: "its thread is archived", since: null, ...base };
  const [pending, ...others] = openInputs(evidence);
  const running = newest === undefined ? null : isoOrNull(startedAt(newest));
  if (pending !== undefined) {
    return { state: "waiting_for_input", pending, others, since: pending.since ?? running, ...base };
  }
  switch (thread.status.type) {
    case "active":
      return { state: "working", since: running, ...base };
    case "notLoaded":
      return newest !== undefined && courseOf(newest, evidence) === "unsettled"
        ? { state: "working", since: running, ...base }
        : { state: "idle", since: base.lastTurn?.at ?? null, ...base };
    case "idle":
    case "systemError":
      return goesOn(evidence)
        ? { state: "working", since: running, ...base }
        : { state: "idle", since: base.lastTurn?.at ?? null, ...base };
    case "unknown": {
      const reason = `Codex says "${thread.status.name}" of it, which this version does not know`;
      return { state: "unknown", reason, since: null, ...base };
    }
  }
}

/** Although its thread is idle. */
function goesOn(evidence: CodexEvidence): boolean {
  const newest = evidence.turns.at(-1);
  const course = newest === undefined ? null : courseOf(newest, evidence);
  if (course === "unsettled") return true;
  if (isOnItsWay(evidence)) return true;
  // Neither the queue nor a goal goes on behind an interrupted turn.
  if (course === "interrupted" || course === "cut_off") return wasSetSince(evidence, newest);
  const since = Math.max(endOfTurn(newest), changeOfGoal(evidence));
  if (evidence.at - since >= NEXT_TURN_MS) return false;
  return evidence.queued.length > 0 || evidence.goal?.status === "active";
}

/** A goal that was set, or made active again, behind an interrupted turn starts a turn at once. */
function wasSetSince(evidence: CodexEvidence, newest: CodexEvidence["turns"][number] | undefined): boolean {
  if (evidence.goal?.status !== "active") return false;
  const set = changeOfGoal(evidence);
  // In seconds, as the records have it: an interruption accounts the goal's tokens in the same moment.
  const over = newest?.completedAt === null ? null : newest?.completedAt;
  return over !== null && over !== undefined && set > (over + 1) * 1000 && evidence.at - set < NEXT_TURN_MS;
}

/** Sent, and neither in a turn nor in the queue yet, or on its way from the one to the other. */
function isOnItsWay(evidence: CodexEvidence): boolean {
  const sent = evidence.sent ?? null;
  if (sent === null || !isMissing(evidence, sent)) return false;
  return evidence.settled !== true || evidence.at - sent.at < TAKE_UP_MS;
}

function endOfTurn(turn: CodexEvidence["turns"][number] | undefined): number {
  return turn === undefined ? -Infinity : endedAt(turn) ?? -Infinity;
}

/** At the end of that second; minus infinity without a goal. */
function changeOfGoal({ goal }: CodexEvidence): number {
  return goal === null ? -Infinity : goal.updatedAt * 1000 + 999;
}

/** How the newest turn that is over went; null when none is in the evidence. */
function lastTurn(evidence: CodexEvidence): TurnEnd | null {
  for (const turn of evidence.turns.toReversed()) {
    const course = courseOf(turn, evidence);
    if (course !== "running" && course !== "unsettled") return endOf(turn, course);
  }
  return null;
}

/** For `status --explain`: each source and what it says, the missing ones included. */
function explain(evidence: CodexEvidence): Evidence[] {
  const { server, thread, turns, goal, requests, queued, retrying } = evidence;
  const newest = turns.at(-1);
  return [
    {
      source: "app-server",
      finding: { up: "answers", down: "none runs", unknown: "one may run, and it does not answer" }[server],
    },
    { source: "thread", finding: thread === null ? "not known" : threadInWords(thread) },
    {
      source: "turns",
      finding: newest === undefined
        ? "none"
        : `the newest is ${courseOf(newest, evidence).replace("_", " ")}${
          newest.status === "inProgress" ? "" : ` (${newest.status})`
        }, started at ${isoOrNull(startedAt(newest))}`,
    },
    {
      source: "requests",
      finding: requests.length === 0
        ? "none open"
        : requests.map(({ request }) => request.method === "other" ? request.name : request.method).join(
          ", ",
        ),
    },
    { source: "queue", finding: queued.length === 0 ? "empty" : `${queued.length} message(s)` },
    {
      source: "goal",
      finding: goal === null
        ? "none"
        : `${goal.status}, ${goal.tokensUsed} of ${goal.tokenBudget ?? "any number of"} tokens`,
    },
    ...(retrying === null
      ? []
      : [{ source: "retries", finding: `${retrying.message} at ${isoOrNull(retrying.at)}` }]),
  ];
}

function threadInWords(thread: NonNullable<CodexEvidence["thread"]>): string {
  if (isArchived(thread)) return "archived";
  const { status } = thread;
  switch (status.type) {
    case "active":
      return ["active", ...status.activeFlags].join(", ");
    case "unknown":
      return status.name;
    case "idle":
    case "notLoaded":
    case "systemError":
      return status.type;
  }
}
