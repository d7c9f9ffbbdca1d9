/**
 * How a turn went, as far as the records prove it. Pure.
 *
 * The server keeps no end of a turn that it has not written yet: it calls such a turn `inProgress` while its thread is
 * active, and `interrupted` while it is not. So for a moment at its end every turn is `interrupted`, and after a crash of
 * the server an old turn is `inProgress` again as soon as a new one runs. Only a turn with `completedAt` was
 * interrupted by somebody.
 */

import type { TurnEnd } from "../../lib/session.ts";
import type { CodexAnchor, CodexEvidence } from "./evidence.ts";
import type { ThreadItem, Turn } from "./frames.ts";

export type Course =
  | "running"
  | "completed"
  | "failed"
  | "interrupted"
  /** Its server ended before it did. */
  | "cut_off"
  /** At rest without an end on record: the end is about to be written, or it was cut off. */
  | "unsettled";

type Sources = Pick<CodexEvidence, "server" | "thread" | "turns" | "settled">;

export function courseOf(turn: Turn, evidence: Sources): Course {
  switch (turn.status) {
    case "completed":
    case "failed":
      return turn.status;
    case "interrupted":
      if (turn.completedAt !== null) return "interrupted";
      break;
    case "inProgress":
      break;
  }
  // The records are written in order: with the next turn in them, an end would be, too.
  if (evidence.turns.at(-1)?.id !== turn.id) return "cut_off";
  switch (evidence.thread?.status.type) {
    case "active":
      return "running";
    // In progress, it was read in another moment than the thread: it begins or ends right now.
    case "notLoaded":
      return turn.status === "interrupted" ? "cut_off" : "unsettled";
    case "idle":
    case "systemError":
      return turn.status === "interrupted" && evidence.settled === true ? "cut_off" : "unsettled";
    case "unknown":
    case undefined:
      return "unsettled";
  }
}

/**
 * Whether what was seen can't be told from a moment's flicker: look again after `SETTLE_MS`, and if this still holds,
 * that look is `settled`. Until then nothing is at rest and no turn over because of it.
 *
 * @param anchor of the message that is asked for; else the session's newest one.
 */
export function needsSecondLook(
  evidence: Sources & Pick<CodexEvidence, "at" | "queued" | "sent" | "goal">,
  anchor: CodexAnchor | null = evidence.sent ?? null,
): boolean {
  if (evidence.thread?.status.type === "active") return false;
  const newest = evidence.turns.at(-1);
  if (newest !== undefined && courseOf(newest, { ...evidence, settled: false }) === "unsettled") return true;
  return stopsWithGoal(evidence) || (anchor !== null && isMissing(evidence, anchor));
}

/**
 * Whether a thread is still active although its newest turn is over and nothing that we know of begins another one: for a
 * moment at the end of a turn (measured: some ms), and while a person's turn begins.
 */
export function isWindingDown(evidence: Sources & Pick<CodexEvidence, "queued" | "sent" | "goal">): boolean {
  const { thread, turns, queued, goal, sent = null } = evidence;
  const newest = turns.at(-1);
  if (thread?.status.type !== "active" || newest === undefined) return false;
  if (queued.length > 0 || goal?.status === "active" || (sent !== null && isMissing(evidence, sent))) {
    return false;
  }
  return courseOf(newest, evidence) !== "running";
}

/** What ends a goal may end its turn first. */
const GOAL_LAG_MS = 3_000;

/** Whether a turn has just been stopped or has failed while its goal, read in the same moment, is still active. */
export function stopsWithGoal(evidence: Sources & Pick<CodexEvidence, "at" | "goal">): boolean {
  const newest = evidence.turns.at(-1);
  if (newest === undefined || evidence.goal?.status !== "active") return false;
  const course = courseOf(newest, evidence);
  const end = endedAt(newest);
  return (course === "interrupted" || course === "failed") && end !== null && evidence.at - end < GOAL_LAG_MS;
}

/**
 * Whether the records have the message nowhere, although they would by now; between queue and turn it is in neither for
 * a moment (measured: up to 60 ms).
 */
export function isMissing(evidence: Pick<CodexEvidence, "turns" | "queued">, anchor: CodexAnchor): boolean {
  const { turns, queued } = evidence;
  if (turns.some((turn) => hasClientId(turn, anchor.clientId))) return false;
  if (queued.some(({ clientUserMessageId }) => clientUserMessageId === anchor.clientId)) return false;
  return reachesBack(turns, anchor);
}

/** Whether these turns, the newest ones, hold everything since a message went in. */
function reachesBack([oldest]: readonly Turn[], anchor: CodexAnchor): boolean {
  if (oldest === undefined || oldest.id === anchor.afterTurn) return true;
  const start = startedAt(oldest);
  return start !== null && start <= anchor.at;
}

/** For turns that are over. */
export function endOf(turn: Turn, course: Exclude<Course, "running" | "unsettled">): TurnEnd {
  const at = isoOrNull(endedAt(turn));
  switch (course) {
    case "completed":
    case "interrupted":
      return { kind: course, error: null, at };
    case "failed":
      return { kind: "failed", error: errorText(turn), at };
    case "cut_off":
      return { kind: "failed", error: CUT_OFF, at };
  }
}

const CUT_OFF = "Codex's app-server ended before the turn was over";

function errorText({ error }: Turn): string {
  const details = error?.additionalDetails ?? null;
  const message = error?.message.trim() || "unknown error";
  return details === null || message.includes(details) ? message : `${message} (${details})`;
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7/i;

/** In milliseconds since the epoch: the id holds them; the records have seconds. Null when neither says. */
export function startedAt({ id, startedAt }: Pick<Turn, "id" | "startedAt">): number | null {
  const [, high, low] = UUID_V7.exec(id) ?? [];
  if (high !== undefined && low !== undefined) return parseInt(high + low, 16);
  return startedAt === null ? null : startedAt * 1000;
}

/** In milliseconds since the epoch; null while it has no end on record. */
export function endedAt(turn: Turn): number | null {
  if (turn.completedAt === null) return null;
  const second = turn.completedAt * 1000;
  const start = startedAt(turn);
  const byDuration = start === null || turn.durationMs === null ? second : start + turn.durationMs;
  const lastItem = Math.max(...turn.items.map((item) => itemTime(item) ?? 0));
  return Math.min(Math.max(byDuration, lastItem, second), second + 999);
}

/** When it was complete, else when it began, in milliseconds since the epoch; null when the records do not say. */
export function itemTime(item: ThreadItem): number | null {
  const fields: Readonly<Record<string, unknown>> = item.type === "other" ? item.content : item;
  for (const name of ["completedAtMs", "startedAtMs"]) {
    const at = fields[name];
    if (typeof at === "number") return at;
  }
  return null;
}

export function isoOrNull(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/** Of a person or of `send`; the turns of a goal have none. */
export function hasClientId(turn: Turn, clientId: string): boolean {
  return turn.items.some((item) => item.type === "userMessage" && item.clientId === clientId);
}
