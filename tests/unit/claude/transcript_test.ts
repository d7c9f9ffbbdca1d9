/** What the lines of a transcript mean. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { parseLine } from "../../../backends/claude/transcript.ts";
import { brief } from "../../support/marks.ts";

const AT = "2026-01-02T03:04:05.000Z";
const AT_MS = Date.parse(AT);

function user(content: unknown, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "user", message: { role: "user", content }, timestamp: AT, ...rest };
}

function assistant(content: unknown, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return { message: { id: "m", role: "assistant", content }, type: "assistant", timestamp: AT, ...rest };
}

const HUMAN = { origin: { kind: "human" }, promptSource: "typed", promptId: "p", uuid: "u" };

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
