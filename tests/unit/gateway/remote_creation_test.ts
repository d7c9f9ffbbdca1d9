/** A create elsewhere that failed: its name is given up only where it is known that nothing was made. */

import { strictEqual } from "node:assert/strict";
import { CarrierError, interrupted } from "../../../gateway/carrier.ts";
import { whatIsKnown } from "../../../gateway/remote_creation.ts";
import { RemoteError, saidThere } from "../../../gateway/ssh/carrier.ts";
import { AppError, type ErrorCode } from "../../../lib/errors.ts";

const there = (code: ErrorCode, again: boolean) => new RemoteError(code, "m", null, "said", again);
const lost = (unsent: boolean) => new CarrierError("m", { unsent });

Deno.test("whatIsKnown() of a create by what it failed with", async (t) => {
  const rows: readonly [string, unknown, ReturnType<typeof whatIsKnown>][] = [
    ["its host has answered", there("failure", false), "nothing was made"],
    ["its host was stopped, and has undone it", there("transport", false), "nothing was made"],
    ["its host has answered another attempt", there("failure", true), "it may have been made"],
    ["another attempt was interrupted there", there("interrupted", true), "it may have been made"],
    ["it was never sent", lost(true), "nothing was made"],
    ["its answer was lost", lost(false), "it may have been made"],
    ["its caller stopped before it was sent", interrupted("create", false), "nothing was made"],
    ["its caller stopped after it was sent", interrupted("create", true), "it may have been made"],
    ["its answer is not understood", new AppError("failure", "m"), "it may have been made"],
    ["what nobody foresaw", new TypeError("m"), "it may have been made"],
    ["nothing that is an error", undefined, "it may have been made"],
  ];
  for (const [name, error, known] of rows) {
    await t.step(name, () => strictEqual(whatIsKnown(error), known));
  }
});

Deno.test("saidThere() takes the word of the other end for this attempt alone", async (t) => {
  const rows: readonly [ErrorCode, { stopped: boolean; again: boolean }, ErrorCode, boolean][] = [
    ["interrupted", { stopped: true, again: false }, "interrupted", false],
    ["interrupted", { stopped: true, again: true }, "unproven", false],
    ["interrupted", { stopped: false, again: false }, "transport", true],
    ["unproven", { stopped: true, again: true }, "unproven", false],
    ["unproven", { stopped: false, again: false }, "unproven", true],
    ["not_found", { stopped: true, again: false }, "not_found", true],
  ];
  for (const [code, asked, expected, isRemote] of rows) {
    await t.step(`${code} ${JSON.stringify(asked)}`, () => {
      const error = saidThere(new AppError(code, "m"), { operation: "create", where: "box", ...asked });
      strictEqual(error.code, expected);
      strictEqual(error instanceof RemoteError, isRemote);
    });
  }
});
