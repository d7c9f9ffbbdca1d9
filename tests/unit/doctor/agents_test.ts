/** What is seen of the agents, of tmux and of sessions, and what doctor says of it. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import * as claude from "../../../backends/claude/checkup_judge.ts";
import { judgePanes, judgeServer, judgeTmuxVersion } from "../../../backends/claude/checkup_tmux.ts";
import type { MarkedPane } from "../../../backends/claude/tmux.ts";
import * as codex from "../../../backends/codex/checkup_judge.ts";
import { weighAgents } from "../../../lib/doctor/agents.ts";
import { type Finding, ok as fine, problem, warning } from "../../../lib/doctor/finding.ts";
import { judgeWait } from "../../../lib/doctor/selftest.ts";
import { judgeSessions } from "../../../lib/doctor/sessions.ts";
import type { Checkup } from "../../../lib/doctor/world.ts";
import type { Session, WaitOutcome } from "../../../lib/session.ts";
import { CLAUDE_VERSION, CODEX_VERSION } from "../../support/agent_install.ts";
import { session } from "../cli/harness.ts";

const shape = (findings: readonly Finding[]) => findings.map(({ level, check }) => `${level} ${check}`);

Deno.test("the versions that doctor calls tested are those of the tests", () => {
  strictEqual(claude.TESTED_VERSION, CLAUDE_VERSION);
  strictEqual(codex.TESTED_VERSION, CODEX_VERSION);
});

Deno.test("Claude's version", () => {
  const level = (version: string) => claude.judgeVersion("/b/claude", { kind: "version", version }).level;
  deepStrictEqual(
    ["2.1.330", "2.1.331", "2.2.0", "2.1.329", "2.1.197", "2.1.196", "1.9.999"].map(level),
    ["ok", "note", "note", "note", "note", "warning", "warning"],
  );
  const silent = claude.judgeVersion("/b/claude", {
    kind: "silent",
    why: "--version ended with 1 (no node)",
  });
  strictEqual(silent.level, "problem");
  match(silent.what, /no node/);
});

Deno.test("compareVersions() goes by number, and what follows them does not count", () => {
  strictEqual(claude.compareVersions("2.1.330", "2.1.330-beta.1"), 0);
  strictEqual(claude.compareVersions("2.10.0", "2.9.9") > 0, true);
  strictEqual(claude.compareVersions("2.1", "2.1.1") < 0, true);
});

const NO_SIGN_IN: claude.SignInEvidence = {
  variables: new Set(),
  apiKey: "unasked",
  apiKeyHelper: false,
  credentials: "absent",
  storedKey: false,
  keychain: false,
};
const SIGN_INS: readonly (readonly [
  name: string,
  given: Partial<claude.SignInEvidence>,
  level: string,
  what: RegExp,
])[] = [
  ["nothing", {}, "problem", /not signed in/],
  ["a keychain that may have it", { keychain: true }, "note", /can't be told/],
  ["credentials", { credentials: "valid" }, "ok", /signed in/],
  ["expired credentials", { credentials: "expired" }, "problem", /expired/],
  ["credentials that can't be read", { credentials: "unreadable" }, "note", /can't be told/],
  ["a token", { variables: new Set(["ANTHROPIC_AUTH_TOKEN"]) }, "ok", /ANTHROPIC_AUTH_TOKEN/],
  [
    "a long-lived token",
    { variables: new Set(["CLAUDE_CODE_OAUTH_TOKEN"]) },
    "ok",
    /CLAUDE_CODE_OAUTH_TOKEN/,
  ],
  ["a cloud provider", { variables: new Set(["CLAUDE_CODE_USE_VERTEX"]) }, "ok", /VERTEX/],
  ["a helper", { apiKeyHelper: true }, "ok", /apiKeyHelper/],
  ["a stored key", { storedKey: true }, "ok", /stored/],
  [
    "an approved key",
    { variables: new Set(["ANTHROPIC_API_KEY"]), apiKey: "approved" },
    "ok",
    /ANTHROPIC_API_KEY/,
  ],
  [
    "a key that it would ask about, whatever else there is",
    { variables: new Set(["ANTHROPIC_API_KEY"]), credentials: "valid" },
    "problem",
    /not been told yet/,
  ],
  [
    "a rejected key, and credentials",
    { variables: new Set(["ANTHROPIC_API_KEY"]), apiKey: "rejected", credentials: "valid" },
    "ok",
    /signed in/,
  ],
  [
    "a rejected key alone",
    { variables: new Set(["ANTHROPIC_API_KEY"]), apiKey: "rejected" },
    "problem",
    /not signed in/,
  ],
  [
    "a token beside a key that it would ask about",
    { variables: new Set(["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]) },
    "ok",
    /AUTH_TOKEN/,
  ],
];

Deno.test("Claude's sign-in", async (t) => {
  for (const [name, given, level, what] of SIGN_INS) {
    await t.step(name, () => {
      const finding = claude.judgeSignIn({ ...NO_SIGN_IN, ...given });
      strictEqual(finding.level, level);
      match(finding.what, what);
    });
  }
});

Deno.test("Claude's first questions", () => {
  deepStrictEqual(claude.judgeOnboarding(true, "/h/.claude.json"), []);
  deepStrictEqual(shape(claude.judgeOnboarding(false, "/h/.claude.json")), ["problem claude-setup"]);
  deepStrictEqual(shape(claude.judgeOnboarding(null, "/h/.claude.json")), ["problem claude-setup"]);
});

const FILE: claude.SettingsFile = {
  path: "/h/.claude/settings.json",
  source: "user",
  disableAllHooks: false,
  allowManagedHooksOnly: false,
  garbled: false,
};
Deno.test("Claude's hooks", () => {
  const judge = (...given: Partial<claude.SettingsFile>[]) =>
    shape(claude.judgeHooks(given.map((one) => ({ ...FILE, ...one }))));
  deepStrictEqual(judge(), ["ok claude-hooks"]);
  deepStrictEqual(judge({}), ["ok claude-hooks"]);
  deepStrictEqual(judge({}, { disableAllHooks: true }), ["warning claude-hooks"]);
  deepStrictEqual(judge({ source: "managed", allowManagedHooksOnly: true }), ["warning claude-hooks"]);
  deepStrictEqual(judge({ source: "user", allowManagedHooksOnly: true }), ["ok claude-hooks"]);
  deepStrictEqual(judge({ garbled: true }), ["problem claude-settings", "ok claude-hooks"]);
  deepStrictEqual(judge({ garbled: true, source: "folder" }), ["warning claude-settings", "ok claude-hooks"]);
});

Deno.test("tmux's version", () => {
  const rows = [
    "tmux 3.3a",
    "tmux 3.1c",
    "tmux 3.8",
    "tmux 3.0a",
    "tmux 2.9",
    "tmux 4.0",
    "tmux next-3.9",
    "tmux master",
  ];
  deepStrictEqual(rows.map((said) => judgeTmuxVersion(said).level), [
    "ok",
    "ok",
    "ok",
    "warning",
    "warning",
    "note",
    "note",
    "note",
  ]);
  strictEqual(judgeTmuxVersion("tmux openbsd-7.6").level, "ok");
  strictEqual(judgeTmuxVersion(null).level, "problem");
  strictEqual(judgeTmuxVersion("").level, "note");
});

Deno.test("tmux's server", () => {
  const failed = (reason: "no_server" | "other") =>
    ({ kind: "failed", reason, message: "Permission denied" }) as const;
  deepStrictEqual(shape(judgeServer({ kind: "ok", stdout: "" }, "/t/default", true)), ["ok tmux-server"]);
  deepStrictEqual(shape(judgeServer(failed("no_server"), "/t/default", true)), ["ok tmux-server"]);
  deepStrictEqual(judgeServer(failed("no_server"), "/t/other", false), []);
  deepStrictEqual(shape(judgeServer(failed("other"), "/t/default", true)), ["problem tmux-server"]);
  deepStrictEqual(shape(judgeServer({ kind: "unresponsive" }, "/t/default", true)), ["problem tmux-server"]);
});

const PANE: MarkedPane = {
  session: "dev-fizz-top",
  pane: "%1",
  pid: 7,
  dead: false,
  attached: false,
  shared: false,
  registry: "/h/.dev-sessions",
  end: null,
};
const PANES: readonly (readonly [
  name: string,
  pane: Partial<MarkedPane>,
  lifecycle: "active" | "creating" | "ended" | null,
  expected: readonly string[],
])[] = [
  ["of a live session", {}, "active", []],
  ["of one that is being created", {}, "creating", []],
  ["a dead agent of a live session, which its next look ends", { dead: true }, "active", []],
  ["a dead agent of an ended session", { dead: true }, "ended", ["note dead-panes"]],
  ["a dead agent without a row", { dead: true }, null, ["note dead-panes"]],
  ["a dead agent at which somebody looks", { dead: true, attached: true }, "ended", []],
  ["a dead agent beside which somebody works", { dead: true, shared: true }, "ended", []],
  ["a living agent of an ended session", {}, "ended", ["warning stray-agent"]],
  ["a living agent without a row", {}, null, ["warning stray-agent"]],
  ["another registry's", { registry: "/other/.dev-sessions" }, null, []],
  ["an earlier version's", { registry: null }, null, []],
];

Deno.test("what tmux still has of sessions", async (t) => {
  for (const [name, pane, lifecycle, expected] of PANES) {
    await t.step(name, () => {
      const row = session();
      const atWork = new Set(lifecycle === null || lifecycle === "ended" ? [] : [row.token]);
      const marked = new Map([[row.token, { ...PANE, ...pane }]]);
      deepStrictEqual(
        shape(judgePanes({ marked, atWork, registry: "/h/.dev-sessions", socket: "/t/default" })),
        expected,
      );
    });
  }
});

Deno.test("Codex's version", () => {
  const level = (version: string) => codex.judgeVersion("/b/codex", { kind: "version", version }).level;
  deepStrictEqual(["0.169.0", "0.170.0", "0.155.0", "0.154.9"].map(level), ["ok", "note", "note", "problem"]);
  strictEqual(codex.judgeVersion("/b/codex", { kind: "silent", why: "x" }).level, "problem");
});

Deno.test("Codex's sign-in", () => {
  const none = { stored: false, loginStatus: false, ownProvider: false, elsewhere: false };
  const level = (given: Partial<codex.SignInEvidence>) => codex.judgeSignIn({ ...none, ...given }).level;
  strictEqual(level({}), "problem");
  strictEqual(level({ loginStatus: null }), "note");
  for (const given of [{ stored: true }, { loginStatus: true }, { ownProvider: true }, { elsewhere: true }]) {
    strictEqual(level(given), "ok", JSON.stringify(given));
  }
});

Deno.test("Codex's folder", () => {
  const home = { codexHome: "/home/u/.codex", given: false, isFolder: true, temporary: "/tmp" };
  const judge = (given: Partial<codex.HomeEvidence>) => shape(codex.judgeHome({ ...home, ...given }));
  deepStrictEqual(judge({}), []);
  deepStrictEqual(judge({ isFolder: false }), []);
  deepStrictEqual(judge({ isFolder: false, given: true }), ["problem codex-home"]);
  deepStrictEqual(judge({ codexHome: "/tmp/x/.codex" }), ["warning codex-home"]);
  deepStrictEqual(judge({ codexHome: "/tmpfs/.codex" }), []);
});

Deno.test("Codex's app-server", () => {
  const running = {
    kind: "running",
    where: "unix:///s",
    version: "0.169.0",
    pid: 7,
    owner: "ours",
    loaded: ["t1"],
  } as const;
  const level = (found: codex.ServerEvidence, version: string | null = "0.169.0") =>
    codex.judgeServer(found, version).map((finding) => finding.level).join();
  strictEqual(level({ kind: "none" }), "ok");
  strictEqual(level(running), "ok");
  strictEqual(level(running, "0.170.0"), "note");
  strictEqual(level({ ...running, owner: "configured" }, "0.170.0"), "ok");
  strictEqual(level({ ...running, version: null }), "ok");
  strictEqual(level({ kind: "failed", error: { code: "refused", message: "Cannot trust it" } }), "problem");
  match(
    codex.judgeServer(running, null)[0]?.what ?? "",
    /started by dev-sessions, process 7, 1 thread loaded/,
  );
  match(codex.judgeServer({ ...running, owner: "foreign" }, null)[0]?.what ?? "", /by another program/);
});

Deno.test("threads of ended sessions that are loaded", () => {
  deepStrictEqual(codex.judgeLoaded([]), []);
  strictEqual(codex.judgeLoaded([{ id: "fizz-top", thread: "t1" }])[0]?.fix?.command, "codex archive t1");
});

const checkup = (agent: "claude" | "codex", ...findings: Finding[]): Checkup => ({
  agent,
  installed: true,
  findings,
});
const absent = (agent: "claude" | "codex"): Checkup => ({ agent, installed: false, findings: [] });
const BAD = problem("sign-in", "not signed in", {});
const GOOD = fine("version", "1");
const WEIGHED: readonly (readonly [name: string, given: readonly Checkup[], expected: readonly string[]])[] =
  [
    ["no agent", [absent("claude"), absent("codex")], ["problem agents"]],
    ["both work", [checkup("claude", GOOD), checkup("codex", GOOD)], ["ok version", "ok version"]],
    ["the other does not work", [checkup("claude", GOOD), checkup("codex", BAD)], [
      "ok version",
      "warning sign-in",
    ]],
    ["the usual one does not work", [checkup("claude", BAD), checkup("codex", GOOD)], [
      "problem sign-in",
      "ok version",
    ]],
    ["neither works", [checkup("claude", BAD), checkup("codex", BAD)], [
      "problem sign-in",
      "problem sign-in",
    ]],
    ["only the usual one", [checkup("claude", GOOD), absent("codex")], ["ok version"]],
    ["only the other", [absent("claude"), checkup("codex", GOOD)], ["ok version", "warning agents"]],
    ["only the other, which does not work", [absent("claude"), checkup("codex", BAD)], [
      "problem sign-in",
      "warning agents",
    ]],
    ["a warning is no problem", [checkup("claude", warning("w", "", {})), checkup("codex", BAD)], [
      "warning w",
      "warning sign-in",
    ]],
  ];

Deno.test("one agent that works is enough", async (t) => {
  for (const [name, given, expected] of WEIGHED) {
    await t.step(name, () => deepStrictEqual(shape(weighAgents(given, "claude")), expected));
  }
});

Deno.test("judgeSessions() believes only what is proven", () => {
  const row = session();
  const rowsOf = (one: Session) => ({
    sessions: [one],
    unread: [],
    tokens: new Set([one.token]),
    atWork: new Set([one.token]),
  });
  const none = {
    rows: rowsOf(row),
    workers: new Map(),
    agents: new Map([[row.token, "alive" as const]]),
    folders: [],
  };
  const judge = (given: Partial<Parameters<typeof judgeSessions>[0]>) =>
    shape(judgeSessions({ ...none, ...given }, "/h/.dev-sessions/sessions"));
  deepStrictEqual(judge({}), ["ok sessions"]);
  deepStrictEqual(judge({ agents: new Map([[row.token, "dead"]]) }), ["note dead-sessions"]);
  deepStrictEqual(judge({ agents: new Map([[row.token, "unknown"]]) }), ["note unknown-sessions"]);
  deepStrictEqual(judge({ agents: new Map() }), ["note unknown-sessions"]);
  deepStrictEqual(judge({ folders: [row.token] }), ["ok sessions"]);
  deepStrictEqual(judge({ folders: [row.token, "another"] }), ["warning stray-folders"]);
  const unread = {
    ...rowsOf(row),
    unread: [{ id: "riven-jg", reason: "mode: Invalid type" }],
    tokens: new Set([row.token, "another"]),
  };
  deepStrictEqual(judge({ rows: unread, folders: [row.token, "another"] }), ["warning unread-sessions"]);
  const creating = { ...row, lifecycle: "creating" as const };
  deepStrictEqual(judge({ rows: rowsOf(creating), workers: new Map([[row.token, "dead"]]) }), [
    "note unfinished",
  ]);
  deepStrictEqual(judge({ rows: rowsOf(creating), workers: new Map([[row.token, "unknown"]]) }), [
    "ok sessions",
  ]);
  deepStrictEqual(judge({ rows: rowsOf(creating), workers: new Map([[row.token, "alive"]]) }), [
    "ok sessions",
  ]);
});

Deno.test("the self-test's wait is over only with the end of the turn", async (t) => {
  const outcomes: readonly WaitOutcome[] = [
    { outcome: "idle" },
    { outcome: "failed", error: "401" },
    { outcome: "interrupted" },
    { outcome: "gone", reason: "exit 1" },
    { outcome: "timed_out", state: "working" },
    { outcome: "complete", goal: null, error: null },
  ];
  const judge = (outcome: WaitOutcome) => judgeWait({ id: "fizz-top", outcome, state: null });
  match(judge({ outcome: "completed" }), /^completed/);
  for (const outcome of outcomes) {
    await t.step(outcome.outcome, () => {
      let said = "";
      try {
        judge(outcome);
      } catch (error) {
        said = String(error);
      }
      match(said, /^Error: /);
    });
  }
});
