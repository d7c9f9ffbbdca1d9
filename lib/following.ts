/** A conversation that is read on as it grows, to the end of its session. */

import type { Backend } from "../backends/backend.ts";
import type { Clock } from "./deps.ts";
import type { Reach } from "./reach.ts";
import type { LogEntry, Session } from "./session.ts";

/** From the end of an agent to the word of the `kill` that has ended it, with room for a busy machine. */
const DEATH_PATIENCE_MS = 900;

/** Ends with the session, or with the signal. */
export async function* followLog(
  session: Session,
  backend: Backend,
  reach: Reach,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const log = await backend.openLog(session);
  let deadSince: number | null = null;
  for await (const _ of backend.watch(session, null, signal)) {
    // Looked at first, so that what was said before the end is read below.
    const now = reach.current(session);
    const dead = now === null || now.lifecycle === "ended" || (await reach.dead([now])).length > 0;
    yield* log.read();
    if (signal.aborted) return;
    if (!dead) continue;
    deadSince ??= clock.monotonic();
    // Whoever has ended it says so in a moment.
    if (now?.lifecycle === "active" && clock.monotonic() - deadSince < DEATH_PATIENCE_MS) continue;
    if (now !== null) await reach.noticeDeath(now);
    return yield* log.end();
  }
}
