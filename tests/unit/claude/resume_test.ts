/** What a resumed Claude is started with, when a session may be ended for being idle, and what its old turns came to. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { claudeArguments } from "../../../backends/claude/launch_files.ts";
import { judgeReadiness } from "../../../backends/claude/readiness.ts";
import { isAtRest, type RestEvidence } from "../../../backends/claude/resting.ts";
import { resumeEnvironment, withoutConversation } from "../../../backends/claude/resume.ts";
import { textKey } from "../../../backends/claude/text_match.ts";
import { judgeTurn } from "../../../backends/claude/turn.ts";
import type { TurnState } from "../../../lib/session.ts";
import { evidence, hook, mark, registry, stopped, submitted, T0 } from "../../support/claude_evidence.ts";

Deno.test("withoutConversation() leaves out what chooses a conversation, and a prompt", () => {
  const table: [given: string[], kept: string[]][] = [
    [[], []],
    [["--add-dir", "../x", "--verbose"], ["--add-dir", "../x", "--verbose"]],
    [["--continue", "--verbose"], ["--verbose"]],
    [["-c"], []],
    [["--resume", "abc", "--fork-session"], []],
    [["--resume=abc", "--verbose"], ["--verbose"]],
    [["-r", "--verbose"], ["--verbose"]],
    [["--session-id", "abc", "--add-dir", "x"], ["--add-dir", "x"]],
    [["--verbose", "--", "do it"], ["--verbose"]],
    [["--resume"], []],
    [["--constructor", "x"], ["--constructor", "x"]],
  ];
  for (const [given, kept] of table) deepStrictEqual(withoutConversation(given), kept, given.join(" "));
});

Deno.test("claudeArguments() goes on with a conversation instead of beginning it", () => {
  const spec = {
    binary: "/bin/claude",
    sessionId: "id",
    settings: "/s.json",
    mode: "native",
    model: "opus",
    agentArgs: ["--x"],
  } as const;
  const rest = ["--settings", "/s.json", "--permission-mode", "default", "--model", "opus", "--x"];
  deepStrictEqual(claudeArguments(spec), ["/bin/claude", "--session-id", "id", ...rest]);
  deepStrictEqual(claudeArguments({ ...spec, resume: true }), ["/bin/claude", "--resume", "id", ...rest]);
});

Deno.test("resumeEnvironment() takes the configuration folder from the session, not from the caller", () => {
  const never = { CLAUDE_CODE_RESUME_TOKEN_THRESHOLD: "1000000000" };
  const usual = { configFolder: "/home/u/.claude" };
  const other = { configFolder: "/srv/claude" };
  const table: [caller: Record<string, string>, handle: object, expected: Record<string, string>][] = [
    [{ A: "1" }, usual, { A: "1" }],
    [{ A: "1", CLAUDE_CONFIG_DIR: "/mine" }, usual, { A: "1" }],
    [{ CLAUDE_CONFIG_DIR: "/mine" }, other, { CLAUDE_CONFIG_DIR: "/srv/claude" }],
    [{}, { ...usual, configGiven: true }, { CLAUDE_CONFIG_DIR: "/home/u/.claude" }],
    [{ CLAUDE_CONFIG_DIR: "/mine" }, { ...usual, configGiven: false }, {}],
    [{ CLAUDE_CODE_RESUME_INTERRUPTED_TURN: "1", CLAUDE_CODE_RESUME_TOKEN_THRESHOLD: "5" }, usual, {}],
  ];
  for (const [caller, handle, expected] of table) {
    deepStrictEqual(
      resumeEnvironment(caller, "/home/u", handle as typeof usual),
      { ...expected, ...never },
    );
  }
});

Deno.test("judgeReadiness() knows why Claude does not resume", () => {
  const start = {
    process: "dead",
    end: "exit 1",
    hookAgeMs: null,
    registry: null,
    registryIdleMs: 0,
    screen: "No conversation found with session ID: 4b56\n\nPane is dead",
    screenQuietMs: 0,
    box: "unrecognised",
  } as const;
  deepStrictEqual(judgeReadiness(start), {
    kind: "failed",
    reason: "its agent ended at once (exit 1): Claude does not find its conversation",
    help: "Start another with: dev-sessions create",
  });
  const asked = judgeReadiness({
    ...start,
    process: "alive",
    end: null,
    registry: { status: "waiting", waitingFor: "dialog open" },
    screen: "❯ 1. Resume from summary (instant, recommended)\n  2. Resume full session as-is",
  });
  strictEqual(asked.kind === "failed" && asked.reason, "Claude asks whether to resume from a summary");
});

Deno.test("isAtRest() needs every proof", () => {
  const idle: TurnState = {
    state: "idle",
    since: new Date(T0).toISOString(),
    evidence: [],
    background: [],
    lastTurn: null,
  };
  const resting: RestEvidence = {
    now: T0 + 60_000,
    state: idle,
    registry: { status: "idle" },
    screen: { attached: false, shared: false, inMode: false, box: "empty" },
  };
  const screen = { attached: false, shared: false, inMode: false, box: "empty" } as const;
  const task = { id: "1", type: "shell", description: null };
  const table: [holds: string, changes: Partial<RestEvidence>, rests: boolean][] = [
    ["all proven", {}, true],
    ["idle, without a live registry", { registry: null }, true],
    ["not long enough", { now: T0 + 59_999 }, false],
    ["since when is not known", { state: { ...idle, since: null } }, false],
    ["working", { state: { ...idle, state: "working" } }, false],
    ["unknown", { state: { ...idle, state: "unknown", reason: "" } }, false],
    ["gone", { state: { ...idle, state: "gone", reason: "" } }, false],
    ["a shell, a sub-agent or a cron", { state: { ...idle, background: [task] } }, false],
    ["a shell by the registry", { registry: { status: "shell" } }, false],
    ["busy by the registry", { registry: { status: "busy" } }, false],
    ["somebody is attached", { screen: { ...screen, attached: true } }, false],
    ["somebody works beside it", { screen: { ...screen, shared: true } }, false],
    ["somebody scrolls", { screen: { ...screen, inMode: true } }, false],
    ["a draft", { screen: { ...screen, box: "draft" } }, false],
    ["another mode", { screen: { ...screen, box: "other_mode" } }, false],
    ["a screen that we don't know", { screen: { ...screen, box: "unrecognised" } }, false],
    ["no screen", { screen: null }, false],
  ];
  for (const [holds, changes, rests] of table) {
    strictEqual(isAtRest({ ...resting, ...changes }, 60_000), rests, holds);
  }
});

Deno.test("a turn that its agent did not live to end has failed, whatever other turns came to", () => {
  const go = submitted(100, "go");
  const prompt = mark.prompt(100, "go");
  const again = hook("SessionStart", 1_000, { source: "resume" });
  const cleared = hook("SessionStart", 1_000, { source: "clear" });
  const next = [submitted(2_000, "next"), stopped(2_500)];
  const nextMarks = [mark.prompt(2_000, "next"), mark.text(2_400), mark.end(2_500)];
  const idle = registry("idle", 2_600);
  const table: [holds: string, since: Parameters<typeof judgeTurn>[0], outcome: string | null][] = [
    ["cut off", { events: [go, again], marks: [prompt] }, "failed"],
    ["cut off, without hooks of its prompt", { events: [again], marks: [prompt] }, "failed"],
    ["cut off in the queue", { events: [again], marks: [mark.enqueued(100, "go")] }, "failed"],
    ["another turn has ended since", {
      events: [go, again, ...next],
      marks: [prompt, ...nextMarks],
    }, "failed"],
    ["ended before", { events: [go, stopped(500), again], marks: [prompt, mark.end(500)] }, "completed"],
    ["ended before, by its hook alone", { events: [go, stopped(500), again], marks: [prompt] }, "completed"],
    ["ended before, and another turn since", {
      events: [go, stopped(500), again, ...next],
      marks: [prompt, mark.end(500), ...nextMarks],
    }, "completed"],
    ["sent after the start", {
      events: [again, submitted(2_000, "go"), stopped(2_500)],
      marks: [mark.prompt(2_000, "go"), mark.end(2_500)],
    }, "completed"],
    ["sent after the start, and at work", {
      events: [again, submitted(2_700, "go")],
      marks: [mark.prompt(2_700, "go")],
    }, null],
    ["not on record yet", { events: [again], marks: [] }, null],
    ["a start that is none of another agent", { events: [go, cleared], marks: [prompt] }, "interrupted"],
  ];
  for (const [holds, since, outcome] of table) {
    const live = evidence({ registry: idle, at: T0 + 10_000, ...since });
    strictEqual(
      judgeTurn(since, live, textKey("go"), { background: false })?.outcome ?? null,
      outcome,
      holds,
    );
  }
});
