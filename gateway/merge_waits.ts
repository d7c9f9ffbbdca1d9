/** The waits of several places as one. */

import type { WaitResult } from "../lib/service.ts";
import { CarrierError } from "./carrier.ts";

/**
 * Yields what the waits come to, as it comes. With `any` it is over with the first of all that did not time out; only
 * when all have timed out, that is told of each. A place that can't be reached is told of after the others have
 * come to their end; every other error at once.
 *
 * @param begin begins each of the waits; its signal ends them.
 */
export async function* mergeWaits(
  begin: (signal: AbortSignal) => readonly AsyncIterable<WaitResult>[],
  any: boolean,
  signal: AbortSignal,
): AsyncGenerator<WaitResult> {
  const over = new AbortController();
  const waits = begin(AbortSignal.any([signal, over.signal])).map((wait) => wait[Symbol.asyncIterator]());
  type Next = {
    readonly index: number;
    readonly next: IteratorResult<WaitResult> | { readonly error: unknown };
  };
  const advance = (index: number): Promise<Next> =>
    waits[index]!.next().then((next) => ({ index, next }), (error) => ({ index, next: { error } }));
  const open = new Map(waits.map((_, index) => [index, advance(index)]));
  const timedOut: WaitResult[] = [];
  let unreachable: CarrierError | null = null;
  try {
    while (open.size > 0) {
      const { index, next } = await Promise.race(open.values());
      if ("error" in next) {
        open.delete(index);
        if (!(next.error instanceof CarrierError)) throw next.error;
        unreachable ??= next.error;
        continue;
      }
      if (next.done) {
        open.delete(index);
        continue;
      }
      open.set(index, advance(index));
      const result = next.value;
      if (any && result.outcome.outcome === "timed_out") {
        timedOut.push(result);
        continue;
      }
      yield result;
      if (any) return;
    }
    yield* timedOut;
    if (unreachable !== null) throw unreachable;
  } finally {
    over.abort();
    await Promise.allSettled([...open.values()]);
  }
}
