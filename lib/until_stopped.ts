/**
 * Waits that end early. Each has a promise of its own: one that outlives its waits would hold what every one of them came
 * to, since `Promise.race()` never takes back what it adds.
 */

import type { Clock } from "./deps.ts";

/** Instead of what was waited for. */
export const STOPPED: unique symbol = Symbol("stopped");

/** What the work comes to, or `STOPPED` as soon as the signal aborts; leaves nothing on the signal. */
export async function untilStopped<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | typeof STOPPED> {
  const stopped = Promise.withResolvers<typeof STOPPED>();
  const stop = () => stopped.resolve(STOPPED);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  try {
    return await Promise.race([stopped.promise, work]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Aborts after so long, unless `done` comes first: then it never does, and its timer is gone. */
export function signalAfter(clock: Pick<Clock, "sleep">, ms: number, done: AbortSignal): AbortSignal {
  const late = new AbortController();
  void clock.sleep(ms, done).then(() => {
    if (!done.aborted) late.abort();
  });
  return late.signal;
}
