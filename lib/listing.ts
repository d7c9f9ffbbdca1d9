/** The sessions of the registry with what each does now; those that are proven to be dead are marked as ended. */

import type { Reach } from "./reach.ts";
import type { ListedSession } from "./service.ts";
import { byCreation } from "./session_checks.ts";
import type { SessionId, SessionSummary } from "./session.ts";
import type { Store } from "./store.ts";

/** By creation. */
export async function listSessions(
  reach: Reach,
  store: Store,
  options: { readonly all: boolean; readonly group: string | null },
): Promise<ListedSession[]> {
  const listed = new Map<SessionId, ListedSession>();
  // In the order of a session's life, so that one that goes on meanwhile is found all the same.
  for (const session of options.all ? store.creating() : []) {
    listed.set(session.id, { session, state: "unknown", pending: null });
  }
  for (const found of await live(reach, store)) {
    if (found.state !== "gone") listed.set(found.session.id, found);
  }
  if (options.all) {
    const ended = store.listEnded();
    const tokens = await resumable(reach, store, ended);
    for (const session of ended) {
      const known = { state: "gone", pending: null, resumable: tokens.has(session.token) } as const;
      listed.set(session.id, { session, ...known });
    }
  }
  return [...listed.values()]
    .filter(({ session }) => options.group === null || session.group === options.group)
    .sort((a, b) => byCreation(a.session, b.session));
}

async function live(reach: Reach, store: Store): Promise<ListedSession[]> {
  const rows = await Promise.all(store.list({ lifecycle: "active" }).map((row) => reach.reached(row)));
  const listed: ListedSession[] = [];
  for (const [agent, sessions] of Map.groupBy(rows, (row) => row.agent)) {
    const states = await (await reach.backendOrNull(agent))?.states(sessions);
    for (const session of sessions) {
      const { state, pending } = states?.get(session.id) ?? { state: "unknown" as const, pending: null };
      const ended = state === "gone" ? await reach.noticeDeath(session) : null;
      listed.push({ session: ended ?? session, state, pending: pending?.summary ?? null });
    }
  }
  return listed;
}

/** Tokens of those that can be resumed, as far as is cheaply known. */
async function resumable(
  reach: Reach,
  store: Store,
  ended: readonly SessionSummary[],
): Promise<ReadonlySet<string>> {
  const tokens = new Set<string>();
  const byAgent = Map.groupBy(store.resumeFacts(ended), ({ session }) => session.agent);
  for (const [agent, sessions] of byAgent) {
    const backend = await reach.backendOrNull(agent);
    for (const token of backend?.resumable(sessions) ?? []) tokens.add(token);
  }
  return tokens;
}
