/** Ends a stream whose other end has fallen silent, and does not wait for what it may be stuck in. */

import type { Clock } from "../lib/deps.ts";
import { signalAfter, STOPPED, untilStopped } from "../lib/until_stopped.ts";

export interface TimeLimit {
  readonly ms: number;
  readonly clock: Pick<Clock, "sleep">;
  readonly signal: AbortSignal;
  /** What the stream ends with when the time is up; its own end and the signal come without. */
  readonly tooLate: () => Error;
}

/** @param open given a signal that follows when the time is up, or nobody reads on. */
export async function* withinTime<T>(
  open: (stop: AbortSignal) => AsyncIterable<T>,
  { ms, clock, signal, tooLate }: TimeLimit,
): AsyncGenerator<T> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const late = signalAfter(clock, ms, stop);
  const end = AbortSignal.any([signal, late]);
  const items = open(stop)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilStopped(items.next(), end);
      if (next === STOPPED) throw tooLate();
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    // Whoever has given the signal knows.
    if (!signal.aborted) throw error;
  } finally {
    over.abort();
    void Promise.resolve(items.return?.()).catch(() => {});
  }
}
