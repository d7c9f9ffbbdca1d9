/** What is typed and breaks off is not known, and is never sent again; what breaks off before was not sent. */

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Backend } from "../../backends/backend.ts";
import { Deliveries } from "../../lib/deliveries.ts";
import { AppError } from "../../lib/errors.ts";
import { InHand } from "../../lib/in_hand.ts";
import { realDeps } from "../../lib/real_deps.ts";
import type { SendOutcome } from "../../lib/service.ts";
import { DRAFT, StoreHome } from "../support/store_home.ts";

const ANCHOR = { event: "e" };

/** Sends "hi" with a key in a registry of its own, as often as it is asked to. */
function openDeliveries(home: StoreHome, send: Backend["send"]) {
  const store = home.open();
  const row = store.reserve(DRAFT, { id: "fizz-top", exclude: new Set() });
  store.activate(row);
  const session = store.find("fizz-top");
  ok(session !== null);
  const deps = { ...realDeps(), env: { HOME: home.home } };
  const deliveries = new Deliveries(deps, store, new InHand());
  const request = { id: "fizz-top", text: "hi", render: null, key: "k", sender: null };
  const agent = { send, findReceipt: () => Promise.resolve(null) } as Partial<Backend> as Backend;
  return {
    store,
    sendIt: (): Promise<SendOutcome> =>
      deliveries.send(
        session,
        agent,
        { check: () => {}, prepare: () => Promise.resolve("hi") },
        request,
        new AbortController().signal,
      ),
  };
}

Deno.test("send() whose backend fails after it has begun to type says that nothing is proven", async (t) => {
  for (
    const error of [new Error("Too many open files (os error 24)"), new AppError("transport", "It is gone")]
  ) {
    await t.step(error.name, async () => {
      using home = new StoreHome();
      let calls = 0;
      const { store, sendIt } = openDeliveries(home, (_, __, hooks) => {
        calls++;
        hooks.beforeTyping(ANCHOR);
        return Promise.reject(error);
      });
      const { receipt, repeated } = await sendIt();
      deepStrictEqual(receipt, {
        receipt: receipt.receipt,
        result: "indeterminate",
        reason: `the delivery was broken off: ${error.message}`,
        evidence: null,
        pending: null,
        anchor: ANCHOR,
      });
      strictEqual(repeated, false);
      deepStrictEqual(store.findSend(receipt.receipt)?.details, receipt);

      deepStrictEqual(await sendIt(), { id: "fizz-top", receipt, repeated: true });
      strictEqual(calls, 1);
    });
  }
});

Deno.test("send() whose backend fails before it types throws that, and its key is free", async () => {
  using home = new StoreHome();
  let calls = 0;
  const { store, sendIt } = openDeliveries(home, (_, message, hooks) => {
    if (calls++ === 0) return Promise.reject(new Error("Too many open files (os error 24)"));
    hooks.beforeTyping(ANCHOR);
    const receipt = {
      receipt: message.receipt,
      result: "submitted",
      reason: null,
      evidence: "hook",
      pending: null,
      anchor: ANCHOR,
    } as const;
    hooks.finished(receipt);
    return Promise.resolve(receipt);
  });
  await rejects(sendIt(), /Too many open files/);
  strictEqual(store.find("fizz-top")?.lastSend, null);

  const { receipt, repeated } = await sendIt();
  deepStrictEqual([receipt.result, repeated, calls], ["submitted", false, 2]);
});
