/** Waits for the server's next word on a thread, for a while; nothing of the wait is left behind. */

import type { Clock } from "../../lib/deps.ts";
import type { Follower } from "./follower.ts";

/** Until something is heard after `heard`, for at most `ms`, and no longer than the signal lets it. Never throws. */
export async function napUntilHeard(
  follower: Follower,
  heard: number,
  { ms, clock, signal }: { readonly ms: number; readonly clock: Clock; readonly signal?: AbortSignal },
): Promise<void> {
  const over = new AbortController();
  const stop = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  try {
    await Promise.race([follower.changedSince(heard, stop), clock.sleep(ms, stop)]);
  } finally {
    over.abort();
  }
}
