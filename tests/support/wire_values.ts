/** A real value of every operation's request and result, in all the forms that its type has. */

import type { Requests, Results } from "../../lib/wire.ts";
import { createRequest } from "./create_request.ts";
import { IDLE, PERMISSION, receipt, session } from "../unit/cli/harness.ts";

type Examples<T> = { readonly [Op in keyof T]: readonly T[Op][] };

const QUESTION = {
  ...PERMISSION,
  kind: "question",
  tool: "AskUserQuestion",
  options: ["red", "blue"],
  questions: [{
    question: "Which?",
    header: "Colour",
    multiSelect: true,
    options: [{ label: "red", description: "" }, { label: "blue", description: "of the sky" }],
  }],
  answerable: "keys",
  subagent: "reviewer",
} as const;

const GOAL = {
  threadId: "t-1",
  objective: "all tests pass",
  status: "active",
  tokenBudget: null,
  tokensUsed: 12,
  timeUsedSeconds: 3.5,
  createdAt: 1_767_323_045,
  updatedAt: 1_767_323_046,
} as const;

const CREATE: Requests["create"] = createRequest();

export const REQUESTS: Examples<Requests> = {
  expand: [
    { targets: [], action: "read", caller: null },
    {
      targets: [{ kind: "session", id: "fizz-top" }, { kind: "group", group: "api" }],
      action: "kill tree",
      caller: "riven-jg",
    },
  ],
  create: [
    CREATE,
    {
      ...CREATE,
      path: "/",
      agent: "codex",
      mode: "native",
      description: "ein „Text“\nmit zwei Zeilen",
      model: "opus",
      group: "api.v2",
      id: "dr-mundo-top-2",
      parent: "fizz-top",
      agentArgs: ["--add-dir", "../shared", ""],
      trust: true,
      sandbox: "read-only",
      worktree: { branch: "feature/x" },
      key: "k",
    },
    { ...CREATE, worktree: { branch: null } },
  ],
  send: [
    { id: "fizz-top", text: "do it", render: null, key: null, sender: null },
    {
      id: "fizz-top",
      text: "{{var.a}} \u{1f600}",
      render: { vars: { a: "b" } },
      key: "k",
      sender: "riven-jg",
      mode: "steer",
    },
  ],
  interrupt: [{ id: "fizz-top", allQueued: true, sender: null }],
  wait: [
    {
      ids: ["fizz-top", "riven-jg"],
      any: true,
      timeoutMs: 0.5,
      pollMs: 100,
      receipt: "r-1",
      background: true,
      until: "goal",
    },
    { ids: [], any: false, timeoutMs: 300_000, pollMs: null, receipt: null, background: false },
  ],
  status: [{ id: "fizz-top", explain: true }],
  lastMessages: [{ id: "fizz-top", count: 3, receipt: null }],
  logs: [{ id: "fizz-top", follow: true }],
  events: [
    { ids: null, since: null, follow: false },
    { ids: ["fizz-top"], since: "now", follow: true },
    { ids: [], since: { log: "5f0c2a91", seq: 42 }, follow: true },
  ],
  list: [{ all: true, group: "api" }, { all: false, group: null }],
  inspect: [{ id: "fizz-top" }],
  respond: [
    { id: "fizz-top", answer: { kind: "approve" }, request: null, caller: null },
    { id: "fizz-top", answer: { kind: "always" }, request: "q1", caller: "riven-jg" },
    { id: "fizz-top", answer: { kind: "deny", message: "no" }, request: null, caller: null },
    { id: "fizz-top", answer: { kind: "options", options: ["1", "red"] }, request: null, caller: null },
    { id: "fizz-top", answer: { kind: "text", text: "green" }, request: null, caller: null },
  ],
  goal: [
    { id: "fizz-top", change: null },
    { id: "fizz-top", change: { kind: "begin", objective: "x", tokenBudget: null } },
    { id: "fizz-top", change: { kind: "adjust", status: "paused", tokenBudget: 5 } },
    { id: "fizz-top", change: { kind: "clear" } },
  ],
  usage: [{ ids: null }, { ids: ["fizz-top"] }],
  kill: [
    { caller: null, ids: ["fizz-top"], tree: true, everyone: false },
    { caller: "fizz-top", all: true, scope: "everyone" },
    { caller: null, olderThanMs: 1, scope: { descendantsOf: "fizz-top" } },
  ],
  resume: [{ id: "fizz-top", readyTimeoutMs: 1, caller: null }],
  prune: [{ ids: ["fizz-top"] }, { olderThanMs: 0 }],
  attachCommand: [{ id: "fizz-top" }],
};

const PROCESS = { pid: 12, start: "345", boot: "b", machine: "m" };
const FULL = session({
  description: "d",
  model: "opus",
  lifecycle: "ended",
  endedAt: "2026-01-02T04:04:05.000Z",
  endReason: "killed",
  parent: "riven-jg",
  group: "api",
  creator: PROCESS,
  process: PROCESS,
  handle: { pane: "%1", deep: [{ a: null }] },
  legacy: { codexLastCompletedAt: "x" },
  lastSend: { receipt: "r-1", result: "typing", at: "2026-01-02T03:04:05.000Z", anchor: { hook: 1 } },
  launch: { agentArgs: ["-x"], trust: true, sandbox: "full" },
  worktree: { repository: "/src/app", path: "/src/app-x", branch: "x", newBranch: true, base: "abc" },
  resumer: PROCESS,
});
const {
  creator: _c,
  process: _p,
  handle: _h,
  lastSend: _l,
  launch: _a,
  worktree: _w,
  resumer: _r,
  ...SUMMARY
} = session();
const AT = "2026-01-02T03:04:05.000Z";

export const RESULTS: Examples<Results> = {
  expand: [{ ids: ["fizz-top"], leftOut: [{ id: "riven-jg", why: "it runs this command" }] }],
  create: [
    { session: session(), readyProven: true, repeated: false },
    { session: FULL, readyProven: false, repeated: true, notes: ["a note"] },
  ],
  send: [
    { id: "fizz-top", receipt: receipt(), repeated: false },
    {
      id: "fizz-top",
      receipt: receipt({ result: "refused", reason: "waits", pending: PERMISSION, anchor: [1] }),
      repeated: true,
    },
  ],
  interrupt: [{
    id: "fizz-top",
    result: "refused",
    stopped: [],
    queued: ["later"],
    background: [{ id: "b", type: "shell", description: null }],
    reason: "it waits",
    evidence: null,
    pending: QUESTION,
  }],
  wait: [
    { id: "fizz-top", outcome: { outcome: "idle" }, state: IDLE },
    { id: "fizz-top", outcome: { outcome: "completed" }, state: null },
    { id: "fizz-top", outcome: { outcome: "failed", error: "x" }, state: null },
    { id: "fizz-top", outcome: { outcome: "interrupted" }, state: null },
    {
      id: "fizz-top",
      outcome: { outcome: "waiting_for_input", pending: PERMISSION, others: [QUESTION] },
      state: null,
    },
    { id: "fizz-top", outcome: { outcome: "gone", reason: "killed" }, state: null },
    { id: "fizz-top", outcome: { outcome: "timed_out", state: "working" }, state: null },
    {
      id: "fizz-top",
      outcome: { outcome: "complete", goal: { ...GOAL, status: "complete", tokenBudget: 9 }, error: null },
      state: null,
    },
    { id: "fizz-top", outcome: { outcome: "cleared", goal: null, error: "x" }, state: null },
  ],
  status: [
    IDLE,
    { ...IDLE, state: "working", goal: null, retrying: { message: "overloaded", at: AT } },
    { ...IDLE, state: "waiting_for_input", pending: QUESTION, others: [PERMISSION], goal: GOAL },
    { ...IDLE, state: "gone", reason: "exit 1", lastTurn: null, since: null },
    { ...IDLE, state: "unknown", reason: "tmux does not answer" },
  ],
  lastMessages: [[], ["one", "two\n"]],
  logs: [
    { role: "human", text: "hi", at: null },
    { role: "tool", text: "", at: AT, tool: { name: "Bash", input: { command: "ls" }, result: null } },
  ],
  events: [
    { type: "turn_started", source: "message", text: null } as const,
    { type: "turn_joined", source: "background_task", text: "x" } as const,
    { type: "turn_completed" } as const,
    { type: "turn_failed", error: "x" } as const,
    { type: "turn_interrupted" } as const,
    {
      type: "input_requested",
      kind: "permission",
      tool: null,
      summary: "s",
      options: ["approve"],
      requestId: "q",
    } as const,
    { type: "input_resolved", requestId: "q" } as const,
    { type: "message", text: "x" } as const,
    { type: "session_created" } as const,
    { type: "session_resumed" } as const,
    { type: "session_ended", reason: null } as const,
  ].map((body, index) => ({ cursor: `e1-5f0c2a91-${index}`, at: AT, id: "fizz-top", body })),
  list: [[], [
    { session: SUMMARY, state: "idle", pending: null },
    { session: SUMMARY, state: "gone", pending: "Bash: x", resumable: true },
  ]],
  inspect: [session(), FULL],
  respond: [
    {
      id: "fizz-top",
      pending: PERMISSION,
      answer: { kind: "deny", message: null },
      by: "direct",
      evidence: "hook",
      note: null,
    },
    {
      id: "fizz-top",
      pending: QUESTION,
      answer: { kind: "answers", answers: [["red", "blue"]] },
      by: "keys",
      evidence: "transcript",
      note: "n",
    },
  ],
  goal: [
    { id: "fizz-top", goal: null, cleared: true, defaultBudget: null },
    { id: "fizz-top", goal: GOAL, cleared: null, defaultBudget: 500_000 },
  ],
  usage: [[
    { id: "fizz-top", usage: null },
    { id: "riven-jg", usage: { input: 1, output: 2, cacheRead: 3, cacheWrite: 4, total: 10 } },
  ]],
  kill: [
    { killed: ["fizz-top"], failed: [{ id: "riven-jg", reason: "Session not found: riven-jg" }] },
    {
      killed: [],
      failed: [],
      worktrees: [{ id: "fizz-top", path: "/x", removed: false, reason: "r", command: "git ..." }],
    },
  ],
  resume: [{ session: FULL, readyProven: true }],
  prune: [{ forgotten: [{ id: "fizz-top", worktree: "/x" }], failed: [], keys: 3 }],
  attachCommand: [
    { command: "tmux", args: ["attach"], env: { PATH: "/bin" } },
    { command: "codex", args: [], env: {}, cwd: "/src" },
  ],
};
