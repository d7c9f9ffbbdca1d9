/** Ends sessions one after the other: what can't be ended is told, and stops none of the others. */

import type { Deps } from "./deps.ts";
import { messageOf } from "./errors.ts";
import { sessionsToKill } from "./kill_order.ts";
import type { Reach } from "./reach.ts";
import type { KillResult, KillSelector, WorktreeRemoval } from "./service.ts";
import { assertStarted, isAtWork } from "./session_checks.ts";
import type { Session, SessionId } from "./session.ts";
import type { Store } from "./store.ts";
import { isBeingResumed } from "./store/revival.ts";

export interface KillContext {
  readonly deps: Deps;
  readonly store: Store;
  readonly reach: Reach;
  readonly rollBackAbandoned: () => Promise<void>;
}

/** @throws AppError for an id that is not in the registry, and for what the caller may not end; then none is ended. */
export async function killSessions(selector: KillSelector, context: KillContext): Promise<KillResult> {
  const { deps, store, reach, rollBackAbandoned } = context;
  const killed: SessionId[] = [];
  const released: Session[] = [];
  const failed: { id: SessionId; reason: string }[] = [];
  const worktrees: WorktreeRemoval[] = [];
  for await (const session of sessionsToKill(selector, { store, clock: deps.clock, rollBackAbandoned })) {
    try {
      // Neither killed nor failed: it had ended before.
      if (!isAtWork(session)) {
        await tidyWorktree(session, worktrees, context);
        continue;
      }
      if (session.lifecycle === "ended") throw isBeingResumed(session.id, "kill");
      assertStarted(session, "kill");
      const reached = await reach.reach(session.id);
      await (await reach.backend(session.agent)).kill(reached);
      reach.markKilled(session, "killed");
      killed.push(session.id);
      released.push(reached);
      await tidyWorktree(session, worktrees, context);
    } catch (error) {
      failed.push({ id: session.id, reason: messageOf(error) });
    }
  }
  await reach.release(released);
  return { killed, failed, worktrees };
}

/** Only of a session that is ended: then its agent is proven to be dead. */
async function tidyWorktree(
  session: Session,
  into: WorktreeRemoval[],
  { deps, store }: KillContext,
): Promise<void> {
  if (session.worktree === null) return;
  const current = store.find(session.id);
  if (current?.token !== session.token || current.lifecycle !== "ended") return;
  const { Worktrees } = await import("./worktree.ts");
  const removal = await new Worktrees(deps, store).removeUnlessNeeded(current);
  if (removal !== null) into.push(removal);
}
