/** Requests with a key are carried out once: a repetition joins, is answered from memory, or hears that nobody knows. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { Repeats } from "../../../gateway/repeats.ts";

const ASKED = { caller: "t1", key: "k", again: false, operation: "kill", request: { ids: ["fizz-top"] } };

/** A clock that the test moves. */
function handClock() {
  let now = 0;
  const sleepers: { at: number; wake: () => void }[] = [];
  return {
    monotonic: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        sleepers.push({ at: now + ms, wake: resolve });
        signal?.addEventListener("abort", () => resolve());
      }),
    async pass(ms: number) {
      now += ms;
      for (const { at, wake } of sleepers) if (at <= now) wake();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    },
  };
}

function code(error: unknown): string {
  return error instanceof AppError ? error.code : String(error);
}

const never = () => new AbortController().signal;

Deno.test("the second attempt joins the first, and later ones get its answer", async () => {
  const repeats = new Repeats(handClock());
  const { promise, resolve } = Promise.withResolvers<string>();
  let runs = 0;
  const start = () => {
    runs++;
    return promise;
  };
  const both = [repeats.run(ASKED, start, never()), repeats.run({ ...ASKED, again: true }, start, never())];
  resolve("done");
  deepStrictEqual(await Promise.all(both), ["done", "done"]);
  strictEqual(await repeats.run({ ...ASKED, again: true }, start, never()), "done");
  strictEqual(runs, 1);
});

Deno.test("errors are answers, too, also one that is thrown at once", async () => {
  const repeats = new Repeats(handClock());
  let runs = 0;
  const start = () => {
    runs++;
    throw new AppError("refused", "no");
  };
  for (const again of [false, true]) {
    await rejects(repeats.run({ ...ASKED, again }, start, never()), (error) => code(error) === "refused");
  }
  strictEqual(runs, 1);
});

Deno.test("a repetition of what is not known is unproven and not carried out; a first attempt is", async () => {
  const repeats = new Repeats(handClock());
  let runs = 0;
  const start = () => Promise.resolve(++runs);
  await rejects(
    repeats.run({ ...ASKED, again: true }, start, never()),
    (error) => code(error) === "unproven",
  );
  strictEqual(runs, 0);
  strictEqual(await repeats.run(ASKED, start, never()), 1);
});

Deno.test("a key belongs to one caller and to one request", async () => {
  const repeats = new Repeats(handClock());
  let runs = 0;
  const start = () => Promise.resolve(++runs);
  strictEqual(await repeats.run(ASKED, start, never()), 1);
  strictEqual(await repeats.run({ ...ASKED, caller: "t2" }, start, never()), 2);
  for (const other of [{ operation: "prune" }, { request: { ids: ["riven-jg"] } }]) {
    await rejects(repeats.run({ ...ASKED, ...other }, start, never()), (error) => code(error) === "usage");
  }
  strictEqual(runs, 2);
});

Deno.test("answers are forgotten after ten minutes, when there are too many, and when they are too large", async () => {
  const clock = handClock();
  const repeats = new Repeats(clock);
  const known = async (key: string) => {
    try {
      return await repeats.run({ ...ASKED, key, again: true }, () => Promise.resolve("ran"), never());
    } catch (error) {
      return code(error);
    }
  };
  await repeats.run({ ...ASKED, key: "old" }, () => Promise.resolve("old"), never());
  await clock.pass(599_000);
  strictEqual(await known("old"), "old");
  await clock.pass(2_000);
  strictEqual(await known("old"), "unproven");

  strictEqual(
    await repeats.run({ ...ASKED, key: "large" }, () => Promise.resolve("x".repeat(300_000)), never()).then(
      (answer) => (answer as string).length,
    ),
    300_000,
  );
  strictEqual(await known("large"), "unproven");

  for (let index = 0; index < 1_100; index++) {
    await repeats.run({ ...ASKED, key: `n${index}` }, () => Promise.resolve(index), never());
  }
  deepStrictEqual([await known("n0"), await known("n1099")], ["unproven", 1_099]);
});

Deno.test("what its callers have given up is stopped after five seconds, unless one comes back", async () => {
  const clock = handClock();
  const repeats = new Repeats(clock);
  let stopped = false;
  const { promise, resolve } = Promise.withResolvers<string>();
  const start = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => stopped = true);
    return promise;
  };
  const first = new AbortController();
  const one = repeats.run(ASKED, start, first.signal);
  first.abort();
  await clock.pass(4_000);
  const second = new AbortController();
  const two = repeats.run({ ...ASKED, again: true }, start, second.signal);
  await clock.pass(2_000);
  strictEqual(stopped, false);
  second.abort();
  await clock.pass(5_000);
  strictEqual(stopped, true);
  resolve("stopped");
  deepStrictEqual(await Promise.all([one, two]), ["stopped", "stopped"]);
});

Deno.test("cancel() stops what runs at once, of this caller only", async () => {
  const repeats = new Repeats(handClock());
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = repeats.run(ASKED, (signal) => {
    signal.addEventListener("abort", () => resolve("stopped"));
    return promise;
  }, never());
  strictEqual(repeats.cancel("t2", "k"), false);
  strictEqual(repeats.cancel("t1", "k"), true);
  strictEqual(await running, "stopped");
  strictEqual(repeats.cancel("t1", "k"), false);
});

Deno.test("what was asked is not kept, however large", async () => {
  const repeats = new Repeats(handClock());
  const text = "x".repeat(1_000_000);
  await repeats.run({ ...ASKED, request: { text } }, () => Promise.resolve(1), never());
  const again = { ...ASKED, again: true };
  strictEqual(
    await repeats.run({ ...again, request: { text } }, () => Promise.resolve(2), never()),
    1,
  );
  await rejects(
    repeats.run({ ...again, request: { text: `${text}y` } }, () => Promise.resolve(2), never()),
    (error) => code(error) === "usage",
  );
});

Deno.test("an error that is thrown at once keeps nothing of its request", async () => {
  const repeats = new Repeats(handClock());
  const text = "x".repeat(1_000_000);
  const thrown = new AppError("not_found", "Session not found: fizz-top");
  const refuse = () => {
    Object.assign(thrown, { text });
    throw thrown;
  };
  for (const again of [false, true]) {
    await rejects(repeats.run({ ...ASKED, again }, refuse, never()), (error) => {
      deepStrictEqual([code(error), error !== thrown, "text" in Object(error)], ["not_found", true, false]);
      return true;
    });
  }
});

Deno.test("who asks much pushes out its own answers", async () => {
  const repeats = new Repeats(handClock());
  const run = (caller: string, key: string, again: boolean) =>
    repeats.run({ ...ASKED, caller, key, again }, () => Promise.resolve(caller), never());
  await run("quiet", "k", false);
  for (let index = 0; index < 1_500; index++) await run("busy", `k${index}`, false);
  strictEqual(await run("quiet", "k", true), "quiet");
  await rejects(run("busy", "k0", true), (error) => code(error) === "unproven");
});
