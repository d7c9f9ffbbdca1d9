import { deepStrictEqual, throws } from "node:assert/strict";
import { threadConfig } from "../../../backends/codex/agent_args.ts";
import { planDelivery } from "../../../backends/codex/delivery_plan.ts";
import type { CodexEvidence } from "../../../backends/codex/evidence.ts";
import { sandboxOf, threadSettings, turnSettings } from "../../../backends/codex/settings.ts";
import type { Launch, Mode, SendMode } from "../../../lib/session.ts";

Deno.test("threadConfig() takes what codex -c takes", () => {
  const cases: readonly (readonly [args: readonly string[], config: Record<string, unknown>])[] = [
    [[], {}],
    [["-c", "model_reasoning_effort=high"], { model_reasoning_effort: "high" }],
    [["model_reasoning_effort=high"], { model_reasoning_effort: "high" }],
    [["-cweb_search=true"], { web_search: true }],
    [["--config", 'a.b="x y"', "--config=c=3"], { "a.b": "x y", c: 3 }],
    [["-c", 'list=["a","b"]', "-c", "literal='it\"s'"], { list: ["a", "b"], literal: 'it"s' }],
    [["-c", "a.b-c_d=x=y"], { "a.b-c_d": "x=y" }],
    [["-c", "empty="], { empty: "" }],
    [["-c", "text=null"], { text: "null" }],
  ];
  for (const [args, config] of cases) deepStrictEqual(threadConfig(args), config, args.join(" "));
  for (const wrong of [["--add-dir"], ["-c"], ["-c", "novalue"], ["=x"], ["prompt"], ["-c", "a={b=1}"]]) {
    throws(() => threadConfig(wrong), /Cannot give ".*" to Codex/);
  }
});

const session = (mode: Mode, launch: Partial<Launch> = {}, model: string | null = null) => ({
  id: "fizz-top",
  mode,
  model,
  launch: { agentArgs: [], trust: false, ...launch },
});

Deno.test("each mode has its sandbox, and --sandbox another one", () => {
  deepStrictEqual(sandboxOf(session("yolo")), "full");
  deepStrictEqual(sandboxOf(session("native")), "workspace");
  deepStrictEqual(sandboxOf(session("yolo", { sandbox: "read-only" })), "read-only");
  deepStrictEqual(sandboxOf({ mode: "yolo", launch: null }), "full");
});

Deno.test("a turn is given the same settings as its thread", () => {
  const config = {
    "shell_environment_policy.set.DEV_SESSIONS_ID": "fizz-top",
    "shell_environment_policy.set.DEV_SESSIONS_SANDBOX": "0",
  };
  deepStrictEqual(threadSettings(session("yolo")), {
    approvalPolicy: "never",
    sandbox: "danger-full-access",
    config,
  });
  deepStrictEqual(turnSettings(session("yolo")), {
    approvalPolicy: "never",
    sandboxPolicy: { type: "dangerFullAccess" },
  });
  const native = session("native", { sandbox: "read-only", agentArgs: ["-c", "x=1"] }, "gpt-5.5");
  deepStrictEqual(threadSettings(native), {
    approvalPolicy: "on-request",
    permissions: ":read-only",
    model: "gpt-5.5",
    config: { x: 1, ...config },
  });
  deepStrictEqual(turnSettings(native), {
    approvalPolicy: "on-request",
    permissions: ":read-only",
    model: "gpt-5.5",
  });
});

Deno.test("an argument can't take the session's name from its commands", () => {
  const { config } = threadSettings(
    session("yolo", { agentArgs: ["shell_environment_policy.set.DEV_SESSIONS_ID=other-top"] }),
  );
  deepStrictEqual(config?.["shell_environment_policy.set.DEV_SESSIONS_ID"], "fizz-top");
});

Deno.test("planDelivery(): a turn is started on an idle thread only", () => {
  type Status = "idle" | "active" | "notLoaded" | "systemError";
  const evidence = (status: Status, turn: string | null, queued: number) => ({
    server: "up",
    thread: { status: status === "active" ? { type: status, activeFlags: [] } : { type: status } },
    turns: turn === null
      ? []
      : [{ id: "t1", status: turn, items: [], completedAt: turn === "inProgress" ? null : 1 }],
    queued: Array.from({ length: queued }, (_, index) => ({ id: `q${index}` })),
    settled: true,
  } as unknown as CodexEvidence);
  const start = { way: "start" };
  for (const server of ["down", "unknown"] as const) {
    deepStrictEqual(planDelivery({ ...evidence("idle", null, 0), server, thread: null }, "queue"), null);
  }
  const behind = { way: "queue", held: false };
  const held = { way: "queue", held: true };
  const cases: readonly (readonly [Status, string | null, number, SendMode, unknown])[] = [
    ["idle", null, 0, "queue", start],
    ["idle", "completed", 0, "queue", start],
    ["systemError", "failed", 0, "queue", start],
    ["notLoaded", "interrupted", 0, "steer", start],
    ["active", "inProgress", 0, "queue", behind],
    ["active", "inProgress", 2, "queue", behind],
    ["active", "inProgress", 0, "interrupt", behind],
    ["active", "inProgress", 2, "steer", { way: "steer", turnId: "t1" }],
    // Between two turns.
    ["active", "completed", 1, "queue", behind],
    ["active", "completed", 1, "steer", null],
    // Held by an interrupt.
    ["idle", "interrupted", 2, "queue", held],
    ["idle", "interrupted", 2, "steer", held],
    ["idle", "interrupted", 2, "interrupt", start],
  ];
  for (const [status, turn, queued, mode, plan] of cases) {
    deepStrictEqual(
      planDelivery(evidence(status, turn, queued), mode),
      plan,
      `${status} ${turn} ${queued} ${mode}`,
    );
  }
});
