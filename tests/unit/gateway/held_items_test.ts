/** Waits leave nothing behind: on a signal that lives for days there are no listeners of those that are over. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Credit } from "../../../gateway/credit.ts";
import { signalAfter, STOPPED, untilStopped } from "../../../lib/until_stopped.ts";
import { withinTime } from "../../../gateway/within_time.ts";
import { realClock } from "../../../lib/real_deps.ts";
import { countedSignal, Held } from "../../support/heap.ts";

const ITEMS = 2_000;

Deno.test("withinTime() holds none of the items that were taken", async () => {
  const held = new Held();
  async function* items() {
    for (let n = 0; n < ITEMS; n++) yield await Promise.resolve(held.of({ n }));
  }
  const { stop, listeners } = countedSignal();
  const limit = { ms: 600_000, clock: realClock, signal: stop.signal, tooLate: () => new Error("late") };
  const stream = withinTime(items, limit);
  for (let n = 0; n < ITEMS; n++) await stream.next();
  const count = await held.count();
  ok(count < 10, `${count} of ${ITEMS} are held`);
  await stream.return(undefined);
  strictEqual(listeners(), 0);
});

Deno.test("untilStopped() has one listener for as long as it waits", async (t) => {
  const broken = new Error("broken");
  const cases: Record<string, { work: Promise<unknown>; stops: boolean; comesTo: unknown }> = {
    "what comes": { work: Promise.resolve(7), stops: false, comesTo: 7 },
    "what fails": { work: Promise.reject(broken), stops: false, comesTo: broken },
    "what never comes": { work: new Promise(() => {}), stops: true, comesTo: STOPPED },
  };
  for (const [name, { work, stops, comesTo }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { stop, listeners } = countedSignal();
      const got = untilStopped(work, stop.signal).catch((error) => error);
      strictEqual(listeners(), 1);
      if (stops) stop.abort();
      strictEqual(await got, comesTo);
      strictEqual(listeners(), 0);
    });
  }
  strictEqual(await untilStopped(Promise.resolve(7), AbortSignal.abort()), STOPPED);
});

Deno.test("Credit.take() leaves no listener, however often it ran out", async () => {
  const { stop, listeners } = countedSignal();
  const credit = new Credit(0);
  for (let time = 0; time < 100; time++) {
    const taken = credit.take(stop.signal);
    deepStrictEqual([time, listeners()], [time, 1]);
    credit.add(1);
    await taken;
  }
  strictEqual(listeners(), 0);
  const last = credit.take(stop.signal);
  stop.abort();
  await last;
});

Deno.test("signalAfter() aborts when its time is up, and never once it is done", async () => {
  const naps: { readonly ms: number; readonly wake: () => void }[] = [];
  const clock = {
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        naps.push({ ms, wake: resolve });
        signal?.addEventListener("abort", () => resolve());
      }),
  };
  const done = new AbortController();
  const [late, never] = [
    signalAfter(clock, 5_000, new AbortController().signal),
    signalAfter(clock, 9, done.signal),
  ];
  deepStrictEqual([late.aborted, naps.map(({ ms }) => ms)], [false, [5_000, 9]]);
  naps[0]!.wake();
  done.abort();
  await Promise.resolve();
  deepStrictEqual([late.aborted, never.aborted], [true, false]);
});
