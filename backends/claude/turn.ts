/**
 * Decides whether the turn of one message is over, from what was recorded since it went in and the session's state
 * now. Pure.
 */

import type { TurnEnd, TurnState, WaitOutcome } from "../../lib/session.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import { backgroundTasks, type HookEvent } from "./hook_log.ts";
import { inTurnOrder, isQueueMark } from "./mark_order.ts";
import { decideState } from "./state.ts";
import { textKey, textKeyOf } from "./text_match.ts";
import { type Mark, startsTurn } from "./transcript.ts";
import { endOfEvent, endOfMark, hasSubagents, isEndEvent, isEndMark, iso } from "./turn_end.ts";

/** The registry is busy while sub-agents run; idle for so long, those that a Stop has listed ended without a report. */
const SUBAGENT_IDLE_MS = 3_000;
/** A turn that ends in any other way has left a hook event or a line long before (measured: within 0.15 s). */
const TAKEN_BACK_IDLE_MS = 3_000;

/**
 * Whether the turn of one message is over. `recorded` holds only what was recorded after the message's anchor; `live` is
 * the session's evidence now. Null: not over.
 *
 * @param key the message's `textKey`; null for a wait without any message.
 */
export function judgeTurn(
  recorded: Pick<ClaudeEvidence, "events" | "marks">,
  live: ClaudeEvidence,
  key: string | null,
  options: { readonly background: boolean },
): WaitOutcome | null {
  const state = decideState(live);
  const since = { events: recorded.events, marks: inTurnOrder(recorded.marks) };
  if (key === null) return judgeRest(state, live, options);
  const restart = restartAfter(since, key);
  const ended = restart === null
    ? endOnRecord(since, state, key) ?? endAtRest(since, live, state, key) ?? takenBack(since, state, key) ??
      rewoundAtRest(since, live, state, key)
    : endBefore(restart, since, key);
  if (ended !== null && !(options.background && keepsWorking(state, live))) return outcomeOf(ended);
  switch (state.state) {
    case "gone":
      return ended === null ? { outcome: "gone", reason: state.reason } : outcomeOf(ended);
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending, others: state.others };
    case "idle":
    case "working":
    case "unknown":
      return null;
  }
}

/** Nothing was ever sent: what counts is that the session is at rest. */
function judgeRest(
  state: TurnState,
  live: ClaudeEvidence,
  options: { readonly background: boolean },
): WaitOutcome | null {
  switch (state.state) {
    case "gone":
      return { outcome: "gone", reason: state.reason };
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending, others: state.others };
    case "idle":
      if (options.background && keepsWorking(state, live)) return null;
      return state.lastTurn === null ? { outcome: "idle" } : outcomeOf(state.lastTurn);
    case "working":
    case "unknown":
      return null;
  }
}

/**
 * As `provenEnd`; but where nothing stands between the start of a queued message's turn and an interrupt line, the line
 * may be that of the turn before, as long as it works.
 */
function endOnRecord(
  since: Pick<ClaudeEvidence, "events" | "marks">,
  state: TurnState,
  key: string,
): TurnEnd | null {
  const end = provenEnd(since, key);
  if (end?.kind !== "interrupted" || state.state !== "working") return end;
  const taken = takenAt(since.marks, key);
  const start = taken === null ? undefined : since.marks[taken];
  if (taken === null || start?.kind !== "prompt" || start.source !== "queued") return end;
  const after = since.marks.slice(taken + 1);
  const line = after.findIndex((mark) => !isQuiet(mark));
  const isDoubtful = after[line]?.kind === "interrupted" && !after.slice(line + 1).some(startsTurn);
  return isDoubtful ? null : end;
}

/** An end in the transcript that stands after the message was taken up; valid however long ago it was. */
function provenEnd(since: Pick<ClaudeEvidence, "events" | "marks">, key: string): TurnEnd | null {
  const taken = takenAt(since.marks, key);
  if (taken === null) return null;
  const after = since.marks.slice(taken + 1);
  const next = after.find((mark) => !isQuiet(mark));
  if (next !== undefined && startsAfterRewind(since.marks[taken], next)) {
    return { kind: "interrupted", error: null, at: next.at === null ? null : iso(next.at) };
  }
  const end = after.find(isEndMark);
  return end === undefined ? null : endOfMark(end);
}

/**
 * A turn that is stopped before anything was answered leaves no line: Claude puts its message back into the input box.
 * What is typed starts a turn only when none runs, so one that follows right behind proves it.
 */
function startsAfterRewind(taken: Mark | undefined, next: Mark): boolean {
  if (next.kind === "prompt") return next.source === "typed";
  return next.kind === "task_notification" && taken?.kind === "prompt" && taken.source === "typed";
}

/** Nothing of the turn itself: the queue, and further messages that the turn began with. */
function isQuiet(mark: Mark): boolean {
  return isQueueMark(mark) || (mark.kind === "prompt" && mark.source === "queued");
}

/** Taken up, then at rest with neither an answer nor an end on record: put back into the input box. */
function rewoundAtRest(
  since: Pick<ClaudeEvidence, "events" | "marks">,
  live: ClaudeEvidence,
  state: TurnState,
  key: string,
): TurnEnd | null {
  if (state.state !== "idle" || live.registry === null) return null;
  const taken = takenAt(since.marks, key);
  if (taken === null || !since.marks.slice(taken + 1).every(isQuiet)) return null;
  const at = since.marks[taken]?.at ?? null;
  const { statusUpdatedAt } = live.registry;
  if (at === null || statusUpdatedAt < at || live.at - statusUpdatedAt < TAKEN_BACK_IDLE_MS) return null;
  const ended = since.events.some((event) => isEndEvent(event) && event.at >= at);
  return ended ? null : { kind: "interrupted", error: null, at: iso(statusUpdatedAt) };
}

/** The start of another agent, after the one that had the message on record died. */
function restartAfter(since: Pick<ClaudeEvidence, "events" | "marks">, key: string): HookEvent | null {
  const accepted = since.events.find((event) => isPromptOf(event, key))?.at;
  const recorded = since.marks.find((mark) => textKeyOf(mark) === key)?.at;
  const times = [accepted, recorded].filter((at) => at !== undefined && at !== null);
  if (times.length === 0) return null;
  const first = Math.min(...times);
  return since.events.find((event) =>
    event.event === "SessionStart" && event.body.source === "resume" && event.at > first
  ) ?? null;
}

/** How the turn ended before that; what comes later is of other turns, since no agent takes up another's. */
function endBefore(
  restart: HookEvent,
  since: Pick<ClaudeEvidence, "events" | "marks">,
  key: string,
): TurnEnd {
  const marks = since.marks.filter((mark) => mark.at === null || mark.at < restart.at);
  const proven = provenEnd({ events: since.events, marks }, key);
  if (proven !== null) return proven;
  const accepted = since.events.findIndex((event) => isPromptOf(event, key));
  const events = since.events.slice(accepted + 1).filter((event) => event.at < restart.at);
  const end = accepted === -1 || waitsInQueue(marks, key) ? undefined : lastEndOfTurn(events);
  if (end !== undefined) return endOfEvent(end);
  return { kind: "failed", error: "its agent ended before the turn was over", at: iso(restart.at) };
}

function isPromptOf(event: HookEvent, key: string): boolean {
  return event.event === "UserPromptSubmit" && textKey(event.body.prompt ?? "") === key;
}

/** What the agent said in the turn of one message, oldest first; `ended` once the transcript has the turn's end. */
export function saidInTurn(recorded: readonly Mark[], key: string): { texts: string[]; ended: boolean } {
  const marks = inTurnOrder(recorded);
  const taken = takenAt(marks, key);
  if (taken === null) return { texts: [], ended: false };
  const after = marks.slice(taken + 1);
  const end = after.findIndex(isEndMark);
  const turn = end === -1 ? after : after.slice(0, end);
  return {
    texts: turn.flatMap((mark) => mark.kind === "assistant_text" ? [mark.text] : []),
    ended: end !== -1,
  };
}

/** The first moment at which Stop without running sub-agents and an idle registry both hold. */
function endAtRest(
  since: Pick<ClaudeEvidence, "events" | "marks">,
  live: ClaudeEvidence,
  state: TurnState,
  key: string,
): TurnEnd | null {
  // Without a registry the transcript's `turn_duration` proves the end; only where there is none, too, Stop must do.
  const blind = live.registry === null && live.transcript === "missing";
  if (state.state !== "idle" || (live.registry === null && !blind)) return null;
  const accepted = since.events.findIndex((event) => isPromptOf(event, key));
  if (accepted === -1 || waitsInQueue(since.marks, key)) return null;
  const end = lastEndOfTurn(since.events.slice(accepted + 1));
  if (end === undefined || (live.registry !== null && live.registry.statusUpdatedAt < end.at)) return null;
  const idleFor = live.registry === null ? 0 : live.at - live.registry.statusUpdatedAt;
  if (end.event === "Stop" && hasSubagents(backgroundTasks(end.body)) && idleFor < SUBAGENT_IDLE_MS) {
    return null;
  }
  return endOfEvent(end);
}

/** A user's Stop hook may continue a turn, so that it has several ends; a later prompt's ends are not among them. */
function lastEndOfTurn(events: readonly HookEvent[]): HookEvent | undefined {
  const first = events.findIndex(isEndEvent);
  const next = events.findIndex((event, index) => index > first && startsAnother(event));
  return first === -1 ? undefined : events.slice(first, next === -1 ? undefined : next).findLast(isEndEvent);
}

/** A sub-agent's report goes on with the turn. */
function startsAnother(event: HookEvent): boolean {
  return event.event === "UserPromptSubmit" && !(event.body.prompt ?? "").startsWith("<task-notification>");
}

/** Queued, then taken back into the input box by a person: it will never have a turn. */
function takenBack(since: Pick<ClaudeEvidence, "marks">, state: TurnState, key: string): TurnEnd | null {
  if (state.state !== "idle" || takenAt(since.marks, key) !== null) return null;
  const removed = since.marks.findLast((mark) =>
    mark.kind === "removed" && mark.reason !== "absorbed_mid_turn" && textKeyOf(mark) === key
  );
  return removed === undefined ? null : { kind: "interrupted", error: null, at: iso(removed.at ?? 0) };
}

/** Queued, and neither taken up nor taken back: the Stop of the turn before it is not its end. */
function waitsInQueue(marks: readonly Mark[], key: string): boolean {
  return isEnqueued(marks, key) && takenAt(marks, key) === null;
}

/**
 * Index of the mark that shows that the message was taken into a turn. The first mark with its text tells how it went
 * in: typed, or queued and then taken up by a later one. What was queued before the anchor and reads the same is not it.
 */
function takenAt(marks: readonly Mark[], key: string): number | null {
  const first = marks.findIndex((mark) =>
    textKeyOf(mark) === key &&
    (mark.kind === "enqueued" || mark.kind === "absorbed_prompt" ||
      (mark.kind === "prompt" && mark.source !== "queued"))
  );
  if (marks[first]?.kind !== "enqueued") return first === -1 ? null : first;
  const index = marks.findIndex((mark, at) =>
    at > first && (mark.kind === "prompt" || mark.kind === "absorbed_prompt") && textKeyOf(mark) === key
  );
  return index === -1 ? null : index;
}

function isEnqueued(marks: readonly Mark[], key: string): boolean {
  return marks.some((mark) => mark.kind === "enqueued" && textKeyOf(mark) === key);
}

/** While the registry is busy it does not say whether a shell runs, too. */
function keepsWorking(state: TurnState, live: ClaudeEvidence): boolean {
  return state.state === "working" || live.registry?.status === "shell" ||
    (live.registry === null && state.background.length > 0);
}

function outcomeOf(end: TurnEnd): WaitOutcome {
  switch (end.kind) {
    case "completed":
      return { outcome: "completed" };
    case "failed":
      return { outcome: "failed", error: end.error ?? "unknown error" };
    case "interrupted":
      return { outcome: "interrupted" };
  }
}
