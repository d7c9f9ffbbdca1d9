/** What a failed step of handing a message over means: what never left is not unclear, what was taken is not sent again. */

import { deepStrictEqual } from "node:assert/strict";
import { type Handed, type HandingStep, judgeFault } from "../../../backends/codex/handing.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "../../../backends/codex/rpc_errors.ts";
import { AppError } from "../../../lib/errors.ts";

const ERRORS = {
  "no answer": new NoAnswer("m", 1),
  "lost, sent": new ConnectionLost("closed", "gone", true),
  "lost, not sent": new ConnectionLost("closed", "gone", false),
  "an odd answer": new UnexpectedFrame("it", "odd"),
  "a turn that is over": new RpcError("m", -32600, "no active turn to steer"),
  "another turn": new RpcError("m", -32600, "expected active turn id `a` but found `b`"),
  "an answer that refuses": new RpcError("m", -32600, "too long"),
  "no server": new AppError("transport", "Cannot reach the Codex server: it has just ended"),
  "a fault of ours": new TypeError("x is not a function"),
};

const TABLE: Readonly<Record<HandingStep, Readonly<Record<keyof typeof ERRORS, Handed["kind"] | null>>>> = {
  reach: {
    "no answer": "refused",
    "lost, sent": "again",
    "lost, not sent": "again",
    "an odd answer": "refused",
    "a turn that is over": "refused",
    "another turn": "refused",
    "an answer that refuses": "refused",
    "no server": "refused",
    "a fault of ours": null,
  },
  message: {
    "no answer": "unclear",
    "lost, sent": "unclear",
    "lost, not sent": "again",
    "an odd answer": "unclear",
    "a turn that is over": "again",
    "another turn": "again",
    "an answer that refuses": "refused",
    // It is asked on a connection that is there.
    "no server": null,
    "a fault of ours": null,
  },
  start_queue: {
    "no answer": "taken",
    "lost, sent": "taken",
    "lost, not sent": "taken",
    "an odd answer": "taken",
    "a turn that is over": "taken",
    "another turn": "taken",
    "an answer that refuses": "taken",
    "no server": "taken",
    "a fault of ours": "taken",
  },
};

Deno.test("judgeFault() tells by the step and the error what became of the message", () => {
  for (const [step, row] of Object.entries(TABLE)) {
    const judged = Object.entries(ERRORS).map(([name, error]) => [
      name,
      judgeFault(step as HandingStep, error)?.kind ?? null,
    ]);
    deepStrictEqual(Object.fromEntries(judged), row, step);
  }
});

Deno.test("judgeFault() keeps the words of whoever refuses", () => {
  deepStrictEqual(judgeFault("message", ERRORS["an answer that refuses"]), {
    kind: "refused",
    reason: "Codex refuses it: too long",
  });
  deepStrictEqual(judgeFault("reach", ERRORS["no server"]), {
    kind: "refused",
    reason: "Cannot reach the Codex server: it has just ended",
  });
});
