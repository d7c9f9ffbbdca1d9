/** What is told from the conversations of `tests/support/transcripts`. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import {
  lastAssistantTexts,
  LogBuilder,
  logEntries,
  stillQueued,
  tailMarks,
} from "../../../backends/claude/conversation.ts";
import type { Mark } from "../../../backends/claude/transcript.ts";
import { brief } from "../../support/marks.ts";

const FOLDER = join(import.meta.dirname!, "..", "..", "support", "transcripts");

function fixture(name: string): string {
  return join(FOLDER, `${name}.jsonl`);
}

const HI = ["prompt:typed:Say hello", "assistant_text:Hello", "turn_end:0"];

const TAILS: Readonly<Record<string, string[]>> = {
  plain: HI,
  tool: [
    "prompt:typed:List the files",
    "assistant_text:I look.",
    "tool_use:t1:Bash",
    "tool_result:t1:a.txt\nb.txt",
    "assistant_text:Two files.",
    "turn_end:0",
  ],
  interrupt_mid_stream: ["prompt:typed:Count", "assistant_text:one two thr", "interrupted"],
  interrupt_tool: [
    "prompt:typed:Wait a while",
    "assistant_text:I wait.",
    "tool_use:t1:Bash",
    "tool_result:t1:error:The user doesn't want to proceed with this tool use.",
    "interrupted",
  ],
  api_error: ["prompt:typed:Say hello", "api_error:server_error:API Error: 529 overloaded"],
  queued_absorbed: [
    "prompt:typed:Do two things",
    "tool_use:t1:Bash",
    "enqueued:And a third",
    "enqueued:And a fourth",
    "tool_result:t1:done",
    "removed:And a third:absorbed_mid_turn",
    "removed:And a fourth:absorbed_mid_turn",
    "absorbed_prompt:And a third",
    "absorbed_prompt:And a fourth",
    "assistant_text:All four done.",
    "turn_end:0",
  ],
  queued_dequeued: [
    "prompt:queued:Then this",
    "prompt:queued:And that",
    "assistant_text:Both done.",
    "turn_end:0",
  ],
  background_bash: ["enqueued:How is it going?", "task_notification", "assistant_text:It is built."],
  subagent: ["task_notification", "assistant_text:It has looked.", "turn_end:0"],
  compact: [...HI, "compact"],
  clear: ["prompt:typed:After the clear", "assistant_text:A new file.", "turn_end:0"],
  max_tokens: ["prompt:typed:Write much", "assistant_text:cut o", "assistant_text:ff, and on.", "turn_end:0"],
  permission: [
    "prompt:typed:Touch a file",
    "tool_use:t1:Bash",
    "tool_result:t1:error:use a different path",
    "assistant_text:I leave it.",
    "turn_end:0",
  ],
  question: [
    "prompt:typed:Ask me",
    "tool_use:t1:AskUserQuestion",
    'tool_result:t1:The user answered: "Which colour?"="Blue".',
    "assistant_text:Blue it is.",
    "turn_end:0",
  ],
  version_2_1_197: ["prompt:typed:Count", "assistant_text:one tw", "interrupted"],
};

Deno.test("tailMarks() gives the last turn, and before it only what is still queued", async (t) => {
  for (const [name, marks] of Object.entries(TAILS)) {
    await t.step(name, () => {
      const tail = tailMarks(fixture(name));
      deepStrictEqual(tail.marks.map(brief), marks);
      strictEqual(tail.complete, true);
      strictEqual(tail.size, Deno.statSync(fixture(name)).size);
      strictEqual(tail.offset, tail.size);
    });
  }
});

Deno.test("tailMarks() says when it did not reach the prompt, and that a missing file is complete", () => {
  const short = tailMarks(fixture("tool"), { maxBytes: 1000 });
  strictEqual(short.complete, false);
  strictEqual(short.marks.map(brief).at(-1), "turn_end:0");
  deepStrictEqual(tailMarks(fixture("none")), { marks: [], complete: true, size: 0, offset: 0 });
  const all = tailMarks(fixture("queued_dequeued"), { untilPrompt: false });
  strictEqual(all.marks.length, 11);
  strictEqual(all.complete, true);
});

Deno.test("stillQueued() follows messages through the queue", () => {
  const enqueued = (text: string): Mark => ({ kind: "enqueued", at: null, text });
  const dequeued: Mark = { kind: "dequeued", at: null, text: null };
  const removed = (text: string | null): Mark => ({ kind: "removed", at: null, text, reason: null });
  const notified = (text: string): Mark => ({ kind: "task_notification", at: null, text });
  const cases: readonly [marks: Mark[], left: string[]][] = [
    [[], []],
    [[enqueued("a"), enqueued("b"), dequeued], ["b"]],
    [[enqueued("a"), enqueued("n"), dequeued, notified("n")], ["a"]],
    [[enqueued("a"), enqueued("b"), removed("b")], ["a"]],
    [[enqueued("a"), enqueued("b"), removed(null)], ["b"]],
    [[removed("x"), enqueued("a")], ["a"]],
    [[enqueued("a"), { kind: "dequeued", at: null, text: "a" }], []],
    [[dequeued], []],
  ];
  for (const [marks, left] of cases) {
    deepStrictEqual(stillQueued(marks).map((mark) => mark.kind === "enqueued" ? mark.text : ""), left);
  }
});

const LAST: Readonly<Record<string, { readonly texts: string[]; readonly ended: boolean }>> = {
  plain: { texts: ["Hello"], ended: true },
  tool: { texts: ["I look.", "Two files."], ended: true },
  interrupt_mid_stream: { texts: ["one two thr"], ended: true },
  interrupt_tool: { texts: ["I wait."], ended: true },
  api_error: { texts: [], ended: false },
  queued_dequeued: { texts: ["one two three", "Both done."], ended: true },
  background_bash: { texts: ["It builds.", "It is built."], ended: false },
  subagent: { texts: ["It looks.", "It has looked."], ended: true },
  max_tokens: { texts: ["cut o", "ff, and on."], ended: true },
};

Deno.test("lastAssistantTexts() gives the newest texts of the main conversation, oldest first", async (t) => {
  for (const [name, { texts, ended }] of Object.entries(LAST)) {
    await t.step(name, () => {
      const last = lastAssistantTexts(fixture(name), 2);
      deepStrictEqual(last.texts, texts);
      strictEqual(last.turnEndedAt !== null, ended);
      strictEqual(last.lastAt !== null, texts.length > 0);
      if (last.lastAt !== null && last.turnEndedAt !== null) ok(last.lastAt < last.turnEndedAt);
      deepStrictEqual(lastAssistantTexts(fixture(name), 1).texts, texts.slice(-1));
    });
  }
  deepStrictEqual(lastAssistantTexts(fixture("plain"), 0).texts, []);
  deepStrictEqual(lastAssistantTexts(fixture("none"), 3), { texts: [], lastAt: null, turnEndedAt: null });
});

const LOGS: Readonly<Record<string, string[]>> = {
  plain: ["human:Say hello", "assistant:Hello"],
  queued_absorbed: [
    "human:Do two things",
    "human:And a third",
    "human:And a fourth",
    "assistant:All four done.",
  ],
  queued_dequeued: [
    "human:Count slowly",
    "assistant:one two three",
    "human:Then this",
    "human:And that",
    "assistant:Both done.",
  ],
  background_bash: ["human:Build in the background", "assistant:It builds.", "assistant:It is built."],
  subagent: ["human:Let another look", "assistant:It looks.", "assistant:It has looked."],
  compact: ["human:Say hello", "assistant:Hello"],
  version_2_1_197: ["human:Say hi", "assistant:Hi", "human:Count", "assistant:one tw"],
};

Deno.test("logEntries() has every message of a person once, in the order of the file", async (t) => {
  for (const [name, log] of Object.entries(LOGS)) {
    await t.step(name, async () => {
      const entries = await Array.fromAsync(logEntries(fixture(name)));
      deepStrictEqual(entries.map((entry) => `${entry.role}:${entry.text}`), log);
    });
  }
  deepStrictEqual(await Array.fromAsync(logEntries(fixture("none"))), []);
});

Deno.test("logEntries() includes tool calls with their results when asked", async () => {
  deepStrictEqual(await Array.fromAsync(logEntries(fixture("tool"), { tools: true })), [
    { role: "human", text: "List the files", at: "2026-01-02T03:04:01.000Z" },
    { role: "assistant", text: "I look.", at: "2026-01-02T03:04:02.000Z" },
    {
      role: "tool",
      text: "a.txt\nb.txt",
      at: "2026-01-02T03:04:03.000Z",
      tool: { name: "Bash", input: { command: "ls" }, result: "a.txt\nb.txt" },
    },
    { role: "assistant", text: "Two files.", at: "2026-01-02T03:04:05.000Z" },
  ]);
});

Deno.test("LogBuilder joins the texts of one message and keeps calls in order of their beginning", () => {
  const text = (text: string, messageId: string): Mark => ({
    kind: "assistant_text",
    at: null,
    text,
    messageId,
  });
  const use = (id: string): Mark => ({ kind: "tool_use", at: null, id, name: id, input: null });
  const result = (id: string): Mark => ({
    kind: "tool_result",
    at: null,
    id,
    text: `of ${id}`,
    isError: false,
  });
  const log = new LogBuilder(true);
  const steps: readonly [mark: Mark, released: string[]][] = [
    [text("a", "m1"), []],
    [text("b", "m1"), []],
    [use("t1"), ["a\n\nb"]],
    [use("t2"), []],
    [use("t3"), []],
    [result("t2"), []],
    [result("t1"), ["of t1", "of t2"]],
    [text("c", "m2"), []],
    [{ kind: "interrupted", at: null }, ["", "c"]],
    [use("t4"), []],
  ];
  for (const [mark, released] of steps) deepStrictEqual(log.push(mark).map((entry) => entry.text), released);
  deepStrictEqual(log.end(), [{
    role: "tool",
    text: "",
    at: null,
    tool: { name: "t4", input: null, result: null },
  }]);
  deepStrictEqual(log.end(), []);
});
