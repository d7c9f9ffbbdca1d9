/** What happens to sessions, in one schema for every agent, and the cursors by which a reader goes on where it was. */

import { AppError } from "./errors.ts";
import type { PendingKind, SessionId } from "./session.ts";

/** What made a turn start. `other`: something the agent runs by itself or on a command typed at its terminal. */
export type TurnSource = "message" | "background_task" | "agent" | "other";

export type AgentEventBody =
  | { readonly type: "turn_started"; readonly source: TurnSource; readonly text: string | null }
  /** A further message was taken into the running turn. */
  | { readonly type: "turn_joined"; readonly source: TurnSource; readonly text: string }
  | { readonly type: "turn_completed" }
  | { readonly type: "turn_failed"; readonly error: string }
  | { readonly type: "turn_interrupted" }
  | {
    readonly type: "input_requested";
    readonly kind: PendingKind;
    readonly tool: string | null;
    readonly summary: string;
    readonly options: readonly string[];
    readonly requestId: string;
  }
  | { readonly type: "input_resolved"; readonly requestId: string }
  /** One block of text that the agent said. */
  | { readonly type: "message"; readonly text: string };

export type LifecycleEventBody =
  | { readonly type: "session_created" }
  | { readonly type: "session_resumed" }
  | { readonly type: "session_ended"; readonly reason: string | null };

export type EventBody = AgentEventBody | LifecycleEventBody;

/** An event before it has its place in the order of all. */
export interface Happened<Body extends EventBody = EventBody> {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly body: Body;
}

/** What a backend found in the agent's records after a position. */
export interface EventBatch {
  readonly events: readonly Happened<AgentEventBody>[];
  /** Backend's own, to be stored and given back as it is. */
  readonly position: unknown;
  /** The time up to which everything was read, though there is more; null when all of it was read. */
  readonly moreAfter: number | null;
  /** The records announce something that they do not hold yet: look again in a moment. */
  readonly settling: boolean;
}

export interface EventRecord {
  readonly cursor: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly id: SessionId;
  readonly body: EventBody;
}

/** A place in the order of all events of one event log. */
export interface Cursor {
  /** Names the log: one that was started anew has another order. */
  readonly log: string;
  readonly seq: number;
}

const CURSOR = /^e1-([0-9a-f]{8})-(\d{1,15})$/;

export function formatCursor({ log, seq }: Cursor): string {
  return `e1-${log}-${seq}`;
}

/** Null for what no event of this version carries. */
export function parseCursor(text: string): Cursor | null {
  const match = CURSOR.exec(text);
  return match === null ? null : { log: match[1]!, seq: Number(match[2]) };
}

/** @throws AppError (usage) for a cursor of another log and for one that lies beyond the newest event. */
export function assertCursor(cursor: Cursor, newest: Cursor): void {
  if (cursor.log === newest.log && cursor.seq <= newest.seq) return;
  const why = cursor.log === newest.log
    ? "it lies beyond the newest event"
    : "the event log was started anew since then";
  throw new AppError(
    "usage",
    `Cannot go on from "${formatCursor(cursor)}": ${why}. Read from the start, or what comes from now on: ` +
      `dev-sessions events --follow --since now`,
  );
}

/**
 * Puts what happened to a session and what its agent did into one order: by time, each in its own order. What lies
 * behind `moreAfter` is held back. Pure.
 *
 * @returns how many of `changes` are in it, from the first on.
 */
export function mergeByTime(
  changes: readonly Happened[],
  agent: readonly Happened[],
  moreAfter: number | null,
): { merged: Happened[]; taken: number } {
  const merged: Happened[] = [];
  let taken = 0;
  const take = (until: number) => {
    for (let next = changes[taken]; next !== undefined; next = changes[taken]) {
      // Nothing comes before its creation, whatever the clocks say.
      if (next.at > until && next.body.type !== "session_created") return;
      merged.push(next);
      taken++;
    }
  };
  take(-Infinity);
  for (const event of agent) {
    take(event.at - 1);
    merged.push(event);
  }
  take(moreAfter ?? Infinity);
  return { merged, taken };
}
