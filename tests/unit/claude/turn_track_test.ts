import assert from "node:assert/strict";
import type { RegistryEntry } from "../../../backends/claude/live_registry.ts";
import type { Mark } from "../../../backends/claude/transcript.ts";
import {
  NO_TURN,
  type Recorded,
  step,
  stepRegistry,
  type Track,
} from "../../../backends/claude/turn_track.ts";
import { parseLine } from "../../../backends/claude/transcript.ts";

const AT = { at: 0 };
const prompt = (text: string, source: "typed" | "queued" | "other" = "typed"): Mark => ({
  ...AT,
  kind: "prompt",
  text,
  source,
  promptId: null,
  uuid: null,
});
const says = (text: string): Mark => ({ ...AT, kind: "assistant_text", text, messageId: null });
const calls = (id: string, command: string): Mark => ({
  ...AT,
  kind: "tool_use",
  id,
  name: "Bash",
  input: { command },
});
const result = (id: string): Mark => ({ ...AT, kind: "tool_result", id, text: "", isError: false });
const end = (pendingBackgroundAgents = 0): Mark => ({ ...AT, kind: "turn_end", pendingBackgroundAgents });
const interrupted: Mark = { ...AT, kind: "interrupted" };
const report: Mark = {
  ...AT,
  kind: "task_notification",
  text: "<task-notification>\n<summary>Agent done</summary>\n</task-notification>",
};
const notice = (text: string): Mark => ({ ...AT, kind: "informational", text });
const asks = (id: string, command: string, ofSubagent = false): Recorded => ({
  kind: "request",
  id,
  tool: "Bash",
  input: { command },
  ofSubagent,
  ask: { kind: "permission", tool: "Bash", summary: `Bash: ${command}`, options: [] },
});
const fresh: Recorded = { kind: "fresh" };
const dequeued: Mark = { ...AT, kind: "dequeued", text: null };
/** What stands behind it is recorded a second later. */
const LATER = "later";
type Row = readonly (Mark | Recorded | typeof LATER)[];

function play(records: Row): { track: Track; told: string[] } {
  let track = NO_TURN;
  let at = 1_000;
  const told: string[] = [];
  for (const record of records) {
    if (record === LATER) {
      at += 1_000;
      continue;
    }
    const recorded: Recorded = "at" in record ? { kind: "mark", mark: record } : record;
    const next = step(track, recorded, at);
    track = next.track;
    for (const body of next.events) {
      const { type, ...rest } = body;
      const more = "text" in rest
        ? rest.text
        : "requestId" in rest
        ? rest.requestId
        : "error" in rest
        ? rest.error
        : "";
      const source = "source" in rest && rest.source !== "message" ? ` (${rest.source})` : "";
      told.push(`${type} ${more}${source}`.trim());
    }
  }
  return { track, told };
}

const ROWS: [
  name: string,
  records: Row,
  told: readonly string[],
  open?: Track["turn"],
][] = [
  ["a plain turn", [prompt("a"), says("b"), end()], ["turn_started a", "message b", "turn_completed"]],
  ["a turn under way", [prompt("a"), says("b")], ["turn_started a", "message b"], "open"],
  [
    "a tool's result is none",
    [prompt("a"), calls("t", "ls"), result("t"), says("b"), end()],
    ["turn_started a", "message b", "turn_completed"],
  ],
  ["an interrupt", [prompt("a"), says("b"), interrupted], [
    "turn_started a",
    "message b",
    "turn_interrupted",
  ]],
  [
    "an API error",
    [prompt("a"), { ...AT, kind: "api_error", text: "API Error: 500", error: "server_error" }],
    ["turn_started a", "turn_failed API Error: 500"],
  ],
  [
    "a hook of the user's own that stops the turn",
    [prompt("a"), notice("Operation stopped by hook: no")],
    ["turn_started a", "turn_failed Operation stopped by hook: no"],
  ],
  ["a prompt that a hook has refused is no turn", [notice("UserPromptSubmit operation blocked by hook")], []],
  ["an end without a turn", [end(), interrupted], []],
  [
    "queued messages that start one turn together",
    [prompt("a", "queued"), prompt("b", "queued"), says("c"), end()],
    ["turn_started a", "turn_joined b", "message c", "turn_completed"],
  ],
  [
    "a message that the running turn takes up",
    [
      prompt("a"),
      calls("t", "ls"),
      result("t"),
      { ...AT, kind: "absorbed_prompt", text: "b" },
      says("c"),
      end(),
    ],
    ["turn_started a", "turn_joined b", "message c", "turn_completed"],
  ],
  [
    "sub-agents prolong it; their report goes on with it",
    [prompt("a"), says("b"), end(1), report, says("c"), end()],
    ["turn_started a", "message b", "message c", "turn_completed"],
  ],
  ["sub-agents that still run", [prompt("a"), end(2), report, end(1)], ["turn_started a"], "resting"],
  [
    "a message while sub-agents run",
    [prompt("a"), end(1), prompt("b"), says("c"), end()],
    ["turn_started a", "turn_joined b", "message c", "turn_completed"],
  ],
  [
    "the report of a background shell starts a turn",
    [prompt("a"), end(), report, says("b"), end()],
    [
      "turn_started a",
      "turn_completed",
      "turn_started Agent done (background_task)",
      "message b",
      "turn_completed",
    ],
  ],
  [
    "another Claude's message",
    [{ ...AT, kind: "peer_message", text: "hi", from: "x" }, says("b"), end()],
    ["turn_started hi (agent)", "message b", "turn_completed"],
  ],
  [
    "work without a prompt on record",
    [says("b"), end()],
    ["turn_started null (other)", "message b", "turn_completed"],
  ],
  [
    "a prompt of its own after a turn without an end",
    [prompt("a"), says("b"), prompt("c"), end()],
    ["turn_started a", "message b", "turn_started c", "turn_completed"],
  ],
  [
    "a crash and another start",
    [prompt("a"), fresh, prompt("b"), end()],
    ["turn_started a", "turn_started b", "turn_completed"],
  ],
  [
    "a crash, told by its placeholder alone",
    [prompt("a"), notice("No response requested."), prompt("b", "queued"), end()],
    ["turn_started a", "turn_started b", "turn_completed"],
  ],
  [
    "compaction within a turn",
    [prompt("a"), { ...AT, kind: "compact" }, says("b"), end()],
    ["turn_started a", "message b", "turn_completed"],
  ],
  [
    "a request, answered",
    [prompt("a"), calls("t", "rm"), asks("q", "rm"), result("t"), end()],
    ["turn_started a", "input_requested q", "input_resolved q", "turn_completed"],
  ],
  [
    "a request that is seen before its tool call",
    [prompt("a"), asks("q", "rm"), calls("t", "rm"), result("t")],
    ["turn_started a", "input_requested q", "input_resolved q"],
    "open",
  ],
  [
    "two requests for the same command",
    [
      prompt("a"),
      calls("t", "rm"),
      calls("u", "rm"),
      asks("q", "rm"),
      asks("r", "rm"),
      result("u"),
      result("t"),
    ],
    ["turn_started a", "input_requested q", "input_requested r", "input_resolved r", "input_resolved q"],
    "open",
  ],
  [
    "another tool's result answers nothing",
    [prompt("a"), calls("t", "rm"), calls("u", "ls"), asks("q", "rm"), result("u")],
    ["turn_started a", "input_requested q"],
    "open",
  ],
  [
    "a request that an interrupt ends",
    [prompt("a"), calls("t", "rm"), asks("q", "rm"), interrupted],
    ["turn_started a", "input_requested q", "input_resolved q", "turn_interrupted"],
  ],
  [
    "a request that is seen before its turn",
    [asks("q", "rm"), prompt("a"), calls("t", "rm"), result("t"), end()],
    ["input_requested q", "turn_started a", "input_resolved q", "turn_completed"],
  ],
  [
    "a request that a restart has outlived",
    [prompt("a"), calls("t", "rm"), asks("q", "rm"), LATER, fresh, prompt("b"), end()],
    ["turn_started a", "input_requested q", "input_resolved q", "turn_started b", "turn_completed"],
  ],
  [
    "a request that a crash has outlived, told by its placeholder alone",
    [prompt("a"), calls("t", "rm"), asks("q", "rm"), LATER, notice("No response requested.")],
    ["turn_started a", "input_requested q", "input_resolved q"],
  ],
  [
    "a request that is newer than the start it is seen before",
    [LATER, asks("q", "rm"), fresh, prompt("a"), calls("t", "rm"), result("t"), end()],
    ["input_requested q", "turn_started a", "input_resolved q", "turn_completed"],
  ],
  [
    "a request that another turn has outlived",
    [prompt("a"), calls("t", "rm"), asks("q", "rm"), LATER, prompt("b"), end()],
    ["turn_started a", "input_requested q", "input_resolved q", "turn_started b", "turn_completed"],
  ],
  [
    "a sub-agent's request goes on behind the start of a turn",
    [asks("q", "rm", true), LATER, prompt("a"), says("b"), end()],
    ["input_requested q", "turn_started a", "message b", "input_resolved q", "turn_completed"],
  ],
  [
    "stopped before its first word: no line, and the next message is typed",
    [prompt("a"), prompt("b"), says("c"), end()],
    ["turn_started a", "turn_interrupted", "turn_started b", "message c", "turn_completed"],
  ],
  [
    "the same, of messages that the queue has brought",
    [prompt("a", "queued"), prompt("b", "queued"), prompt("c"), says("d"), end()],
    [
      "turn_started a",
      "turn_joined b",
      "turn_interrupted",
      "turn_started c",
      "message d",
      "turn_completed",
    ],
  ],
  [
    "the same, and the queue goes on",
    [prompt("a"), dequeued, prompt("b", "queued"), says("c"), end()],
    ["turn_started a", "turn_interrupted", "turn_started b", "message c", "turn_completed"],
  ],
  [
    "the same, and the queue goes on with a report",
    [prompt("a"), dequeued, report, says("c"), end()],
    [
      "turn_started a",
      "turn_interrupted",
      "turn_started Agent done (background_task)",
      "message c",
      "turn_completed",
    ],
  ],
  [
    "a prompt whose source is unknown joins",
    [prompt("a", "other"), prompt("b", "other"), says("c"), end()],
    ["turn_started a", "turn_joined b", "message c", "turn_completed"],
  ],
  [
    "the queue goes on before the last lines of a turn are written",
    [prompt("a"), dequeued, dequeued, says("b"), end(), prompt("c", "queued"), prompt("d", "queued"), end()],
    [
      "turn_started a",
      "message b",
      "turn_completed",
      "turn_started c",
      "turn_joined d",
      "turn_completed",
    ],
  ],
  [
    "the reports of two sub-agents that the queue brings one after the other",
    [prompt("a"), says("b"), end(2), dequeued, report, dequeued, says("c"), end(1), report, says("d"), end()],
    ["turn_started a", "message b", "message c", "message d", "turn_completed"],
  ],
  [
    "messages of the queue while sub-agents run",
    [
      prompt("a"),
      end(1),
      prompt("b"),
      says("c"),
      dequeued,
      dequeued,
      end(1),
      prompt("d", "queued"),
      prompt("e", "queued"),
      says("f"),
      end(),
    ],
    [
      "turn_started a",
      "turn_joined b",
      "message c",
      "turn_joined d",
      "turn_joined e",
      "message f",
      "turn_completed",
    ],
  ],
  [
    "an interrupted tool that the queue has overtaken",
    [
      prompt("a"),
      calls("t", "ls"),
      dequeued,
      prompt("b", "queued"),
      result("t"),
      interrupted,
      says("c"),
      end(),
    ],
    ["turn_started a", "turn_interrupted", "turn_started b", "message c", "turn_completed"],
  ],
  [
    "the same, and its request",
    [
      prompt("a"),
      calls("t", "rm"),
      asks("q", "rm"),
      LATER,
      dequeued,
      prompt("b", "queued"),
      result("t"),
      interrupted,
      says("c"),
      end(),
    ],
    [
      "turn_started a",
      "input_requested q",
      "input_resolved q",
      "turn_interrupted",
      "turn_started b",
      "message c",
      "turn_completed",
    ],
  ],
  [
    "the same, by several messages, between which its lines stand",
    [
      prompt("a"),
      calls("t", "ls"),
      dequeued,
      dequeued,
      prompt("b", "queued"),
      result("t"),
      interrupted,
      prompt("c", "queued"),
      says("d"),
      end(),
    ],
    [
      "turn_started a",
      "turn_interrupted",
      "turn_started b",
      "turn_joined c",
      "message d",
      "turn_completed",
    ],
  ],
  [
    "the same, by a report",
    [prompt("a"), calls("t", "ls"), dequeued, report, result("t"), interrupted, says("c"), end()],
    [
      "turn_started a",
      "turn_interrupted",
      "turn_started Agent done (background_task)",
      "message c",
      "turn_completed",
    ],
  ],
  [
    "an interrupted answer that the queue has overtaken, without any record of the queue",
    [prompt("a"), says("b"), prompt("c", "queued"), interrupted, says("d"), end()],
    ["turn_started a", "message b", "turn_interrupted", "turn_started c", "message d", "turn_completed"],
  ],
  [
    "a turn stopped before its first word that the queue has overtaken",
    [prompt("a"), dequeued, prompt("b", "queued"), interrupted, says("c"), end()],
    ["turn_started a", "turn_interrupted", "turn_started b", "message c", "turn_completed"],
  ],
  [
    "the same, and the one that overtook it is stopped as early",
    [prompt("a"), dequeued, prompt("b", "queued"), interrupted, interrupted],
    ["turn_started a", "turn_interrupted", "turn_started b", "turn_interrupted"],
  ],
  [
    "the same, without a line of its own",
    [prompt("a"), dequeued, prompt("b", "queued"), interrupted, prompt("c"), says("d"), end()],
    [
      "turn_started a",
      "turn_interrupted",
      "turn_started b",
      "turn_interrupted",
      "turn_started c",
      "message d",
      "turn_completed",
    ],
  ],
  [
    "one that overtook and is stopped while it answers",
    [prompt("a"), calls("t", "ls"), dequeued, prompt("b", "queued"), says("c"), interrupted],
    ["turn_started a", "turn_interrupted", "turn_started b", "message c", "turn_interrupted"],
  ],
  [
    "one that overtook, and is stopped when it goes on after a rest",
    [
      prompt("a"),
      calls("t", "ls"),
      dequeued,
      prompt("b", "queued"),
      says("c"),
      end(1),
      prompt("d"),
      interrupted,
    ],
    [
      "turn_started a",
      "turn_interrupted",
      "turn_started b",
      "message c",
      "turn_joined d",
      "turn_interrupted",
    ],
  ],
  [
    "a line behind a turn that has overtaken none is its own",
    [prompt("a"), says("b"), interrupted, dequeued, prompt("c", "queued"), interrupted],
    ["turn_started a", "message b", "turn_interrupted", "turn_started c", "turn_interrupted"],
  ],
  [
    "a line behind a typed message is its own",
    [prompt("a"), prompt("b"), interrupted],
    ["turn_started a", "turn_interrupted", "turn_started b", "turn_interrupted"],
  ],
  [
    "a sub-agent's request has no call on record: the turn's end answers it",
    [prompt("a"), calls("t", "rm"), asks("q", "rm", true), result("t"), end(1), end()],
    ["turn_started a", "input_requested q", "input_resolved q", "turn_completed"],
  ],
];

Deno.test("step() makes events of records", async (t) => {
  for (const [name, records, told, open = "none"] of ROWS) {
    await t.step(name, () => {
      const played = play(records);
      assert.deepEqual(played.told, told);
      assert.equal(played.track.turn, open);
      if (open === "none") assert.deepEqual(played.track, NO_TURN);
    });
  }
});

Deno.test("stepRegistry() believes the live registry where the records are silent", async (t) => {
  const entry = (status: RegistryEntry["status"], statusUpdatedAt: number): RegistryEntry => ({
    pid: 1,
    sessionId: "s",
    status,
    waitingFor: null,
    statusUpdatedAt,
    version: null,
    procStart: null,
  });
  const asked: Track = {
    turn: "open",
    starting: false,
    calls: [],
    requests: [{ id: "q", key: "k", at: 1_000, call: null, ofSubagent: false }],
  };
  const twice = {
    ...asked,
    requests: [...asked.requests, { id: "r", key: "l", at: 1_001, call: null, ofSubagent: false }],
  };
  const bySubagent = {
    ...asked,
    requests: asked.requests.map((request) => ({ ...request, ofSubagent: true })),
  };
  const resting: Track = { ...NO_TURN, turn: "resting" };
  const unanswered: Track = { ...NO_TURN, turn: "open", starting: true, since: 1_000 };
  const rows: [
    string,
    Track,
    RegistryEntry,
    now: number,
    told: readonly string[],
    stoppedAt?: number,
  ][] = [
    ["waiting", asked, entry("waiting", 1_100), 9_000, []],
    ["busy since before the request", asked, entry("busy", 900), 9_000, []],
    ["busy again", asked, entry("busy", 1_100), 9_000, ["input_resolved"]],
    ["busy between two requests", twice, entry("busy", 1_100), 9_000, []],
    ["at rest after two requests", twice, entry("idle", 1_100), 9_000, ["input_resolved", "input_resolved"]],
    ["busy while a sub-agent's request waits", bySubagent, entry("busy", 1_100), 9_000, []],
    [
      "a sub-agent's request that its turn has outlived",
      { ...bySubagent, turn: "resting" },
      entry("idle", 1_100),
      9_000,
      ["input_resolved", "turn_completed"],
    ],
    ["sub-agents run", resting, entry("busy", 1_100), 9_000, []],
    ["idle for a moment", resting, entry("idle", 8_000), 9_000, []],
    ["sub-agents that left no report", resting, entry("shell", 1_100), 9_000, ["turn_completed"]],
    ["a turn under way", { ...resting, turn: "open" }, entry("idle", 1_100), 9_000, []],
    ["nothing said yet", unanswered, entry("busy", 1_100), 9_000, []],
    ["nothing said, idle since before it", unanswered, entry("idle", 999), 9_000, []],
    ["nothing said, idle for a moment", unanswered, entry("idle", 6_001), 9_000, []],
    ["nothing said, waiting", unanswered, entry("waiting", 1_100), 9_000, []],
    ["stopped before its first word", unanswered, entry("idle", 6_000), 9_000, ["turn_interrupted"]],
    [
      "the same, while a background shell runs",
      unanswered,
      entry("shell", 1_100),
      9_000,
      ["turn_interrupted"],
    ],
    [
      "the same, with a request",
      { ...unanswered, requests: asked.requests },
      entry("idle", 1_100),
      9_000,
      ["input_resolved", "turn_interrupted"],
    ],
    ["its end is announced", unanswered, entry("idle", 1_100), 9_000, [], 1_090],
    ["the end of the turn before", unanswered, entry("idle", 1_100), 9_000, ["turn_interrupted"], 990],
    ["something said", { ...unanswered, starting: false }, entry("idle", 1_100), 9_000, []],
    [
      "since a time that is unknown",
      { ...asked, requests: [], starting: true },
      entry("idle", 1_100),
      9_000,
      [],
    ],
  ];
  for (const [name, track, registry, now, told, stoppedAt = null] of rows) {
    await t.step(name, () => {
      const next = stepRegistry(track, registry, now, stoppedAt);
      assert.deepEqual(next.events.map(({ type }) => type), told);
    });
  }
});

Deno.test("step() on lines as Claude Code writes them: an interrupted tool, then a queued message", () => {
  const lines = [
    '{"type":"user","message":{"role":"user","content":"one"},"origin":{"kind":"human"},"promptSource":"typed"}',
    '{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"sleep 9"}}]}}',
    '{"type":"queue-operation","operation":"enqueue","content":"two"}',
    '{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"rejected","is_error":true}]}}',
    '{"type":"user","message":{"role":"user","content":[{"type":"text","text":"[Request interrupted by user for tool use]"}]}}',
    '{"type":"queue-operation","operation":"dequeue"}',
    '{"type":"user","message":{"role":"user","content":"two"},"origin":{"kind":"human"},"promptSource":"queued"}',
    '{"type":"system","subtype":"turn_duration"}',
  ];
  assert.deepEqual(play(lines.flatMap(parseLine)).told, [
    "turn_started one",
    "turn_interrupted",
    "turn_started two",
    "turn_completed",
  ]);
});

Deno.test("step() on lines as Claude Code writes them when the queue overtakes an interrupt", async (t) => {
  const human = (text: string, source: string, uuid: string, parent: string | null) =>
    `{"parentUuid":${
      JSON.stringify(parent)
    },"type":"user","message":{"role":"user","content":"${text}"},"uuid":"${uuid}","origin":{"kind":"human"},"promptSource":"${source}"}`;
  const line = (text: string, uuid: string, parent: string) =>
    `{"parentUuid":"${parent}","type":"user","message":{"role":"user","content":[{"type":"text","text":"${text}"}]},"uuid":"${uuid}"}`;
  const dequeue = '{"type":"queue-operation","operation":"dequeue"}';
  const reply = (parent: string) =>
    `{"parentUuid":"${parent}","type":"assistant","message":{"id":"m","content":[{"type":"text","text":"done"}],"stop_reason":"end_turn"},"uuid":"z"}`;
  const duration = '{"type":"system","subtype":"turn_duration"}';
  const told = [
    "turn_started one",
    "turn_interrupted",
    "turn_started two",
    "message done",
    "turn_completed",
  ];

  await t.step("while a tool runs", () => {
    const lines = [
      human("one", "typed", "a", null),
      '{"parentUuid":"a","type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"sleep 9"}}]},"uuid":"b"}',
      dequeue,
      human("two", "queued", "c", "b"),
      '{"parentUuid":"b","type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"rejected","is_error":true}]},"uuid":"d"}',
      line("[Request interrupted by user for tool use]", "e", "d"),
      reply("e"),
      duration,
    ];
    assert.deepEqual(play(lines.flatMap(parseLine)).told, told);
  });

  await t.step("before it says anything: its line hangs below the message that overtook it", () => {
    const lines = [
      human("one", "typed", "a", null),
      dequeue,
      human("two", "queued", "c", "a"),
      line("[Request interrupted by user]", "d", "c"),
      reply("d"),
      duration,
    ];
    assert.deepEqual(play(lines.flatMap(parseLine)).told, told);
  });
});
