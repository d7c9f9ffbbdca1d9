/** Wakes a waiter when a thread's evidence may have changed: by what the server says, with a slow poll as the net. */

import type { Clock } from "../../lib/deps.ts";
import type { SessionEvent } from "../../lib/session.ts";
import { keepRetry } from "./kept_retry.ts";
import { napUntilHeard } from "./nap.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";
import { AppError } from "../../lib/errors.ts";

/** Beside a working subscription. */
const NET_POLL_MS = 5_000;
/** While nothing is heard: no server, or a thread that is not loaded. */
const BLIND_POLL_MS = 500;

/** Yields at once, then after what was heard (several at once are one) and at least every `pollMs`, until the signal. */
export async function* watchThread(
  thread: SessionThread,
  pollMs: number | null,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<SessionEvent> {
  const { follower } = thread;
  for (;;) {
    const hears = await listenIfLoaded(thread, signal);
    const { heard, losses } = follower;
    yield { type: "evidence_changed" };
    if (signal.aborted) return;
    keepWhatRetries(thread);
    // What was heard during the look, e.g. the loss of the connection, is looked at right away.
    const ms = pollMs ?? (hears ? NET_POLL_MS : BLIND_POLL_MS);
    await napUntilHeard(follower, heard, { ms, clock, signal });
    if (signal.aborted) return;
    // A server that is gone for good is not asked without a pause.
    if (follower.losses > losses + 1) await clock.sleep(BLIND_POLL_MS, signal);
  }
}

/** A thread that is not loaded is left so: loading it would make its goal go on. */
async function listenIfLoaded(thread: SessionThread, signal: AbortSignal): Promise<boolean> {
  if (thread.follower.subscribed) return true;
  try {
    const server = await thread.link.server("find", signal);
    if (server === null) return false;
    return await thread.subscribe(server.connection, { load: false, signal });
  } catch (error) {
    if (signal.aborted || error instanceof AppError || isServersFault(error)) return false;
    throw error;
  }
}

function keepWhatRetries(thread: SessionThread): void {
  const last = thread.follower.lastRetry;
  if (last !== null) keepRetry(thread.retryFile, last.turnId, last.said);
}
