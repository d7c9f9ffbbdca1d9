/** What a Codex server was asked to change and does not answer is not known, and what it does not tell was not said. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { toldOf } from "../../../backends/codex/conversation_reader.ts";
import { whyItEnded } from "../../../backends/codex/ending.ts";
import type { CodexEvidence } from "../../../backends/codex/evidence.ts";
import { lostChange } from "../../../backends/codex/goals.ts";
import { takenBackSoFar } from "../../../backends/codex/interrupt.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "../../../backends/codex/rpc_errors.ts";
import { AppError } from "../../../lib/errors.ts";
import { anchorIn, look } from "../../support/codex_looks.ts";

const LOST = new ConnectionLost("closed", "gone", true);
const UNSENT = new ConnectionLost("closed", "gone", false);
const FAULT_OF_OURS = new TypeError("x is not a function");

Deno.test("a goal whose change is not answered is unproven", () => {
  const table: [holds: string, error: Error, code: string | null, message: RegExp | null][] = [
    [
      "no answer",
      new NoAnswer("thread/goal/set", 1),
      "unproven",
      /may have been done; look with: .* goal fizz/,
    ],
    ["a lost connection", LOST, "unproven", /gone\. It may have been done/],
    ["an odd answer", new UnexpectedFrame("it", "odd"), "unproven", /may have been done/],
    ["never asked", UNSENT, "transport", /gone\. Try again$/],
    ["refused", new RpcError("thread/goal/set", 1, "too long"), "failure", /: too long$/],
    ["a fault of ours", FAULT_OF_OURS, null, null],
  ];
  for (const verb of ["set", "clear"] as const) {
    for (const [holds, error, code, message] of table) {
      const lost = lostChange("fizz-top", verb, error);
      strictEqual(lost?.code ?? null, code, holds);
      const said = lost?.message ?? "";
      strictEqual(
        said.startsWith(lost === null ? "" : `Cannot ${verb} the goal of "fizz-top": `),
        true,
        said,
      );
      strictEqual(message?.test(said) ?? true, true, said);
    }
  }
});

Deno.test("a queue that is taken back without an answer is unproven, and what was taken back is told", () => {
  const unreachable = new AppError("transport", "Cannot reach the Codex server");
  const table: [error: Error, texts: string[], code: string | null, detail: string | null][] = [
    [new NoAnswer("thread/queue/delete", 1), ["one"], "unproven", "Taken back:\none"],
    [LOST, ["one", "two"], "unproven", "Taken back:\none\ntwo"],
    [UNSENT, [], "unproven", null],
    [new RpcError("thread/queue/delete", 1, "no"), [], "unproven", null],
    [unreachable, ["one"], "unproven", "Taken back:\none"],
    [FAULT_OF_OURS, ["one"], null, null],
  ];
  for (const [error, texts, code, detail] of table) {
    const said = takenBackSoFar("fizz-top", error, texts);
    deepStrictEqual([said?.code ?? null, said?.detail ?? null], [code, detail], error.message);
  }
});

const server = (state: CodexEvidence["server"]): CodexEvidence => ({
  at: 0,
  server: state,
  thread: null,
  turns: [],
  goal: null,
  requests: [],
  queued: [],
  retrying: null,
});

Deno.test("a server that does not tell of a turn has not said that nothing was said in it", () => {
  const anchor = anchorIn(server("up"), "r-1");
  deepStrictEqual(toldOf("fizz-top", server("up"), anchor), []);
  for (const state of ["unknown", "down"] as const) {
    throws(
      () => toldOf("fizz-top", server(state), anchor),
      (error) => error instanceof AppError && error.code === "transport",
    );
  }
});

Deno.test("a server that does not tell of a dead session's thread has not said that it was deleted", () => {
  const { thread } = look("a command was declined");
  const archived = thread === null ? null : { ...thread, path: "/h/archived_sessions/rollout-1.jsonl" };
  const table: [CodexEvidence["server"], CodexEvidence["thread"], string][] = [
    ["unknown", null, "its thread was gone from its server"],
    ["down", null, "its thread was gone from its server"],
    ["up", null, "its thread was deleted"],
    ["up", archived, "its thread was archived"],
  ];
  for (const [state, seen, why] of table) strictEqual(whyItEnded({ server: state, thread: seen }), why);
});
