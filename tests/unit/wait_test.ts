/** How waits on several sessions come out; the clock stands still until the test moves it. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Backend } from "../../backends/backend.ts";
import type { Clock } from "../../lib/deps.ts";
import type { WaitRequest, WaitResult } from "../../lib/service.ts";
import type { Session, SessionEvent, TurnState, WaitOutcome } from "../../lib/session.ts";
import { waitForTurns, type WaitTarget } from "../../lib/wait.ts";

const STATE: TurnState = { state: "working", since: null, evidence: [], background: [], lastTurn: null };

/** Sleeps end when the test says so. */
class FakeClock implements Clock {
  #now = 0;
  #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  now = () => this.#now;
  monotonic = () => this.#now;
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper = { until: this.#now + ms, wake: () => (this.#sleepers.delete(sleeper), resolve()) };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }
  /** @param early how much the timers fire before their time, as real ones do. */
  advance(ms: number, early = 0): void {
    this.#now += ms - early;
    for (const sleeper of [...this.#sleepers]) if (sleeper.until <= this.#now + early) sleeper.wake();
  }
  get sleeping(): number {
    return this.#sleepers.size;
  }
}

/** One agent: its watch yields at once and whenever the test pokes it, its outcome is what the test last set. */
class FakeAgent {
  outcome: WaitOutcome | null = null;
  error: Error | null = null;
  looks = 0;
  watches = 0;
  readonly anchors: unknown[] = [];
  readonly options: unknown[] = [];
  readonly polls: (number | null)[] = [];
  #poke: (() => void) | null = null;

  constructor(readonly id: string) {}

  poke(outcome: WaitOutcome | null): void {
    this.outcome = outcome;
    this.#poke?.();
  }

  target(anchor: unknown = "anchor"): WaitTarget {
    const watch = this.#watch.bind(this);
    const backend = {
      watch,
      outcome: (_: Session, anchor: unknown, options: unknown) => {
        this.looks++;
        this.anchors.push(anchor);
        this.options.push(options);
        if (this.error) return Promise.reject(this.error);
        return Promise.resolve({ outcome: this.outcome, state: STATE });
      },
    } as unknown as Backend;
    return { session: { id: this.id } as Session, backend, anchor };
  }

  async *#watch(_: Session, pollMs: number | null, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    this.polls.push(pollMs);
    this.watches++;
    try {
      for (;;) {
        const poked = new Promise<void>((resolve) => {
          this.#poke = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        yield { type: "evidence_changed" };
        if (!signal.aborted) await poked;
        if (signal.aborted) return;
      }
    } finally {
      this.watches--;
    }
  }
}

type Options = Pick<WaitRequest, "any" | "timeoutMs" | "pollMs" | "background">;
const OPTIONS: Options = { any: false, timeoutMs: 1_000, pollMs: null, background: false };
const COMPLETED: WaitOutcome = { outcome: "completed" };
const GONE: WaitOutcome = { outcome: "gone", reason: "exit 1" };

/** Lets everything that can run do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}

class Wait {
  readonly clock = new FakeClock();
  readonly abort = new AbortController();
  readonly results: WaitResult[] = [];
  readonly over: Promise<void>;
  ended = false;

  constructor(targets: readonly WaitTarget[], options: Partial<Options> = {}) {
    this.over = this.#run(targets, { ...OPTIONS, ...options });
    this.over.catch(() => {});
  }

  async #run(targets: readonly WaitTarget[], options: Options): Promise<void> {
    try {
      for await (const result of waitForTurns(targets, options, this.clock, this.abort.signal)) {
        this.results.push(result);
      }
    } finally {
      this.ended = true;
    }
  }

  get words(): string[] {
    return this.results.map(({ id, outcome }) => `${id} ${outcome.outcome}`);
  }
}

function agents(...ids: string[]): FakeAgent[] {
  return ids.map((id) => new FakeAgent(id));
}

/** Nothing is left behind: no watch, no timer. */
function assertClean(wait: Wait, ...all: FakeAgent[]): void {
  deepStrictEqual(all.map((agent) => agent.watches), all.map(() => 0));
  strictEqual(wait.clock.sleeping, 0);
}

Deno.test("waitForTurns() answers at once for what is already over", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  a.outcome = { outcome: "idle" };
  b.outcome = GONE;
  const wait = new Wait([a.target(null), b.target()]);
  await wait.over;
  deepStrictEqual(wait.words, ["a idle", "b gone"]);
  deepStrictEqual(wait.results[1]!.state, STATE);
  deepStrictEqual([a.anchors, b.anchors], [[null], ["anchor"]]);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() answers even with no time at all", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  a.outcome = COMPLETED;
  const wait = new Wait([a.target(), b.target()], { timeoutMs: 0 });
  await settle();
  wait.clock.advance(0);
  await wait.over;
  deepStrictEqual(wait.words, ["a completed", "b timed_out"]);
});

Deno.test("waitForTurns() yields each outcome when it comes, not in the order of asking", async () => {
  const [a, b, c] = agents("a", "b", "c") as [FakeAgent, FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target(), c.target()]);
  await settle();
  deepStrictEqual(wait.words, []);
  c.poke(COMPLETED);
  await settle();
  deepStrictEqual(wait.words, ["c completed"]);
  a.poke({ outcome: "failed", error: "x" });
  await settle();
  deepStrictEqual(wait.words, ["c completed", "a failed"]);
  strictEqual(wait.ended, false);
  b.poke(GONE);
  await wait.over;
  deepStrictEqual(wait.words, ["c completed", "a failed", "b gone"]);
  assertClean(wait, a, b, c);
});

Deno.test("waitForTurns() with any ends at the first and leaves the others alone", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target()], { any: true });
  await settle();
  b.poke({ outcome: "interrupted" });
  await wait.over;
  deepStrictEqual(wait.words, ["b interrupted"]);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() with any takes one of several that are over", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  a.outcome = b.outcome = COMPLETED;
  const wait = new Wait([a.target(), b.target()], { any: true });
  await wait.over;
  deepStrictEqual(wait.words, ["a completed"]);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() with any names all of them when the time is over", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target()], { any: true });
  await settle();
  wait.clock.advance(1_000);
  await wait.over;
  deepStrictEqual(wait.words, ["a timed_out", "b timed_out"]);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() times out all that are open together, with their last state", async () => {
  const [a, b, c] = agents("a", "b", "c") as [FakeAgent, FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target(), c.target()]);
  await settle();
  wait.clock.advance(999);
  await settle();
  b.poke(COMPLETED);
  await settle();
  deepStrictEqual(wait.words, ["b completed"]);
  wait.clock.advance(1);
  await wait.over;
  deepStrictEqual(wait.words, ["b completed", "a timed_out", "c timed_out"]);
  deepStrictEqual(wait.results[1]!.outcome, { outcome: "timed_out", state: "working" });
  assertClean(wait, a, b, c);
});

Deno.test("waitForTurns() times out although the timer fires a little early", async () => {
  const [a] = agents("a") as [FakeAgent];
  const wait = new Wait([a.target()]);
  await settle();
  wait.clock.advance(1_000, 0.4);
  await wait.over;
  deepStrictEqual(wait.words, ["a timed_out"]);
});

Deno.test("waitForTurns() looks again whenever something may have changed", async () => {
  const [a] = agents("a") as [FakeAgent];
  const wait = new Wait([a.target()], { pollMs: 250, background: true });
  await settle();
  for (let change = 0; change < 3; change++) {
    a.poke(null);
    await settle();
  }
  strictEqual(a.looks, 4);
  deepStrictEqual(a.polls, [250]);
  strictEqual((a.options[0] as { readonly background: boolean }).background, true);
  a.poke(COMPLETED);
  await wait.over;
  assertClean(wait, a);
});

Deno.test("waitForTurns() yields nothing more once it is aborted", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target()]);
  await settle();
  a.poke(COMPLETED);
  await settle();
  wait.abort.abort();
  await wait.over;
  deepStrictEqual(wait.words, ["a completed"]);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() that is aborted before it begins yields nothing", async () => {
  const [a] = agents("a") as [FakeAgent];
  const abort = new AbortController();
  abort.abort();
  const clock = new FakeClock();
  const results = await Array.fromAsync(waitForTurns([a.target()], OPTIONS, clock, abort.signal));
  deepStrictEqual(results, []);
  deepStrictEqual([a.watches, clock.sleeping], [0, 0]);
});

Deno.test("waitForTurns() passes a backend's error on and lets go of the others", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  const wait = new Wait([a.target(), b.target()]);
  await settle();
  b.error = new Error("no handle");
  b.poke(null);
  await rejects(wait.over, /no handle/);
  assertClean(wait, a, b);
});

Deno.test("waitForTurns() lets go of everything when its reader stops", async () => {
  const [a, b] = agents("a", "b") as [FakeAgent, FakeAgent];
  a.outcome = COMPLETED;
  const clock = new FakeClock();
  const signal = new AbortController().signal;
  for await (const _ of waitForTurns([a.target(), b.target()], OPTIONS, clock, signal)) break;
  deepStrictEqual([a.watches, b.watches, clock.sleeping], [0, 0, 0]);
});

Deno.test("waitForTurns() of nothing is over", async () => {
  const wait = new Wait([]);
  await wait.over;
  deepStrictEqual(wait.words, []);
  assertClean(wait);
});
