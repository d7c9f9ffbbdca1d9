/** What is typed and breaks off is not known, and is never sent again; what breaks off before was not sent. */

import { deepStrictEqual, rejects } from "node:assert/strict";
import type { Backend, SendHooks } from "../../backends/backend.ts";
import { Deliveries } from "../../lib/deliveries.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { InHand } from "../../lib/in_hand.ts";
import type { Receipt, Session } from "../../lib/session.ts";
import type { Store } from "../../lib/store.ts";

const SESSION = { id: "fizz-top", token: "t" } as Session;
const ANCHOR = { event: "e" };

/** Sends through a backend that fails; what the registry was told stands in `told`. */
function failing(at: "before typing" | "after typing", error: Error) {
  const told: unknown[] = [];
  const store = {
    claimKey: () => ({ state: "new", ref: { verb: "send", key: "k", claim: "c" } }),
    beginSend: () => void told.push("begun"),
    finishSend: ({ result }: Receipt) => void told.push(result),
    finishKey: () => void told.push("key kept"),
    dropKey: () => void told.push("key dropped"),
  };
  const deps = { clock: { now: () => 0, monotonic: () => 0 }, randomUuid: () => "1", identify: () => null };
  const send = (_: Session, __: unknown, hooks: SendHooks) => {
    if (at === "after typing") hooks.beforeTyping(ANCHOR);
    return Promise.reject(error);
  };
  const deliveries = new Deliveries(deps as unknown as Deps, store as unknown as Store, new InHand());
  const request = { id: "fizz-top", text: "hi", render: null, key: "k", sender: null };
  const sending = deliveries.send(
    SESSION,
    { send } as unknown as Backend,
    { check: () => {}, prepare: () => Promise.resolve("hi") },
    request,
    new AbortController().signal,
  );
  return { sending, told };
}

Deno.test("send() whose backend fails after it has begun to type says that nothing is proven", async (t) => {
  for (
    const error of [new Error("Too many open files (os error 24)"), new AppError("transport", "It is gone")]
  ) {
    await t.step(error.name, async () => {
      const { sending, told } = failing("after typing", error);
      const { receipt, repeated } = await sending;
      deepStrictEqual({ receipt, repeated }, {
        receipt: {
          receipt: "r-1",
          result: "indeterminate",
          reason: `the delivery was broken off: ${error.message}`,
          evidence: null,
          pending: null,
          anchor: ANCHOR,
        },
        repeated: false,
      });
      deepStrictEqual(told, ["begun", "indeterminate"]);
    });
  }
});

Deno.test("send() whose backend fails before it types throws that, and its key is free", async () => {
  const { sending, told } = failing("before typing", new Error("Too many open files (os error 24)"));
  await rejects(sending, /Too many open files/);
  deepStrictEqual(told, ["key dropped"]);
});
