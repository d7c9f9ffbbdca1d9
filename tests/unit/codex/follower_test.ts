/** Waits for what a server says: woken by it, or over in time, and never left behind. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Follower } from "../../../backends/codex/follower.ts";
import { napUntilHeard } from "../../../backends/codex/nap.ts";
import { realClock as clock } from "../../../lib/real_deps.ts";

const NAPS = 500;

Deno.test("changedSince() resolves at once for what was heard already, and for who no longer waits", async () => {
  const follower = new Follower();
  const { heard } = follower;
  follower.lost();
  await follower.changedSince(heard, new AbortController().signal);
  await follower.changedSince(follower.heard, AbortSignal.abort());
  strictEqual(follower.waiting, 0);
});

Deno.test("changedSince() wakes all who wait, and keeps none of them", async () => {
  const follower = new Follower();
  const [one, other] = [new AbortController(), new AbortController()];
  const woken: string[] = [];
  const waits = [
    follower.changedSince(follower.heard, one.signal).then(() => woken.push("given up")),
    follower.changedSince(follower.heard, other.signal).then(() => woken.push("heard")),
  ];
  strictEqual(follower.waiting, 2);
  one.abort();
  await waits[0];
  deepStrictEqual([woken, follower.waiting], [["given up"], 1]);
  follower.lost();
  await waits[1];
  deepStrictEqual([woken, follower.waiting], [["given up", "heard"], 0]);
});

Deno.test("naps in which nothing is heard leave nobody waiting", async () => {
  const follower = new Follower();
  const { signal } = new AbortController();
  for (let nap = 0; nap < NAPS; nap++) {
    const over = napUntilHeard(follower, follower.heard, { ms: 0, clock, signal });
    strictEqual(follower.waiting, 1);
    await over;
    strictEqual(follower.waiting, 0);
  }
});

Deno.test("a nap ends with what is heard, and with its signal", async () => {
  const follower = new Follower();
  const heard = napUntilHeard(follower, follower.heard, { ms: 60_000, clock });
  follower.lost();
  await heard;
  const stop = new AbortController();
  const stopped = napUntilHeard(follower, follower.heard, { ms: 60_000, clock, signal: stop.signal });
  stop.abort();
  await stopped;
  strictEqual(follower.waiting, 0);
});
