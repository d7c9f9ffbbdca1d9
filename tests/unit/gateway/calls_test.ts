/** What a request comes to whose caller has it stopped: an interruption, whatever the service throws of it. */

import { deepStrictEqual, rejects } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import type { SessionService } from "../../../lib/service.ts";
import { Calls } from "../../../gateway/calls.ts";
import { checkRequest } from "../../../gateway/dispatch.ts";
import { createRequest } from "../../support/create_request.ts";

const CLOCK = { monotonic: () => 0, sleep: () => Promise.resolve() };
const KILL = checkRequest("kill", { ids: ["fizz-top"], tree: false, everyone: true, caller: null });
const CREATE = checkRequest("create", { ...createRequest({ path: "/w" }), key: "k" });

/** Gives up with the reason of its signal, as `AbortSignal.throwIfAborted()` does. */
function givingUp(thrown: (signal: AbortSignal) => unknown): SessionService {
  const giveUp = (signal: AbortSignal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(thrown(signal))));
  return {
    create: (_: unknown, signal: AbortSignal) => giveUp(signal),
    kill: () => Promise.reject(new Error("broken")),
  } as unknown as SessionService;
}

Deno.test("a service that gives up because it is stopped is interrupted", async (t) => {
  for (const how of ["its caller has hung up", "its caller has cancelled it"] as const) {
    await t.step(how, async () => {
      const calls = new Calls(CLOCK);
      const hangUp = new AbortController();
      const begun = calls.serve(givingUp(({ reason }) => reason), CREATE, {
        caller: "one",
        key: "k",
        again: false,
        signal: hangUp.signal,
      });
      if (how === "its caller has hung up") hangUp.abort({ kind: "stopped" });
      else calls.cancel("one", "k");
      await rejects("result" in begun ? begun.result : Promise.resolve(), (error) => {
        deepStrictEqual(error, new AppError("interrupted", "Interrupted"));
        return true;
      });
    });
  }
});

Deno.test("what else it throws stays what it is", async () => {
  const calls = new Calls(CLOCK);
  const attempt = { caller: "one", key: "k", again: false, signal: AbortSignal.abort() };
  const broken = calls.serve(givingUp(() => null), KILL, attempt);
  await rejects("result" in broken ? broken.result : Promise.resolve(), /broken/);
});
