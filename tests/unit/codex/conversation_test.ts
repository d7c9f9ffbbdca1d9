/** The conversation of recorded threads of the real Codex. */

import { deepStrictEqual } from "node:assert/strict";
import { GrowingLog, lastTexts, logEntries } from "../../../backends/codex/conversation.ts";
import { look } from "../../support/codex_looks.ts";

const brief = (entries: ReturnType<typeof logEntries>) =>
  entries.map(({ role, text, tool }) => [role, tool?.name ?? null, text.split("\n")[0]]);

Deno.test("logEntries() has what people, the agent and its tools said", () => {
  const { turns } = look("a turn has failed");
  deepStrictEqual(brief(logEntries(turns)), [
    ["human", null, "queued three"],
    ["assistant", null, "REPLY: queued three"],
    ["human", null, "SCRIPT:shell echo hi; echo err >&2; exit 3"],
    ["tool", "shell", "err"],
    ["assistant", null, "DONE after tool: Chunk ID: c6ec76"],
    ["human", null, "SCRIPT:patch new.txt some words"],
    ["tool", "file change", "completed"],
    ["assistant", null, "DONE after tool: Exit code: 0"],
    ["human", null, "SCRIPT:err400"],
  ]);
  const [shell, patch] = logEntries(turns).flatMap(({ tool }) => tool ?? []);
  deepStrictEqual(shell, {
    name: "shell",
    input: { command: "echo hi; echo err >&2; exit 3" },
    result: "err\nhi\n\n(exit 3)",
  });
  deepStrictEqual(patch?.input, {
    changes: [{ path: "/home/u/ws/new.txt", kind: "add", diff: "some words\n" }],
  });
  deepStrictEqual(logEntries(turns)[0]?.at, "2026-11-22T12:14:48.389Z");
});

Deno.test("lastTexts() are the agent's newest ones, newest last", () => {
  const { turns } = look("the held message has had its turn");
  deepStrictEqual(lastTexts(turns, 2), ["REPLY: queued two", "REPLY: queued three"]);
  deepStrictEqual(lastTexts(turns, 0), []);
  deepStrictEqual(lastTexts(turns, 100).length, 3);
});

Deno.test("GrowingLog tells each entry once, in order, and what was open at the end", () => {
  const log = new GrowingLog();
  const names = [
    "a turn runs, two messages are queued",
    "a message was steered in",
    "the next turn of the queue is about to begin",
    "the first of the queue runs",
    "between two turns of the queue",
    "the queue is empty and all is over",
  ];
  const told = names.map((name) => {
    const { turns } = look(name);
    const from = turns.findIndex(({ id }) => id === log.from);
    return log.push(turns.slice(Math.max(0, from))).map(({ text }) => text);
  });
  deepStrictEqual(told, [
    ["hello", "REPLY: hello", "SCRIPT:streamgate g1"],
    ["steered in"],
    ["REPLY: steered in"],
    ["queued one"],
    ["REPLY: queued one"],
    ["queued two", "REPLY: queued two"],
  ]);
  deepStrictEqual(log.end(), []);

  const asked = new GrowingLog();
  deepStrictEqual(brief(asked.push(look("a file change waits for approval").turns)), [
    ["human", null, "SCRIPT:patch pp.txt some words"],
  ]);
  deepStrictEqual(brief(asked.end()), [["tool", "file change", "in progress"]]);
});
