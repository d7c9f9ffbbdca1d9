/** Ends and forgets sessions of other hosts. What a host does not know any more is forgotten here, too. */

import { AppError, messageOf } from "../lib/errors.ts";
import { endedBefore } from "../lib/pruning.ts";
import type { RemoteSession } from "../lib/remote_session.ts";
import type { Failure, KillResult, PruneResult, WorktreeRemoval } from "../lib/service.ts";
import type { Session, SessionId } from "../lib/session.ts";
import { cannotBeAsked, type Elsewhere, type Reached } from "./elsewhere.ts";
import { quote } from "./ssh/command.ts";

/** A session whose host can't be asked. */
interface Lost {
  readonly row: RemoteSession;
  readonly error: AppError;
}

/** What became of each, and which of the failures are of hosts that can't be asked. */
export interface Ending<T> {
  readonly result: T;
  readonly lost: readonly Lost[];
}

/**
 * With `tree` also what those over there have started: what of it could not be ended, or was kept, is told.
 *
 * @param known what keeps some of them from being asked.
 */
export async function killElsewhere(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  tree: boolean,
  known: Known = new Map(),
): Promise<Ending<KillResult>> {
  const killed: SessionId[] = [];
  const failed: Failure[] = [];
  const worktrees: WorktreeRemoval[] = [];
  const lost: Lost[] = [];
  const { store, deps } = elsewhere.world;
  await eachHost(elsewhere, rows, "kill", {
    known,
    failed: (id, failure) => void failed.push({ id, ...failure }),
    lost: (one) => {
      lost.push(one);
      failed.push({ id: one.row.id, reason: lostReason(one.error, [one.row.id]) });
    },
    unknownThere: (row) => void store.forgetRemote(row),
    act: async (reached) => {
      const ids = reached.map(({ row }) => row.id);
      const { host } = reached[0]!.row;
      const result = await reached[0]!.service.kill({ ids, tree, everyone: true, caller: null });
      for (const { id, reason } of result.failed) {
        failed.push({ id, reason: `Remote kill on ${host} failed: ${reason}` });
      }
      for (const { row } of reached) {
        if (!result.killed.includes(row.id)) continue;
        killed.push(row.id);
        store.endRemote(row, { at: new Date(deps.clock.now()).toISOString(), reason: "killed" });
      }
      for (const one of result.worktrees ?? []) worktrees.push(on(host, one));
    },
    isDone: ({ row, session }, now) => {
      if (now !== null && now.lifecycle !== "ended") return false;
      if (now === null) store.forgetRemote(row);
      if (session.lifecycle !== "ended") killed.push(row.id);
      return true;
    },
  });
  return { result: { killed, failed, worktrees }, lost };
}

/**
 * @param rows of which those that have not ended fail.
 * @param unreachable those whose host can't be asked are forgotten here alone; else they fail, too.
 */
export async function pruneElsewhere(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  unreachable: boolean,
): Promise<Ending<PruneResult>> {
  const forgotten: PruneResult["forgotten"][number][] = [];
  const failed: Failure[] = [];
  const lost: Lost[] = [];
  const { store } = elsewhere.world;
  const forget = (row: RemoteSession, more: { worktree: string | null; leftOn?: string }) => {
    store.forgetRemote(row);
    forgotten.push({ id: row.id, ...more });
  };
  await eachHost(elsewhere, rows, "prune", {
    known: new Map(),
    failed: (id, failure) => void failed.push({ id, ...failure }),
    lost: (one) => {
      const { row, error } = one;
      if (unreachable) return forget(row, { worktree: null, leftOn: row.host });
      lost.push(one);
      failed.push({ id: row.id, reason: lostReason(error, [row.id]) });
    },
    unknownThere: (row) => forget(row, { worktree: null }),
    act: async (reached) => {
      const { host } = reached[0]!.row;
      const result = await reached[0]!.service.prune({ ids: reached.map(({ row }) => row.id) });
      for (const { id, reason } of result.failed) {
        failed.push({ id, reason: `Remote prune on ${host} failed: ${reason}` });
      }
      for (const { row } of reached) {
        const done = result.forgotten.find(({ id }) => id === row.id);
        if (done === undefined) continue;
        forget(row, { worktree: done.worktree === null ? null : `${host}:${done.worktree}` });
      }
    },
    isDone: ({ row }, now) => {
      if (now === null) forget(row, { worktree: null });
      return now === null;
    },
  });
  return { result: { forgotten, failed, keys: 0 }, lost };
}

/** What to throw when there is nothing else to be told. */
export function lostError(lost: readonly Lost[]): AppError | null {
  const causes = [...Map.groupBy(lost, ({ error }) => error)];
  const [first] = causes;
  if (first === undefined) return null;
  const [message = "", ...others] = causes.map(([error, rows]) =>
    lostReason(error, rows.map(({ row }) => row.id))
  );
  const [cause] = first;
  const detail = [cause.detail, ...others].filter((line) => line !== null).join("\n") || null;
  return new AppError(cause.code, message, detail, { cause });
}

function lostReason({ message }: AppError, ids: readonly SessionId[]): string {
  const what = ids.length === 1 ? "the session" : "the sessions";
  return `${message}${
    /[.?!]$/.test(message) ? " If" : "; if"
  } that stays so, forget ${what} here only, with: ` +
    `dev-sessions prune --unreachable ${ids.join(" ")}`;
}

/** @param before milliseconds since the epoch. */
export function endedRowsBefore(rows: readonly RemoteSession[], before: number): RemoteSession[] {
  return rows.filter((row) => row.lifecycle === "ended" && endedBefore({ ...row, resumer: null }, before));
}

/**
 * Why sessions could not be asked after. They are not asked again: nobody would wait for that, and what would be done to
 * one that answers then has not been decided.
 */
type Known = ReadonlyMap<SessionId, AppError>;

/**
 * Rows that their hosts say were used after that time are left out; those of which they do not say stay, and why is known
 * then.
 */
export async function unusedSince(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  before: number,
): Promise<{ readonly rows: RemoteSession[]; readonly known: Known }> {
  const candidates = rows.filter((row) => Date.parse(row.lastUsedAt) < before);
  const known = new Map<SessionId, AppError>();
  const looks = candidates.map(async (row) => {
    try {
      const { session } = await elsewhere.reach(row, "kill");
      return Date.parse(session.lastUsedAt) < before ? [row] : [];
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      known.set(row.id, error);
      return [row];
    }
  });
  return { rows: (await Promise.all(looks)).flat(), known };
}

interface Work {
  readonly known: Known;
  failed(id: SessionId, failure: Omit<Failure, "id">): void;
  lost(one: Lost): void;
  /** Its host does not know it any more, or has another one by its name. */
  unknownThere(row: RemoteSession): void;
  act(reached: readonly Reached[]): Promise<void>;
  /** Whether it has been done all the same, when the answer was lost; `now` null: its host does not know it any more. */
  isDone(reached: Reached, now: Session | null): boolean;
}

/**
 * Does something to the sessions of each host, all hosts at once; whatever happens with one, the others get it. A host
 * that can't be asked after one session is not asked after the next.
 */
async function eachHost(
  elsewhere: Elsewhere,
  rows: readonly RemoteSession[],
  verb: "kill" | "prune",
  work: Work,
): Promise<void> {
  const reach = async (row: RemoteSession): Promise<Reached | AppError> => {
    try {
      const known = work.known.get(row.id);
      return known ?? await elsewhere.reach(row, verb);
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  };
  const fail = (row: RemoteSession, error: AppError) => {
    if (cannotBeAsked(error)) work.lost({ row, error });
    else work.failed(row.id, { reason: messageOf(error) });
  };
  const afterLoss = async (one: Reached, error: AppError) => {
    const now = await reach(one.row);
    const isKnown = !(now instanceof AppError) || now.code === "not_found";
    if (isKnown && work.isDone(one, now instanceof AppError ? null : now.session)) return;
    work.failed(one.row.id, { reason: messageOf(error), unproven: true });
  };
  await Promise.all(
    elsewhere.byHost(rows).map(async (group) => {
      const [first, ...others] = group;
      const lead = await reach(first!);
      const isLost = lead instanceof AppError && cannotBeAsked(lead);
      const found = [lead, ...isLost ? others.map(() => lead) : await Promise.all(others.map(reach))];
      const reached: Reached[] = [];
      for (const [index, row] of group.entries()) {
        const one = found[index]!;
        if (!(one instanceof AppError)) reached.push(one);
        else if (one.code === "not_found") work.unknownThere(row);
        else fail(row, one);
      }
      if (reached.length === 0) return;
      try {
        await work.act(reached);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (error.code === "unproven") await Promise.all(reached.map((one) => afterLoss(one, error)));
        else for (const { row } of reached) fail(row, error);
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
