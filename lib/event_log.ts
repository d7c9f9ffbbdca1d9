/**
 * Brings the event log up to date: reads what is new in a session's records and appends it, once, however many readers
 * do so at the same time and wherever one of them is killed.
 */

import type { Backend } from "../backends/backend.ts";
import { type EventBatch, type Happened, mergeByTime } from "./events.ts";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";
import type { EventStore, Position } from "./store/events.ts";
import type { LifecycleChange, SessionRef } from "./store/sessions.ts";

/** Each failed attempt is another reader's success. */
const ATTEMPTS = 100;
const NO_BATCH: EventBatch = { events: [], position: null, moreAfter: null, settling: false };

export type Progress =
  /** There is more to be read. */
  | "more"
  /** More is announced, and will be there in a moment. */
  | "settling"
  | "up_to_date";

type Registry = Pick<Store, "find" | "lifecycleOf">;

/** Its row or its agent's records can't be read; why, is its cause. */
export class UnreadableSession extends Error {}

/**
 * Appends what is new of one session, at most one batch.
 * @throws AppError when the log can't be read or written.
 * @throws UnreadableSession
 */
export async function readOn(
  ref: SessionRef,
  registry: Registry,
  log: EventStore,
  backendOf: (session: Session) => Promise<Backend | null>,
): Promise<Progress> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // In this order: what another reader has appended meanwhile is then never older than what is seen here.
    const { revision, position } = log.position(ref.token);
    const session = readable(() => registry.find(ref.id));
    if (session === null || session.token !== ref.token || session.lifecycle === "creating") {
      return "up_to_date";
    }
    const changes = registry.lifecycleOf(ref.token, position.lifecycle);
    const backend = await backendOf(session);
    const batch = await backend?.eventsSince(session, position.agent).catch(unreadable) ??
      { ...NO_BATCH, position: position.agent };
    // What the agent did after it lives again must not come before that.
    if (registry.lifecycleOf(ref.token, changes.at(-1)?.seq ?? position.lifecycle).length > 0) continue;
    const next = advance(position, session, changes, batch);
    const progress: Progress = next.more ? "more" : batch.settling ? "settling" : "up_to_date";
    const settled = session.lifecycle === "ended" && progress === "up_to_date" ? endOf(session) : null;
    const unchanged = next.events.length === 0 && settled === null &&
      JSON.stringify(next.position) === JSON.stringify(position);
    if (unchanged || log.append(ref, revision, { position: next.position, events: next.events, settled })) {
      return progress;
    }
  }
  return "more";
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(cause: unknown): never {
  throw new UnreadableSession("can't be read", { cause });
}

/** Names the end of a session up to which it was read: it may live again and end once more. */
export function endOf(session: Pick<Session, "endedAt" | "lastUsedAt">): string {
  return session.endedAt ?? session.lastUsedAt;
}

/** What is to be appended, and where that leads. Pure. */
export function advance(
  position: Position,
  session: Pick<Session, "lifecycle" | "createdAt" | "endedAt" | "endReason" | "lastUsedAt">,
  changes: readonly LifecycleChange[],
  batch: EventBatch,
): { readonly position: Position; readonly events: Happened[]; readonly more: boolean } {
  const seqs: number[] = [];
  const happened: Happened[] = [];
  const add = (change: Happened, seq: number) => {
    happened.push(change);
    seqs.push(seq);
  };
  // Sessions of earlier versions have no record of how they began and ended.
  if (position.alive === null && changes[0]?.type !== "created") {
    add({ at: Date.parse(session.createdAt), body: { type: "session_created" } }, position.lifecycle);
  }
  for (const change of changes) add(happenedOf(change), change.seq);
  if (changes.length === 0 && position.alive !== false && session.lifecycle === "ended") {
    const body = { type: "session_ended", reason: session.endReason } as const;
    add({ at: Date.parse(endOf(session)), body }, position.lifecycle);
  }
  const { merged, taken } = mergeByTime(happened, batch.events, batch.moreAfter);
  const last = happened[taken - 1];
  return {
    events: merged,
    more: batch.moreAfter !== null,
    position: {
      lifecycle: seqs[taken - 1] ?? position.lifecycle,
      alive: last === undefined ? position.alive : last.body.type !== "session_ended",
      agent: batch.position,
    },
  };
}

function happenedOf({ type, at, reason }: LifecycleChange): Happened {
  switch (type) {
    case "created":
      return { at: Date.parse(at), body: { type: "session_created" } };
    case "resumed":
      return { at: Date.parse(at), body: { type: "session_resumed" } };
    case "ended":
      return { at: Date.parse(at), body: { type: "session_ended", reason } };
  }
}
