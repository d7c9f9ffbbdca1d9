/** What nobody foresaw while an agent is acted upon is unproven; what is known, and who stops, is told as it is. */

import { rejects, strictEqual } from "node:assert/strict";
import type { Backend } from "../../backends/backend.ts";
import { AppError } from "../../lib/errors.ts";
import { respond } from "../../lib/responding.ts";
import type { Session } from "../../lib/session.ts";
import { PERMISSION } from "./cli/harness.ts";

Deno.test("respond() whose backend fails as nobody foresaw is unproven", async (t) => {
  const stopped = AbortSignal.abort(new Error("stopped"));
  const never = new AbortController().signal;
  const table: [holds: string, error: Error, signal: AbortSignal, code: string | null][] = [
    ["too many open files", new Error("Too many open files (os error 24)"), never, "unproven"],
    ["what is known", new AppError("not_delivered", "Nothing was answered"), never, "not_delivered"],
    ["another error of one who stops", new Error("Too many open files (os error 24)"), stopped, "unproven"],
    ["who stops", stopped.reason, stopped, null],
  ];
  for (const [holds, error, signal, code] of table) {
    await t.step(holds, async () => {
      const backend = {
        state: () => Promise.resolve({ state: "waiting_for_input", pending: PERMISSION, others: [] }),
        respond: () => Promise.reject(error),
      } as unknown as Backend;
      const request = { id: "fizz-top", request: null, answer: { kind: "approve" }, caller: null } as const;
      await rejects(respond({ id: "fizz-top" } as Session, backend, request, signal), (thrown) => {
        if (code === null) strictEqual(thrown, error);
        else strictEqual(thrown instanceof AppError && thrown.code, code);
        return true;
      });
    });
  }
});
