/** What is asked again after a break and what is not; what became of a request is told as it is known. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import type { Operation } from "../../../lib/wire.ts";
import { type CallOptions, type Carrier, CarrierError } from "../../../gateway/carrier.ts";
import { LastingCarrier } from "../../../gateway/lasting_carrier.ts";

type Attempt = "unsent" | "lost" | "hopeless" | "answer" | "refused";

/** Answers each attempt as the list says; what lies beyond it, as its last entry. */
function broken(attempts: readonly Attempt[]) {
  const asked: { operation: Operation; again: boolean | undefined }[] = [];
  const call = (operation: Operation, _: unknown, { again }: CallOptions): Promise<unknown> => {
    const attempt = attempts[Math.min(asked.length, attempts.length - 1)];
    asked.push({ operation, again });
    switch (attempt) {
      case "unsent":
        return Promise.reject(new CarrierError("refused connection", { unsent: true }));
      case "lost":
        return Promise.reject(new CarrierError("broke", { unsent: false }));
      case "hopeless":
        return Promise.reject(new CarrierError("no such name", { unsent: true, hopeless: true }));
      case "refused":
        return Promise.reject(new AppError("refused", "out of scope"));
      default:
        return Promise.resolve("answer");
    }
  };
  const inner: Carrier = {
    call,
    async *stream() {},
    close: () => Promise.resolve(),
    peer: () => null,
    where: "h",
  };
  let now = 0;
  const clock = { monotonic: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) };
  return { carrier: new LastingCarrier(inner, clock), asked };
}

const ROWS: readonly (readonly [
  name: string,
  operation: Operation,
  key: string | null,
  attempts: readonly Attempt[],
  outcome: string,
  again: readonly boolean[],
])[] = [
  ["a read is asked again", "status", null, ["lost", "unsent", "answer"], "answer", [false, true, true]],
  ["what did not arrive is no repetition", "kill", "k", ["unsent", "unsent", "answer"], "answer", [
    false,
    false,
    false,
  ]],
  ["what may have arrived is one", "kill", "k", ["unsent", "lost", "answer"], "answer", [false, false, true]],
  ["without a key it is not asked again", "kill", null, ["lost", "answer"], "unproven", [false]],
  ["without a key what did not arrive is", "kill", null, ["unsent", "answer"], "answer", [false, false]],
  ["nobody listens: five attempts", "send", "k", ["unsent"], "transport", [
    false,
    false,
    false,
    false,
    false,
  ]],
  ["every answer is lost", "send", "k", ["lost"], "unproven", [false, true, true, true, true]],
  ["it may have arrived once", "send", "k", ["lost", "unsent"], "unproven", [false, true, true, true, true]],
  ["a read that stays lost is transport", "list", null, ["lost"], "transport", [
    false,
    true,
    true,
    true,
    true,
  ]],
  ["what can't help is not tried", "list", null, ["hopeless", "answer"], "transport", [false]],
  ["an answer is an answer, also a refusal", "list", null, ["refused", "answer"], "refused", [false]],
];

Deno.test("LastingCarrier.call()", async (t) => {
  for (const [name, operation, key, attempts, outcome, again] of ROWS) {
    await t.step(name, async () => {
      const { carrier, asked } = broken(attempts);
      const calling = carrier.call(operation, {}, { key });
      if (outcome === "answer") strictEqual(await calling, "answer");
      else await rejects(calling, (error) => error instanceof AppError && error.code === outcome);
      deepStrictEqual(asked.map((one) => one.again), again);
    });
  }
});

Deno.test("LastingCarrier.call() says of what was stopped while it broke whether it may have been done", async (t) => {
  for (
    const [name, operation, attempt, outcome] of [
      ["what may have arrived", "send", "lost", "unproven"],
      ["what did not arrive", "send", "unsent", "interrupted"],
      ["a read", "status", "lost", "interrupted"],
    ] as const
  ) {
    await t.step(name, async () => {
      const { carrier, asked } = broken([attempt, "answer"]);
      const calling = carrier.call(operation, {}, { key: "k", signal: AbortSignal.abort() });
      await rejects(calling, (error) => error instanceof AppError && error.code === outcome);
      strictEqual(asked.length, 1);
    });
  }
});
