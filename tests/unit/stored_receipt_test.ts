/** A receipt that an earlier version stored is read, its pending request included. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { parseSend } from "../../lib/store/rows.ts";

Deno.test("parseSend() fills in what an earlier version did not store of a pending request", () => {
  const pending = { kind: "permission", tool: "Bash", input: 1, summary: "Bash: ls", options: [] };
  const found = parseSend({
    receipt: "r-1",
    session_id: "fizz-top",
    session_token: "t",
    at: "2026-01-02T03:04:05.000Z",
    result: "refused",
    anchor: null,
    details: JSON.stringify({
      receipt: "r-1",
      result: "refused",
      reason: "it waits",
      evidence: null,
      pending: { ...pending, requestId: null, since: null },
      anchor: null,
    }),
  });
  ok(found.ok);
  deepStrictEqual(found.value.details?.pending, {
    ...pending,
    detail: null,
    questions: [],
    always: null,
    subagent: null,
    answerable: "terminal",
    requestId: null,
    since: null,
  });
});
