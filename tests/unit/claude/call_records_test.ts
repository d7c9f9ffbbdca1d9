/** What the transcript's lines say of one tool call: open, decided by a hook, decided by somebody else. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { CallRecords, CallState } from "../../../backends/claude/call_records.ts";

const CALL = { tool: "Bash", input: { command: "ls" } };
const AT = "2026-01-02T03:04:05.000Z";
const LATER = "2026-01-02T03:04:06.000Z";

const use = (id: string, input: unknown = CALL.input, name = "Bash") => ({
  type: "assistant",
  timestamp: AT,
  message: { content: [{ type: "text", text: "x" }, { type: "tool_use", id, name, input }] },
});
const result = (id: string, source: string | null, timestamp = LATER) => ({
  type: "user",
  timestamp,
  message: { content: [{ type: "tool_result", tool_use_id: id, content: "ok" }] },
  ...(source === null ? {} : { permissionDecision: { decision: "accept", source } }),
});
const decided = (id: string) => ({
  type: "attachment",
  timestamp: LATER,
  attachment: { type: "hook_permission_decision", decision: "allow", toolUseID: id },
});

Deno.test("CallState tells who decided, of this call and no other", () => {
  const table: [holds: string, lines: Record<string, unknown>[], by: (string | null)[]][] = [
    ["a hook's decision", [use("a"), decided("a")], [null, "hook"]],
    ["a hook's result", [use("a"), result("a", "hook")], [null, "hook"]],
    ["a person's", [use("a"), result("a", "user_temporary")], [null, "other"]],
    ["a person's Escape", [use("a"), result("a", null)], [null, "other"]],
    ["an Escape that is named", [use("a"), { ...result("a", null), toolDenialKind: "user-rejected" }], [
      null,
      "rejected",
    ]],
    ["another call's", [use("a"), use("b", { command: "rm" }), decided("b"), result("b", "hook")], [
      null,
      null,
      null,
      null,
    ]],
    ["another tool's with the same input", [use("a"), use("b", CALL.input, "Shell"), result("b", "hook")], [
      null,
      null,
      null,
    ]],
    ["one of two alike", [use("a"), use("b"), decided("b")], [null, null, "hook"]],
    ["an input that the hook saw in another form", [use("a", { command: "ls " }), decided("a")], [
      null,
      "hook",
    ]],
    ["malformed lines", [{ type: "user" }, { type: "attachment" }, { type: "assistant", message: 1 }, {}], [
      null,
      null,
      null,
      null,
    ]],
  ];
  for (const [holds, lines, by] of table) {
    const state = new CallState(CALL);
    deepStrictEqual(lines.map((line) => state.take(line)?.by ?? null), by, holds);
  }
});

Deno.test("CallState is over when a call like it got its result since, and none is open", () => {
  const table: [holds: string, lines: Record<string, unknown>[], over: boolean][] = [
    ["nothing recorded yet", [], false],
    ["open", [use("a")], false],
    ["answered since", [use("a"), result("a", "user_temporary")], true],
    ["an earlier one, answered before", [use("a"), result("a", "hook", AT)], false],
    ["one of two", [use("a"), use("b"), result("a", "hook")], false],
  ];
  for (const [holds, lines, over] of table) {
    const state = new CallState(CALL);
    for (const line of lines) state.take(line);
    strictEqual(state.isOverSince(Date.parse(AT) + 1), over, holds);
  }
});

Deno.test("CallRecords reads on from what stood there, whole lines only", () => {
  const file = Deno.makeTempFileSync();
  try {
    const write = (text: string) => Deno.writeTextFileSync(file, text, { append: true });
    write(`${JSON.stringify(use("a"))}\n`);
    const records = new CallRecords(file, CALL);
    strictEqual(records.news(), null);
    const line = JSON.stringify(decided("a"));
    write(line.slice(0, 40));
    strictEqual(records.news(), null);
    write(`${line.slice(40)}\n`);
    strictEqual(records.news()?.by, "hook");
    strictEqual(records.news(), null);
  } finally {
    Deno.removeSync(file);
  }
  strictEqual(new CallRecords(file, CALL).news(), null, "a file that is missing");
});
