/** What other hosts say of their sessions: all hosts at once, each within a bound, and one that says nothing is named. */

import { fromHost, isSameSession, type RemoteSession } from "../lib/remote_session.ts";
import { asSummary } from "../lib/remote_session.ts";
import { AppError } from "../lib/errors.ts";
import type { ListedSession, SessionUsage } from "../lib/service.ts";
import type { Session } from "../lib/session.ts";
import { CarrierError } from "./carrier.ts";
import { type Elsewhere, isNotFound } from "./elsewhere.ts";
import { inFewWords, OtherRegistryError } from "./ssh/failures.ts";
import type { HostService } from "./ssh/hosts.ts";

const FORGOTTEN_THERE = "its host does not know it any more";

/** By creation within each host; the rows of a host that can't be asked stand as they are known. */
export async function listElsewhere(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  all: boolean,
): Promise<ListedSession[]> {
  const asked = all ? rows : rows.filter(({ lifecycle }) => lifecycle !== "ended");
  const parts = elsewhere.byHost(asked).map(async (group) => {
    const { host } = group[0]!;
    const answer = await elsewhere.bounded(host, () => listHost(elsewhere, group, all));
    if ("value" in answer) return answer.value;
    return group.map((row) => cached(row, answer.unreachable));
  });
  const listed = (await Promise.all(parts)).flat();
  return listed.filter(({ state }) => all || state !== "gone");
}

async function listHost(
  elsewhere: Elsewhere,
  group: readonly RemoteSession[],
  all: boolean,
): Promise<ListedSession[]> {
  const { store, deps } = elsewhere.world;
  const service = elsewhere.service(group[0]!);
  const found = new Map((await service.list({ all, group: null })).map((one) => [one.session.id, one]));
  const listed: ListedSession[] = [];
  for (const row of group) {
    if (row.lifecycle === "creating") {
      const settled = await elsewhere.settle(row);
      if (settled.kind === "unknown") listed.push(cached(row, null));
      if (settled.kind !== "adopted") continue;
    }
    const one = found.get(row.id);
    if (one !== undefined && isSameSession(row, one.session)) {
      const known = elsewhere.heardOf(row, service, one.session as Session) ?? row;
      listed.push({ ...one, session: summary(one.session, known) });
      continue;
    }
    const session = await inspected(elsewhere, service, row);
    if (session instanceof OtherRegistryError) {
      listed.push(cached(row, session.message));
      continue;
    }
    if (session === null) {
      const end = { at: new Date(deps.clock.now()).toISOString(), reason: FORGOTTEN_THERE };
      store.endRemote(row, end);
      listed.push({ session: asSummary(store.findRemote(row.id) ?? row), state: "gone", pending: null });
      continue;
    }
    const known = elsewhere.heardOf(row, service, session) ?? row;
    const state = session.lifecycle === "ended" ? "gone" : "unknown";
    listed.push({ session: summary(session, known), state, pending: null });
  }
  return listed;
}

/** Null when its host does not know it. */
async function inspected(
  elsewhere: Elsewhere,
  service: HostService,
  row: RemoteSession,
): Promise<Session | null | OtherRegistryError> {
  try {
    const session = await service.inspect(row.id);
    if (isSameSession(row, session)) return session;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return elsewhere.otherRegistry(row, service);
}

function cached(row: RemoteSession, unreachable: string | null): ListedSession {
  const state = row.lifecycle === "ended" ? "gone" : "unknown";
  return {
    session: asSummary(row),
    state,
    pending: null,
    ...(unreachable === null ? {} : { unreachable }),
  };
}

function summary(session: ListedSession["session"], row: RemoteSession): ListedSession["session"] {
  return fromHost(session as Session, row);
}

/** Of all that live; hosts that are gone hold up nobody for long. */
export async function usageOfLive(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
): Promise<SessionUsage[]> {
  return await usageByHost(elsewhere, rows, async (group) => {
    const { host } = group[0]!;
    const answer = await elsewhere.bounded(host, () => usageOfHost(elsewhere, group, false));
    return "value" in answer ? answer.value : unasked(group, answer.unreachable);
  });
}

/**
 * Of those that are named, as far as there is a way to their hosts.
 *
 * @throws AppError for one that its host does not know, and where dev-sessions does not answer.
 */
export async function usageOfNamed(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
): Promise<SessionUsage[]> {
  return await usageByHost(elsewhere, rows, async (group) => {
    try {
      return await usageOfHost(elsewhere, group, true);
    } catch (error) {
      if (!(error instanceof CarrierError)) throw error;
      return unasked(group, inFewWords(error));
    }
  });
}

async function usageByHost(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  ask: (group: readonly RemoteSession[]) => Promise<SessionUsage[]>,
): Promise<SessionUsage[]> {
  return (await Promise.all(elsewhere.byHost(rows).map(ask))).flat();
}

function unasked(group: readonly RemoteSession[], reason: string): SessionUsage[] {
  return group.map(({ id, host }) => ({ id, usage: null, unreachable: { host, reason } }));
}

/** @param strict throws for those that its host does not know, who are left out else. */
async function usageOfHost(
  elsewhere: Elsewhere,
  group: readonly RemoteSession[],
  strict: boolean,
): Promise<SessionUsage[]> {
  const known = await Promise.all(group.map(async (row) => {
    try {
      return (await elsewhere.reach(row, "usage")).row.id;
    } catch (error) {
      if (!strict && error instanceof AppError && error.code === "not_found") return null;
      throw error;
    }
  }));
  return await elsewhere.service(group[0]!).usage(known.filter((id) => id !== null));
}
