/** What a request comes to whose caller has it stopped: an interruption, whatever the service throws of it. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { meaningOf } from "../../../gateway/calls.ts";
import { AppError } from "../../../lib/errors.ts";

function stopped(reason?: unknown): AbortSignal {
  const stop = new AbortController();
  stop.abort(reason);
  return stop.signal;
}

const RUNNING = new AbortController().signal;
const HUNG_UP = stopped({ kind: "hung_up" });
const CANCELLED = stopped();
const BROKEN = new Error("broken");
const REFUSED = new AppError("refused", "Cannot go on: the token is no longer valid");

Deno.test("meaningOf() what a service throws", async (t) => {
  const INTERRUPTED = new AppError("interrupted", "Interrupted");
  const rows: readonly [string, unknown, AbortSignal, unknown][] = [
    ["the reason of its caller's hanging up", HUNG_UP.reason, HUNG_UP, INTERRUPTED],
    ["the reason of its caller's cancelling it", CANCELLED.reason, CANCELLED, INTERRUPTED],
    ["the reason of another signal", HUNG_UP.reason, CANCELLED, HUNG_UP.reason],
    ["what else breaks while it is stopped", BROKEN, CANCELLED, BROKEN],
    ["what breaks", BROKEN, RUNNING, BROKEN],
    ["an error with a meaning of its own", REFUSED, stopped(REFUSED), REFUSED],
    ["nothing, of one that nobody has stopped", undefined, RUNNING, undefined],
  ];
  for (const [name, error, signal, expected] of rows) {
    await t.step(name, () => {
      const meaning = meaningOf(error, signal);
      if (expected === INTERRUPTED) deepStrictEqual(meaning, INTERRUPTED);
      else strictEqual(meaning, expected);
    });
  }
});
