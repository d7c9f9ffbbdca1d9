/**
 * Ends sessions that nobody has used for long, when the user has asked for it: only such as are proven to rest, and
 * never the one that runs this command, nor those that it descends from.
 */

import type { Backend } from "../backends/backend.ts";
import type { Deps } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";
import { withAncestors } from "./limits.ts";
import type { AgentKind, Session, SessionId } from "./session.ts";
import type { Store } from "./store.ts";

/** Between looks, over all processes. */
const INTERVAL_MS = 60_000;

export interface IdleContext {
  readonly deps: Deps;
  readonly store: Store;
  readonly backend: (agent: AgentKind) => Promise<Backend | null>;
  readonly markKilled: (session: Session, reason: string) => void;
}

/** Says on stderr what it has ended. */
export async function endIdleSessions(
  after: { readonly ms: number; readonly text: string },
  { deps, store, backend, markKilled }: IdleContext,
): Promise<void> {
  if (!store.isDue("idle_check", INTERVAL_MS)) return;
  const say = (line: string) => deps.terminal.writeErr(`[dev-sessions] ${line}\n`);
  let spared: ReadonlySet<SessionId>;
  try {
    spared = withAncestors(deps.env["DEV_SESSIONS_ID"] || null, (id) => store.find(id));
  } catch (error) {
    return say(`no idle session was ended: ${messageOf(error)}`);
  }
  const reason = `idle for ${after.text}`;
  for (const session of store.list({ lifecycle: "active" })) {
    if (!mayBeIdle(session, deps.clock.now() - after.ms, spared)) continue;
    try {
      if (!await (await backend(session.agent))?.endIfIdle(session, after.ms)) continue;
    } catch (error) {
      // Not what this command is about: it is looked at again later.
      if (!(error instanceof AppError)) {
        say(`whether ${session.id} is idle can't be told: ${messageOf(error)}`);
      }
      continue;
    }
    markKilled(session, reason);
    say(`ended ${session.id}: ${reason}. Bring it back with: dev-sessions resume ${session.id}`);
  }
}

/** What the row alone says: not used since `before`, milliseconds since the epoch. Pure. */
export function mayBeIdle(
  session: Pick<Session, "id" | "handle" | "lastUsedAt">,
  before: number,
  spared: ReadonlySet<SessionId>,
): boolean {
  return session.handle !== null && !spared.has(session.id) &&
    Date.parse(session.lastUsedAt) <= before;
}
