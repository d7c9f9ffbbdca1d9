/**
 * Which sessions a kill ends, and in which order: parents first, so that none starts another one while its children
 * end; then those that a dying family has brought forth meanwhile; the session that runs the command last.
 */

import type { Clock } from "./deps.ts";
import { AppError, sessionNotFound } from "./errors.ts";
import { assertMayKill, descendsFrom } from "./families.ts";
import type { KillSelector } from "./service.ts";
import type { Session, SessionId } from "./session.ts";
import type { Store } from "./store.ts";

/** For what the family has begun to create; a process that has left its terminal may go on with that for ever. */
const LATECOMERS_TIMEOUT_MS = 10_000;
const LATECOMERS_POLL_MS = 100;

export interface KillWorld {
  readonly store: Pick<Store, "find" | "list" | "creating">;
  readonly clock: Clock;
  /** Removes what killed `create`s left. */
  rollBackAbandoned(): Promise<void>;
}

/**
 * Yields the next one when the one before was dealt with. Among them may be some that have ended, because they were
 * named, and some that are still being created after a while.
 *
 * @throws AppError before the first one, when one of the ids is not known or must not be ended by the caller.
 */
export async function* sessionsToKill(selector: KillSelector, world: KillWorld): AsyncGenerator<Session> {
  const { store } = world;
  let own: Session | null = null;
  for await (const session of "ids" in selector ? named(selector, world) : chosen(selector, world)) {
    if (session.id === selector.caller) own = session;
    else yield session;
  }
  if (own !== null) yield store.find(own.id) ?? own;
}

async function* named(
  selector: Extract<KillSelector, { ids: unknown }>,
  world: KillWorld,
): AsyncGenerator<Session> {
  const { store } = world;
  const ids = [...new Set(selector.ids)];
  const roots = ids.map((id) => found(id, store));
  const caller = selector.caller === null ? null : store.find(selector.caller);
  if (caller !== null && !selector.everyone) ids.forEach((id) => assertMayKill(id, caller, store.find));
  if (selector.tree) yield* families(ids, roots, world);
  else yield* roots;
}

async function* families(
  ids: readonly SessionId[],
  roots: readonly Session[],
  { store, clock, rollBackAbandoned }: KillWorld,
): AsyncGenerator<Session> {
  const seen = new Set(roots.map(({ token }) => token));
  const isNew = (session: Session) =>
    !seen.has(session.token) && ids.some((id) => descendsFrom(session, id, store.find));
  const first = [...roots, ...store.list({ lifecycle: "active" }).filter(isNew)];
  let next = first.toSorted((a, b) => a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0);
  let deadline = Infinity;
  for (;;) {
    for (const session of next) {
      seen.add(session.token);
      yield session;
    }
    if (deadline === Infinity) deadline = clock.monotonic() + LATECOMERS_TIMEOUT_MS;
    await rollBackAbandoned();
    // In this order: one that comes to its end between the two looks is seen in the second.
    const coming = store.creating().filter(isNew);
    next = store.list({ lifecycle: "active" }).filter(isNew);
    if (clock.monotonic() >= deadline) {
      const ready = new Set(next.map(({ token }) => token));
      return yield* [...next, ...coming.filter(({ token }) => !ready.has(token))];
    }
    if (next.length > 0) continue;
    if (coming.length === 0) return;
    await clock.sleep(LATECOMERS_POLL_MS);
  }
}

function* chosen(
  selector: Exclude<KillSelector, { ids: unknown }>,
  { store, clock }: KillWorld,
): Generator<Session> {
  const { scope } = selector;
  const live = store.list({ lifecycle: "active" });
  const inScope = scope === "everyone"
    ? live
    : live.filter((row) => descendsFrom(row, scope.descendantsOf, store.find));
  if ("all" in selector) return yield* inScope;
  const before = clock.now() - selector.olderThanMs;
  yield* inScope.filter((row) => Date.parse(row.lastUsedAt) < before);
}

function found(id: SessionId, store: KillWorld["store"]): Session {
  const session = store.find(id);
  if (session === null) {
    const { code, message, detail } = sessionNotFound(id);
    throw new AppError(code, message, `None was ended. ${detail}`);
  }
  return session;
}
