/**
 * Forgets ended sessions: row, deliveries, folder, events. Never one that lives or whose state is unknown, and nothing of the
 * agent's own records.
 */

import type { Deps } from "./deps.ts";
import { AppError } from "./errors.ts";
import { isFile, isFolder } from "./files.ts";
import type { Paths } from "./paths.ts";
import { removeTree } from "./remove_tree.ts";
import type { PruneResult, PruneSelector } from "./service.ts";
import type { Session, SessionId } from "./session.ts";
import type { Store } from "./store.ts";
import { isBeingResumed } from "./store/revival.ts";

export interface PruneContext {
  readonly deps: Deps;
  readonly paths: Paths;
  readonly store: Store;
  /** @throws AppError when there is none. */
  readonly find: (id: SessionId) => Session;
  /** Marks a session whose agent is proven to be dead as ended and returns its row; else null. */
  readonly noticeDeath: (session: Session) => Promise<Session | null>;
}

/** @throws AppError for an id that is not in the registry; then nothing is forgotten. */
export async function prune(selector: PruneSelector, context: PruneContext): Promise<PruneResult> {
  const { deps, store } = context;
  const failed: { id: SessionId; reason: string }[] = [];
  const chosen: Session[] = [];
  let keys = 0;
  if ("ids" in selector) {
    for (const session of [...new Set(selector.ids)].map(context.find)) {
      try {
        chosen.push(await assertEnded(session, context));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        failed.push({ id: session.id, reason: error.message });
      }
    }
  } else {
    const before = deps.clock.now() - selector.olderThanMs;
    chosen.push(...store.list({ lifecycle: "ended" }).filter((session) => endedBefore(session, before)));
    keys = store.forgetKeys(new Date(before).toISOString());
  }
  const done = new Set(store.forget(chosen).map(({ token }) => token));
  await forgetFolders(context);
  return {
    forgotten: chosen.filter(({ token }) => done.has(token)).map((session) => ({
      id: session.id,
      worktree: session.worktree !== null && isFolder(session.worktree.path) ? session.worktree.path : null,
    })),
    failed,
    keys,
  };
}

async function assertEnded(session: Session, { noticeDeath }: PruneContext): Promise<Session> {
  if (session.lifecycle === "ended") {
    if (session.resumer !== null) throw isBeingResumed(session.id, "forget");
    return session;
  }
  const ended = session.lifecycle === "active" ? await noticeDeath(session) : null;
  if (ended !== null) return ended;
  throw new AppError(
    "failure",
    `Cannot forget "${session.id}": it has not ended, or that can't be told. ` +
      `End it with: dev-sessions kill ${session.id}`,
  );
}

/** @param before milliseconds since the epoch. Pure. */
export function endedBefore(
  { endedAt, lastUsedAt, resumer }: Pick<Session, "endedAt" | "lastUsedAt" | "resumer">,
  before: number,
): boolean {
  // 0.4.4 did not keep when a session ended.
  return resumer === null && Date.parse(endedAt ?? lastUsedAt) < before;
}

/** What forgotten sessions have outside of the registry; also what a killed `prune` left of them. */
async function forgetFolders({ deps, paths, store }: PruneContext): Promise<void> {
  const tokens = store.leftToForget();
  if (tokens.length === 0) return;
  await forgetEvents(paths, tokens);
  const gone: string[] = [];
  const failures: AppError[] = [];
  for (const token of tokens) {
    try {
      await removeTree(paths.sessionFolder(token), deps);
      gone.push(token);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      failures.push(error);
    }
  }
  store.forgotten(gone);
  // Once all others are done; it is tried again by the next one.
  for (const { message } of failures) deps.terminal.writeErr(`[dev-sessions] ${message}\n`);
}

async function forgetEvents(paths: Paths, tokens: readonly string[]): Promise<void> {
  if (!isFile(paths.events)) return;
  const { openEventStore } = await import("./store/events.ts");
  const log = openEventStore(paths);
  try {
    for (const token of tokens) log.forget(token);
  } finally {
    log.close();
  }
}
