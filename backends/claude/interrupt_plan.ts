/** Decides whether a turn runs that may be stopped, and what an Escape has come to. Pure. */

import type { BackgroundTask, PendingInput } from "../../lib/session.ts";
import { notTakenUp } from "./conversation.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import { backgroundTasks } from "./hook_log.ts";
import type { BoxLook } from "./look.ts";
import { inTurnOrder, isQueueMark } from "./mark_order.ts";
import { awaitedInput } from "./pending.ts";
import { decideState } from "./state.ts";
import { type Mark, startsTurn } from "./transcript.ts";
import { hasSubagents, isEndEvent, isEndMark } from "./turn_end.ts";

/** Until lines and registry agree after a key (measured: 0.1 to 0.5 s). */
const SETTLE_MS = 2_000;
/** At rest for so long without a Stop, which comes before the rest; without hooks the transcript must say so. */
const REST_MS = 800;
const REST_WITHOUT_HOOKS_MS = 2_000;
/** From a Stop hook to the end of the turn in the transcript (measured: under 0.15 s). */
const END_LAG_MS = 3_000;

/** One turn of the main conversation. */
export interface TurnRef {
  /** Null when the transcript does not have its start (yet). */
  readonly id: string | null;
  /** Of the messages that began it. */
  readonly texts: readonly string[];
}

export type Activity =
  | { readonly kind: "gone" }
  | { readonly kind: "waiting"; readonly turn: TurnRef; readonly pending: PendingInput }
  | { readonly kind: "unknown"; readonly reason: string }
  /** No turn runs; `background` may. */
  | { readonly kind: "rest"; readonly background: readonly BackgroundTask[] }
  | { readonly kind: "turn"; readonly turn: TurnRef }
  /** Records lag behind each other; `otherwise` is what they mean when that lasts. */
  | { readonly kind: "between"; readonly otherwise: Exclude<Activity, { kind: "between" }> };

const UNRECORDED: Activity & { kind: "turn" } = { kind: "turn", turn: { id: null, texts: [] } };

/** What the main conversation does; sub-agents, which keep the registry busy after a turn's end, are no turn. */
export function activityOf(evidence: ClaudeEvidence): Activity {
  const pending = evidence.process === "dead" ? null : awaitedInput(evidence);
  // Of a sub-agent's request nothing is on the screen while its hook waits.
  const isShown = pending?.subagent === null || evidence.registry?.status === "waiting";
  if (pending !== null && isShown) return { kind: "waiting", turn: newestTurn(evidence), pending };
  const state = decideState(evidence);
  switch (state.state) {
    case "gone":
      return { kind: "gone" };
    case "waiting_for_input":
      if (evidence.registry?.status === "busy") return workingOn(evidence);
      return { kind: "waiting", turn: newestTurn(evidence), pending: state.pending };
    case "unknown":
      return { kind: "unknown", reason: state.reason };
    case "idle":
      return { kind: "rest", background: runningBackground(evidence) };
    case "working":
      return workingOn(evidence);
  }
}

function workingOn(evidence: ClaudeEvidence): Activity {
  const { registry } = evidence;
  if (registry !== null && registry.status !== "busy") {
    return {
      kind: "between",
      otherwise: { kind: "unknown", reason: "its live registry says idle, other records say that it works" },
    };
  }
  const marks = inTurnOrder(evidence.marks);
  const start = marks.findLastIndex(startsTurn);
  const after = marks.slice(start + 1);
  const end = after.findLast(isTurnEnd);
  if (end === undefined && evidence.transcript === "present") {
    const turn = turnAt(marks, start);
    const startedAt = marks[start]?.at ?? Infinity;
    const stopping = evidence.events.some((event) => isEndEvent(event) && event.at > startedAt);
    // A user's own Stop hook may make it go on.
    return stopping ? { kind: "between", otherwise: { kind: "turn", turn } } : { kind: "turn", turn };
  }
  const prompted = evidence.events.findLast((event) => event.event === "UserPromptSubmit");
  const stopped = evidence.events.findLast(isEndEvent);
  const endedAt = Math.max(end?.at ?? -Infinity, stopped?.at ?? -Infinity);
  if (prompted !== undefined && prompted.at > endedAt) {
    if (evidence.transcript === "present") return { kind: "between", otherwise: UNRECORDED };
    return { kind: "turn", turn: { id: prompted.name, texts: [prompted.body.prompt ?? ""] } };
  }
  const rest = { kind: "rest", background: runningBackground(evidence) } as const;
  const agents = (end?.kind === "turn_end" && end.pendingBackgroundAgents > 0) ||
    (stopped !== undefined && hasSubagents(backgroundTasks(stopped.body)));
  const queueMoves = notTakenUp(evidence.marks).length > 0;
  return agents && !queueMoves ? rest : { kind: "between", otherwise: rest };
}

/** The turn that `marks[start]` began: several messages of the queue begin one turn. */
function turnAt(marks: readonly Mark[], start: number): TurnRef {
  const last = marks[start];
  if (last === undefined) return UNRECORDED.turn;
  let first = start;
  while (isQueuedPrompt(marks[first]) && isQueuedPrompt(marks[first - 1])) first--;
  const id = last.kind === "prompt" && last.uuid !== null ? last.uuid : `${last.kind} ${last.at}`;
  return { id, texts: marks.slice(first, start + 1).map(textOf) };
}

function newestTurn(evidence: ClaudeEvidence): TurnRef {
  const marks = inTurnOrder(evidence.marks);
  return turnAt(marks, marks.findLastIndex(startsTurn));
}

function isQueuedPrompt(mark: Mark | undefined): boolean {
  return mark?.kind === "prompt" && mark.source === "queued";
}

function textOf(mark: Mark): string {
  switch (mark.kind) {
    case "prompt":
      return mark.text;
    case "peer_message":
      return "(a message of another session)";
    default:
      return "(a background task's report)";
  }
}

/** The end of a turn, also of one whose sub-agents go on. */
function isTurnEnd(mark: Mark): boolean {
  return mark.kind === "turn_end" || isEndMark(mark);
}

/** Of the newest Stop's list what has not reported since; none when Claude says that it is wholly at rest. */
function runningBackground(evidence: ClaudeEvidence): BackgroundTask[] {
  if (evidence.registry?.status === "idle") return [];
  const stop = evidence.events.findLast(isEndEvent);
  if (stop === undefined) return [];
  const reports = evidence.marks.flatMap((mark) =>
    mark.kind === "task_notification" || mark.kind === "enqueued" ? [mark.text] : []
  );
  return backgroundTasks(stop.body).filter(({ id }) => !reports.some((text) => text.includes(`>${id}<`)));
}

/** Whether these are proven to be two turns. */
export function areDifferent(one: TurnRef, other: TurnRef): boolean {
  return one.id !== null && other.id !== null && one.id !== other.id;
}

/** Whether the turn that was looked at may be over, or another one may have begun, by what came since. */
export function hasMoved(since: Pick<ClaudeEvidence, "events" | "marks">): boolean {
  return since.events.some(isEndEvent) || since.marks.some((mark) => isTurnEnd(mark) || startsTurn(mark));
}

/** Messages of people that wait behind this turn, or that the queue has made the next turn of since. */
export function queuedBehind(evidence: ClaudeEvidence, turn: TurnRef): string[] {
  const marks = inTurnOrder(evidence.marks);
  const start = marks.findLastIndex(startsTurn);
  const next = turnAt(marks, start);
  const begun = isQueuedPrompt(marks[start]) && next.id !== turn.id ? next.texts : [];
  const waiting = notTakenUp(evidence.marks).filter((text) => !text.startsWith("<task-notification>"));
  return [...begun, ...waiting];
}

export type AfterEscape =
  /** Nothing is proven yet. */
  | { readonly kind: "open" }
  | {
    readonly kind: "stopped";
    readonly turn: TurnRef;
    /** `rewound`: nothing had been answered, and Claude puts the message back into its input box. */
    readonly how: "line" | "rewound" | "registry";
    /** The turn that was meant had ended by itself, and the key stopped the next one. */
    readonly overtaken: boolean;
  }
  | { readonly kind: "ended" };

/**
 * What one Escape has come to.
 *
 * @param turn the turn that ran when the key was pressed.
 * @param pressedAt milliseconds since the epoch.
 * @param since what was recorded after the last look before the key.
 * @param live the session's evidence now.
 */
export function judgeEscape(
  turn: TurnRef,
  pressedAt: number,
  since: Pick<ClaudeEvidence, "events" | "marks">,
  live: ClaudeEvidence,
): AfterEscape {
  const marks = inTurnOrder(since.marks);
  const { registry } = live;
  const age = live.at - pressedAt;
  const atRest = registry !== null && registry.status !== "busy" && registry.status !== "waiting";
  const restFor = atRest ? live.at - registry.statusUpdatedAt : 0;

  const line = marks.findIndex((mark) => mark.kind === "interrupted");
  if (line !== -1) {
    const start = marks.slice(0, line).findLastIndex(startsTurn);
    // Without an end of its own, the turn that was meant was stopped, however late its line was written.
    const overtaken = start !== -1 &&
      (marks.slice(0, start).some(isTurnEnd) || since.events.some(isEndEvent));
    const settled = registry === null || atRest || marks.slice(line).some(startsTurn) || age >= SETTLE_MS;
    if (!settled) return { kind: "open" };
    return { kind: "stopped", turn: overtaken ? turnAt(marks, start) : turn, how: "line", overtaken };
  }

  const end = marks.findIndex(isTurnEnd);
  if (end !== -1) {
    const next = marks.findLastIndex((mark, index) => index > end && startsTurn(mark));
    if (next === -1) return atRest || age >= SETTLE_MS ? { kind: "ended" } : { kind: "open" };
    // The key may have met the next turn.
    if (age < SETTLE_MS) return { kind: "open" };
    const rewound = restFor >= REST_MS && marks.slice(next + 1).every(isQueueMark);
    if (!rewound) return { kind: "ended" };
    return { kind: "stopped", turn: turnAt(marks, next), how: "rewound", overtaken: true };
  }

  if (since.events.some(isEndEvent)) {
    const ended = atRest && (live.transcript === "missing" || restFor >= END_LAG_MS);
    return ended ? { kind: "ended" } : { kind: "open" };
  }
  if (!atRest || restFor < (live.hooks ? REST_MS : REST_WITHOUT_HOOKS_MS)) return { kind: "open" };
  if (live.transcript === "missing") return { kind: "stopped", turn, how: "registry", overtaken: false };
  return hasNoAnswer(live.marks)
    ? { kind: "stopped", turn, how: "rewound", overtaken: false }
    : { kind: "open" };
}

/** The newest turn's message is the last word of the transcript. */
function hasNoAnswer(tail: readonly Mark[]): boolean {
  const start = tail.findLastIndex(startsTurn);
  return start !== -1 && tail.slice(start + 1).every(isQueueMark);
}

/** Why Escape would not reach the turn, or would do something else; null: go on. */
export function vetoEscape(look: BoxLook, hasRegistry: boolean): string | null {
  const { box } = look;
  switch (box.kind) {
    case "empty":
      return null;
    case "draft":
      // Measured: a draft stays as it is, but Escape closes an open menu of completions first.
      return /^\/\S*$|(^|\s)@\S*$/.test(box.text)
        ? `its input box shows a menu for "${box.text}", which Escape would close instead`
        : null;
    case "other_mode":
      return `its input box is in ${box.what}, where Escape means something else`;
    case "unrecognised":
      if (look.attached) return "a person is attached and its screen shows no input box";
      return hasRegistry ? null : "its screen shows no input box, and no live registry says why";
  }
}

/** Its own request can be denied, which stops the turn; a sub-agent's request stops only that. */
export function isAsking(activity: Activity): activity is Extract<Activity, { kind: "waiting" }> {
  return activity.kind === "waiting" && activity.pending.answerable === "direct" &&
    activity.pending.subagent === null;
}
