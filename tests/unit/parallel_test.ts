/** Several pieces of work at a time. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { asCompleted } from "../../lib/parallel.ts";

const NEVER = new AbortController().signal;

Deno.test("asCompleted() yields each result as soon as it is known, with a bound on what runs at once", async () => {
  let [running, most] = [0, 0];
  const gates = Array.from({ length: 7 }, () => Promise.withResolvers<void>());
  const work = async (index: number) => {
    most = Math.max(most, ++running);
    await gates[index]!.promise;
    running--;
    return index;
  };
  const results: number[] = [];
  const order = [2, 0, 1, 4, 3, 6, 5];
  gates[order[0]!]!.resolve();
  for await (const result of asCompleted(gates.map((_, index) => index), 3, work, NEVER)) {
    results.push(result);
    gates[order[results.length] ?? 0]!.resolve();
  }
  deepStrictEqual(results, order);
  strictEqual(most, 3);
});

Deno.test("asCompleted() of nothing ends", async () => {
  deepStrictEqual(await Array.fromAsync(asCompleted([], 8, () => Promise.resolve(1), NEVER)), []);
});

Deno.test("asCompleted() goes on when its reader stops", async () => {
  const done: number[] = [];
  const work = async (item: number) => {
    await Promise.resolve();
    done.push(item);
    return item;
  };
  for await (const _ of asCompleted([1, 2, 3, 4, 5], 2, work, NEVER)) break;
  deepStrictEqual(done, [1, 2, 3, 4, 5]);
});

Deno.test("asCompleted() begins nothing after the signal, and ends what it has begun", async () => {
  const stop = new AbortController();
  const begun: number[] = [];
  const work = async (item: number) => {
    begun.push(item);
    stop.abort();
    await Promise.resolve();
    return item;
  };
  const results = await Array.fromAsync(asCompleted([1, 2, 3, 4], 1, work, stop.signal));
  deepStrictEqual([begun, results], [[1], [1]]);
  ok(stop.signal.aborted);
});
