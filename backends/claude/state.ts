/**
 * Decides what a session does now and whether a message's turn is over, from Claude's records alone. Pure: the same
 * evidence always gives the same answer, and evidence that does not say gives `unknown`.
 */

import type { BackgroundTask, Evidence, TurnEnd, TurnState, WaitOutcome } from "../../lib/session.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import { backgroundTasks, type HookEvent } from "./hook_log.ts";
import { type Mark, startsTurn } from "./transcript.ts";
import { openRequest, pendingInput } from "./pending.ts";
import { textKey, textKeyOf } from "./text_match.ts";

/** Of sub-agents in a Stop event's list of background tasks: they prolong the turn. */
const SUBAGENT_TYPES: ReadonlySet<string> = new Set(["subagent", "agent", "local_agent", "remote_agent"]);

/** A user's own hook ended the turn with `continue: false`; neither Stop nor `turn_duration` follow. */
const STOPPED_BY_HOOK = "Operation stopped by hook";

/** What the session does now. */
export function decideState(evidence: ClaudeEvidence): TurnState {
  const { registry } = evidence;
  const base = {
    evidence: explain(evidence),
    background: currentBackground(evidence),
    lastTurn: lastTurn(evidence),
  };
  if (evidence.process === "dead") {
    return { state: "gone", reason: "its agent's process is gone", since: null, ...base };
  }
  if (registry !== null) {
    const since = iso(registry.statusUpdatedAt);
    switch (registry.status) {
      case "waiting":
        return {
          state: "waiting_for_input",
          pending: pendingInput(evidence, registry.waitingFor),
          since,
          ...base,
        };
      case "busy":
        return { state: "working", since, ...base };
      case "idle":
      case "shell":
        return startedSince(evidence, registry.statusUpdatedAt)
          ? { state: "working", since, ...base }
          : { state: "idle", since, ...base };
    }
  }
  return withoutRegistry(evidence, base);
}

type StateParts = Pick<TurnState, "evidence" | "background" | "lastTurn">;

function withoutRegistry(evidence: ClaudeEvidence, base: StateParts): TurnState {
  const request = evidence.hooks ? openRequest(evidence) : null;
  if (request !== null) {
    return {
      state: "waiting_for_input",
      pending: pendingInput(evidence, null),
      since: request.since,
      ...base,
    };
  }
  const ending = base.lastTurn;
  const start = newestStart(evidence);
  if (start !== null && start > endTime(ending)) {
    return { state: "working", since: iso(start), ...base };
  }
  if (ending !== null && !hasSubagents(base.background)) return { state: "idle", since: ending.at, ...base };
  if (hasSubagents(base.background)) return { state: "working", since: ending?.at ?? null, ...base };
  if (evidence.process === "alive" && (evidence.hooks || evidence.transcript === "missing")) {
    return { state: "idle", since: null, ...base };
  }
  return {
    state: "unknown",
    reason: evidence.process === "unknown"
      ? "its agent's process can't be seen from here"
      : "neither hooks, live registry nor transcript say what it does",
    since: null,
    ...base,
  };
}

/** A prompt newer than the registry's word: the registry has not caught up yet (measured: up to 0.35 s). */
function startedSince(evidence: ClaudeEvidence, statusAt: number): boolean {
  const start = newestStart(evidence);
  if (start === null || start <= statusAt) return false;
  return endTime(lastTurn(evidence)) < start;
}

/** Minus infinity for no end, or one whose time is not recorded. */
function endTime(end: TurnEnd | null): number {
  return end === null || end.at === null ? -Infinity : Date.parse(end.at);
}

/** When the newest turn began, in milliseconds since the epoch. */
function newestStart(evidence: ClaudeEvidence): number | null {
  const event = evidence.events.findLast((found) => found.event === "UserPromptSubmit");
  const mark = evidence.marks.findLast(startsTurn);
  const times = [event?.at, mark?.at].filter((at) => at !== undefined && at !== null);
  return times.length === 0 ? null : Math.max(...times);
}

/** How the newest turn that ended did so; null when none is in the evidence. */
export function lastTurn(evidence: Pick<ClaudeEvidence, "events" | "marks">): TurnEnd | null {
  const event = evidence.events.findLast(isEndEvent);
  const mark = evidence.marks.findLast(isEndMark);
  const byMark = mark === undefined ? null : endOfMark(mark);
  if (event === undefined) return byMark;
  const byEvent = endOfEvent(event);
  if (byMark === null) return byEvent;
  // Most ends have both, the hook's time being slightly earlier or later; the interrupt line and a hook's "stop" have
  // no event, and a newer mark that tells of another end is of a newer turn.
  const another = byMark.kind !== byEvent.kind || mark?.kind === "informational";
  return another && endTime(byMark) > event.at ? byMark : byEvent;
}

function isEndMark(mark: Mark): boolean {
  switch (mark.kind) {
    case "turn_end":
      return mark.pendingBackgroundAgents === 0;
    case "interrupted":
    case "api_error":
      return true;
    case "informational":
      return mark.text.startsWith(STOPPED_BY_HOOK);
    case "prompt":
    case "task_notification":
    case "peer_message":
    case "enqueued":
    case "dequeued":
    case "removed":
    case "absorbed_prompt":
    case "assistant_text":
    case "tool_use":
    case "tool_result":
    case "compact":
      return false;
  }
}

function endOfMark(mark: Mark): TurnEnd {
  const at = mark.at === null ? null : iso(mark.at);
  switch (mark.kind) {
    case "interrupted":
      return { kind: "interrupted", error: null, at };
    case "api_error":
    case "informational":
      return { kind: "failed", error: mark.text, at };
    default:
      return { kind: "completed", error: null, at };
  }
}

function endOfEvent(event: HookEvent): TurnEnd {
  if (event.event === "StopFailure") {
    const error = event.body.last_assistant_message ?? event.body.error ?? "unknown error";
    return { kind: "failed", error, at: iso(event.at) };
  }
  return { kind: "completed", error: null, at: iso(event.at) };
}

/**
 * Whether the turn of one message is over. `since` holds only what was recorded after the message's anchor; `live` is
 * the session's evidence now. Null: not over.
 *
 * @param key the message's `textKey`; null for a wait without any message.
 */
export function judgeTurn(
  since: Pick<ClaudeEvidence, "events" | "marks">,
  live: ClaudeEvidence,
  key: string | null,
  options: { readonly background: boolean },
): WaitOutcome | null {
  const state = decideState(live);
  if (key === null) return judgeRest(state, live, options);
  const ended = provenEnd(since, key) ?? endAtRest(since, live, state, key) ?? takenBack(since, state, key);
  if (ended !== null && !(options.background && keepsWorking(state, live))) return outcomeOf(ended);
  switch (state.state) {
    case "gone":
      return ended === null ? { outcome: "gone", reason: state.reason } : outcomeOf(ended);
    case "waiting_for_input":
      return { outcome: "waiting_for_input", pending: state.pending };
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
      return { outcome: "waiting_for_input", pending: state.pending };
    case "idle":
      if (options.background && keepsWorking(state, live)) return null;
      return state.lastTurn === null ? { outcome: "idle" } : outcomeOf(state.lastTurn);
    case "working":
    case "unknown":
      return null;
  }
}

/** An end in the transcript that stands after the message was taken up; valid however long ago it was. */
function provenEnd(since: Pick<ClaudeEvidence, "events" | "marks">, key: string): TurnEnd | null {
  const taken = takenAt(since.marks, key);
  if (taken === null) return null;
  const end = since.marks.slice(taken + 1).find(isEndMark);
  return end === undefined ? null : endOfMark(end);
}

/** What the agent said in the turn of one message, oldest first; `ended` once the transcript has the turn's end. */
export function saidInTurn(marks: readonly Mark[], key: string): { texts: string[]; ended: boolean } {
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
  const accepted = since.events.findIndex((event) =>
    event.event === "UserPromptSubmit" && textKey(event.body.prompt ?? "") === key
  );
  if (accepted === -1 || waitsInQueue(since.marks, key)) return null;
  const end = lastEndOfTurn(since.events.slice(accepted + 1));
  if (end === undefined || (live.registry !== null && live.registry.statusUpdatedAt < end.at)) return null;
  if (end.event === "Stop" && hasSubagents(backgroundTasks(end.body))) return null;
  return endOfEvent(end);
}

/** A user's Stop hook may continue a turn, so that it has several ends; a later prompt's ends are not among them. */
function lastEndOfTurn(events: readonly HookEvent[]): HookEvent | undefined {
  const first = events.findIndex(isEndEvent);
  const next = events.findIndex((event, index) => index > first && startsAnother(event));
  return first === -1 ? undefined : events.slice(first, next === -1 ? undefined : next).findLast(isEndEvent);
}

function isEndEvent(event: HookEvent): boolean {
  return event.event === "Stop" || event.event === "StopFailure";
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

/** The newest Stop's list, unless a turn has begun since. */
function currentBackground(evidence: ClaudeEvidence): BackgroundTask[] {
  const stop = evidence.events.findLast(isEndEvent);
  return stop === undefined || (newestStart(evidence) ?? 0) > stop.at ? [] : backgroundTasks(stop.body);
}

function hasSubagents(tasks: readonly BackgroundTask[]): boolean {
  return tasks.some((task) => SUBAGENT_TYPES.has(task.type));
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

/** For `status --explain`: each source and what it says, the missing ones included. */
export function explain(evidence: ClaudeEvidence): Evidence[] {
  const { registry } = evidence;
  const newest = evidence.events.at(-1);
  const mark = evidence.marks.at(-1);
  return [
    { source: "process", finding: evidence.process },
    {
      source: "live registry",
      finding: registry === null
        ? "none for this process: falling back to hooks and transcript"
        : `${registry.status}${registry.waitingFor === null ? "" : ` (${registry.waitingFor})`} since ${
          iso(registry.statusUpdatedAt)
        }`,
    },
    {
      source: "hooks",
      finding: !evidence.hooks
        ? "no event was ever written: hooks are off, falling back to live registry and transcript"
        : newest === undefined
        ? "no event lately"
        : `${newest.event} at ${iso(newest.at)}`,
    },
    {
      source: "transcript",
      finding: evidence.transcript === "missing"
        ? "none yet: no prompt was recorded"
        : mark === undefined
        ? "nothing that says how a turn went"
        : `${mark.kind}${mark.at === null ? "" : ` at ${iso(mark.at)}`}`,
    },
  ];
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
