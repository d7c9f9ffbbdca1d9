/** What the lines of a transcript mean, and what is told from the conversations of `tests/support/transcripts`. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import {
  lastAssistantTexts,
  LogBuilder,
  logEntries,
  stillQueued,
  tailMarks,
} from "../../backends/claude/conversation.ts";
import { type Mark, parseLine } from "../../backends/claude/transcript.ts";

const FOLDER = join(import.meta.dirname!, "..", "support", "transcripts");
const AT = "2026-01-02T03:04:05.000Z";
const AT_MS = Date.parse(AT);

function fixture(name: string): string {
  return join(FOLDER, `${name}.jsonl`);
}

function user(content: unknown, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "user", message: { role: "user", content }, timestamp: AT, ...rest };
}

function assistant(content: unknown, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return { message: { id: "m", role: "assistant", content }, type: "assistant", timestamp: AT, ...rest };
}

const HUMAN = { origin: { kind: "human" }, promptSource: "typed", promptId: "p", uuid: "u" };

/** A mark in one word. */
function brief(mark: Mark): string {
  switch (mark.kind) {
    case "prompt":
      return `prompt:${mark.source}:${mark.text}`;
    case "task_notification":
    case "turn_end":
    case "interrupted":
    case "compact":
      return mark.kind === "turn_end" ? `turn_end:${mark.pendingBackgroundAgents}` : mark.kind;
    case "peer_message":
      return `peer_message:${mark.from}:${mark.text}`;
    case "enqueued":
    case "absorbed_prompt":
    case "assistant_text":
    case "informational":
      return `${mark.kind}:${mark.text.split("\n")[0]}`;
    case "dequeued":
      return `dequeued:${mark.text}`;
    case "removed":
      return `removed:${mark.text}:${mark.reason}`;
    case "tool_use":
      return `tool_use:${mark.id}:${mark.name}`;
    case "tool_result":
      return `tool_result:${mark.id}:${mark.isError ? "error:" : ""}${mark.text}`;
    case "api_error":
      return `api_error:${mark.error}:${mark.text}`;
  }
}

const LINES: readonly [name: string, line: unknown, marks: string[]][] = [
  ["typed prompt", user("hi", HUMAN), ["prompt:typed:hi"]],
  ["queued prompt", user("hi", { ...HUMAN, promptSource: "queued" }), ["prompt:queued:hi"]],
  ["prompt of a version without origin", user("hi"), ["prompt:other:hi"]],
  ["prompt of text blocks", user([{ type: "text", text: "a" }, { type: "text", text: "b" }]), [
    "prompt:other:a\nb",
  ]],
  ["prompt with an image", user([{ type: "image" }, { type: "text", text: "see" }], HUMAN), [
    "prompt:typed:see",
  ]],
  ["typed text like a notification", user("<task-notification> x", HUMAN), [
    "prompt:typed:<task-notification> x",
  ]],
  ["typed text like a command", user("<command-name>x", HUMAN), ["prompt:typed:<command-name>x"]],
  ["typed text like an interrupt", user("[Request interrupted by user]", HUMAN), [
    "prompt:typed:[Request interrupted by user]",
  ]],
  ["prompt about an interrupt", user("Why [Request interrupted by user]?"), [
    "prompt:other:Why [Request interrupted by user]?",
  ]],
  ["meta", user("hi", { ...HUMAN, isMeta: true }), []],
  ["compact summary", user("hi", { isCompactSummary: true }), []],
  ["command", user("<command-name>/clear</command-name>"), []],
  ["command message", user("<command-message>x</command-message>"), []],
  ["command output", user("<local-command-stdout>Compacted</local-command-stdout>"), []],
  ["caveat", user("<local-command-caveat>x</local-command-caveat>"), []],
  ["shell input", user("<bash-input>ls</bash-input>"), []],
  ["shell output", user("<bash-stdout>a</bash-stdout><bash-stderr></bash-stderr>"), []],
  ["sub-agent's prompt", user("hi", { isSidechain: true }), []],
  ["sub-agent's reply", assistant([{ type: "text", text: "x" }], { agentId: "a1" }), []],
  ["task notification", user("<task-notification>\nx", { origin: { kind: "task-notification" } }), [
    "task_notification",
  ]],
  ["task notification without origin", user("<task-notification>\nx"), ["task_notification"]],
  ["peer message", user("wrapped", { isMeta: true, origin: { kind: "peer", name: "n", body: "hello" } }), [
    "peer_message:n:hello",
  ]],
  ["interrupt", user([{ type: "text", text: "[Request interrupted by user]" }]), ["interrupted"]],
  ["interrupt of a tool", user("[Request interrupted by user for tool use]"), ["interrupted"]],
  ["interrupt in other words", user([{ type: "text", text: "Stopped" }], { interruptedMessageId: "m" }), [
    "interrupted",
  ]],
  ["tool result", user([{ type: "tool_result", tool_use_id: "t", content: "ok" }]), ["tool_result:t:ok"]],
  [
    "tool result of blocks",
    user([{
      type: "tool_result",
      tool_use_id: "t",
      is_error: true,
      content: [{ type: "text", text: "a" }, { type: "image" }, { type: "text", text: "b" }],
    }]),
    ["tool_result:t:error:a\nb"],
  ],
  [
    "tool result and interrupt",
    user([
      { type: "tool_result", tool_use_id: "t", content: "no", is_error: true },
      { type: "text", text: "[Request interrupted by user for tool use]" },
    ]),
    ["tool_result:t:error:no", "interrupted"],
  ],
  ["reply", assistant([{ type: "text", text: "x" }]), ["assistant_text:x"]],
  [
    "reply that was not streamed",
    assistant([
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "x" },
      { type: "tool_use", id: "t", name: "Bash", input: {} },
    ]),
    ["assistant_text:x", "tool_use:t:Bash"],
  ],
  ["thinking", assistant([{ type: "thinking", thinking: "hm" }]), []],
  ["empty text", assistant([{ type: "text", text: "" }]), []],
  [
    "API error",
    assistant([{ type: "text", text: "API Error: 529" }], { isApiErrorMessage: true, error: "server_error" }),
    [
      "api_error:server_error:API Error: 529",
    ],
  ],
  ["placeholder after a crash", {
    type: "assistant",
    message: { model: "<synthetic>", content: [{ type: "text", text: "No response requested." }] },
  }, ["informational:No response requested."]],
  ["turn end", { type: "system", subtype: "turn_duration", timestamp: AT }, ["turn_end:0"]],
  ["turn end with agents", { type: "system", subtype: "turn_duration", pendingBackgroundAgentCount: 2 }, [
    "turn_end:2",
  ]],
  ["compact", { type: "system", subtype: "compact_boundary", content: "Conversation compacted" }, [
    "compact",
  ]],
  ["notice", { type: "system", subtype: "informational", content: "Unknown command: /x" }, [
    "informational:Unknown command: /x",
  ]],
  ["notice of an unknown subtype", { type: "system", subtype: "new", content: "Blocked by a hook" }, [
    "informational:Blocked by a hook",
  ]],
  ["Stop hooks", { type: "system", subtype: "stop_hook_summary", hookCount: 1 }, []],
  ["local command", { type: "system", subtype: "local_command", content: "<local-command-stdout>" }, []],
  ["enqueue", { type: "queue-operation", operation: "enqueue", content: "x" }, ["enqueued:x"]],
  ["dequeue", { type: "queue-operation", operation: "dequeue" }, ["dequeued:null"]],
  ["remove", { type: "queue-operation", operation: "remove", content: "x", reason: "absorbed_mid_turn" }, [
    "removed:x:absorbed_mid_turn",
  ]],
  ["back into the input box", { type: "queue-operation", operation: "popAll", content: "x" }, [
    "removed:x:popAll",
  ]],
  ["unknown queue operation", { type: "queue-operation", operation: "new" }, []],
  ["absorbed prompt", {
    type: "attachment",
    attachment: { type: "queued_command", prompt: "x", commandMode: "prompt", origin: { kind: "human" } },
  }, ["absorbed_prompt:x"]],
  ["absorbed notification", {
    type: "attachment",
    attachment: {
      type: "queued_command",
      prompt: "<task-notification>",
      origin: { kind: "task-notification" },
    },
  }, []],
  ["other attachment", { type: "attachment", attachment: { type: "skill_listing", content: "x" } }, []],
  ["request blob", { type: "api-request-blob", message: user("hi")["message"] }, []],
  [
    "request blob, type last",
    { message: assistant([{ type: "text", text: "x" }]), type: "api-request-blob" },
    [],
  ],
  ["bookkeeping", { type: "last-prompt", lastPrompt: "hi" }, []],
  ["nothing where something is expected", { type: "user", message: null, timestamp: 5 }, []],
  ["odd blocks", assistant([null, 3, "x", { type: "text", text: 5 }, { type: "text" }]), []],
  ["odd content", user({ type: "text" }), []],
  ["an array", [{ type: "user" }], []],
];

Deno.test("parseLine() knows every kind of line", async (t) => {
  for (const [name, line, marks] of LINES) {
    await t.step(name, () => deepStrictEqual(parseLine(JSON.stringify(line)).map(brief), marks));
  }
});

Deno.test("parseLine() keeps time and ids, and does without them", () => {
  deepStrictEqual(parseLine(JSON.stringify(user("hi", HUMAN))), [
    { kind: "prompt", at: AT_MS, text: "hi", source: "typed", promptId: "p", uuid: "u" },
  ]);
  deepStrictEqual(parseLine(JSON.stringify(user("hi", { timestamp: "soon" }))), [
    { kind: "prompt", at: null, text: "hi", source: "other", promptId: null, uuid: null },
  ]);
});

Deno.test("parseLine() reads JSON with spaces, and every prefix of a line as nothing", () => {
  strictEqual(parseLine('{ "message" : {"content": "hi"}, "type" : "user" }').length, 1);
  const line = JSON.stringify(user("hi", HUMAN));
  for (let end = 0; end < line.length; end++) deepStrictEqual(parseLine(line.slice(0, end)), []);
  for (const text of ["", "  ", "null", "user", '"type":"user"', '{"type":"user"', "\u0000"]) {
    deepStrictEqual(parseLine(text), []);
  }
});

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
