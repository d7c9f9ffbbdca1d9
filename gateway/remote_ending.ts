/** Ends and forgets sessions of other hosts. What a host does not know any more is forgotten here, too. */

import { AppError, messageOf } from "../lib/errors.ts";
import { endedBefore } from "../lib/pruning.ts";
import type { RemoteSession } from "../lib/remote_session.ts";
import type { KillResult, PruneResult, WorktreeRemoval } from "../lib/service.ts";
import type { SessionId } from "../lib/session.ts";
import { type Elsewhere, isUnreachable, type Reached } from "./elsewhere.ts";
import { quote } from "./ssh/command.ts";

interface Failed {
  readonly id: SessionId;
  readonly reason: string;
}

/** What became of each, and of the failures which ones were of the transport. */
export interface Ending<T> {
  readonly result: T;
  readonly unreachable: readonly AppError[];
}

export async function killElsewhere(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  tree: boolean,
): Promise<Ending<KillResult>> {
  const killed: SessionId[] = [];
  const failed: Failed[] = [];
  const worktrees: WorktreeRemoval[] = [];
  const unreachable: AppError[] = [];
  const { store, deps } = elsewhere.world;
  await eachHost(elsewhere, rows, "kill", { failed, unreachable }, async (reached) => {
    const ids = reached.map(({ row }) => row.id);
    const { host } = reached[0]!.row;
    const result = await reached[0]!.service.kill({ ids, tree, everyone: true, caller: null });
    for (const { row } of reached) {
      const failure = result.failed.find(({ id }) => id === row.id);
      if (failure !== undefined) {
        failed.push({ id: row.id, reason: `Remote kill on ${host} failed: ${failure.reason}` });
      }
      if (!result.killed.includes(row.id)) continue;
      killed.push(row.id);
      store.endRemote(row, { at: new Date(deps.clock.now()).toISOString(), reason: "killed" });
    }
    for (const one of result.worktrees ?? []) if (ids.includes(one.id)) worktrees.push(on(host, one));
  });
  return { result: { killed, failed, worktrees }, unreachable };
}

/** @param rows of which those that have not ended, or can't be asked, fail. */
export async function pruneElsewhere(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
): Promise<Ending<PruneResult>> {
  const forgotten: { id: SessionId; worktree: string | null }[] = [];
  const failed: Failed[] = [];
  const unreachable: AppError[] = [];
  const { store } = elsewhere.world;
  const gone = (row: RemoteSession) => void forgotten.push({ id: row.id, worktree: null });
  await eachHost(elsewhere, rows, "prune", { failed, unreachable, gone }, async (reached) => {
    const { host } = reached[0]!.row;
    const result = await reached[0]!.service.prune({ ids: reached.map(({ row }) => row.id) });
    for (const { row } of reached) {
      const failure = result.failed.find(({ id }) => id === row.id);
      if (failure !== undefined) {
        failed.push({ id: row.id, reason: `Remote prune on ${host} failed: ${failure.reason}` });
      }
      const done = result.forgotten.find(({ id }) => id === row.id);
      if (done === undefined) continue;
      store.forgetRemote(row);
      forgotten.push({ id: row.id, worktree: done.worktree === null ? null : `${host}:${done.worktree}` });
    }
  });
  return { result: { forgotten, failed, keys: 0 }, unreachable };
}

/** @param before milliseconds since the epoch. */
export function endedRowsBefore(rows: readonly RemoteSession[], before: number): RemoteSession[] {
  return rows.filter((row) => row.lifecycle === "ended" && endedBefore({ ...row, resumer: null }, before));
}

/** Rows that their hosts say were used after that time are left out; those of hosts that can't be asked stay. */
export async function unusedSince(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  before: number,
): Promise<RemoteSession[]> {
  const candidates = rows.filter((row) => Date.parse(row.lastUsedAt) < before);
  const looks = candidates.map(async (row) => {
    try {
      const { session } = await elsewhere.reach(row, "kill");
      return Date.parse(session.lastUsedAt) < before ? [row] : [];
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return [row];
    }
  });
  return (await Promise.all(looks)).flat();
}

/** Does something to the sessions of each host, all hosts at once; whatever happens with one, the others get it. */
async function eachHost(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  verb: "kill" | "prune",
  into: {
    readonly failed: Failed[];
    readonly unreachable: AppError[];
    readonly gone?: (row: RemoteSession) => void;
  },
  act: (reached: readonly Reached[]) => Promise<void>,
): Promise<void> {
  const { store } = elsewhere.world;
  const fail = (row: RemoteSession, error: unknown) => {
    if (!(error instanceof AppError)) throw error;
    if (isUnreachable(error)) into.unreachable.push(error);
    into.failed.push({ id: row.id, reason: messageOf(error) });
  };
  await Promise.all(
    elsewhere.byHost(rows).map(async (group) => {
      const reached: Reached[] = [];
      for (const row of group) {
        try {
          reached.push(await elsewhere.reach(row, verb));
        } catch (error) {
          if (error instanceof AppError && error.code === "not_found") {
            store.forgetRemote(row);
            into.gone?.(row);
          } else fail(row, error);
        }
      }
      if (reached.length === 0) return;
      try {
        await act(reached);
      } catch (error) {
        for (const { row } of reached) fail(row, error);
      }
    }),
  );
}

/** A worktree of that host, for people of this one. */
function on(host: string, removal: WorktreeRemoval): WorktreeRemoval {
  const { path, command } = removal;
  return {
    ...removal,
    path: `${host}:${path}`,
    command: command === null ? null : `ssh ${host} ${quote(command)}`,
  };
}
