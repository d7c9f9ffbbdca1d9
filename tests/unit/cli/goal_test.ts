/** `goal`, and waits for goals and next turns: arguments, printed text, exit codes. */

import { deepStrictEqual } from "node:assert/strict";
import type { GoalResult } from "../../../lib/service.ts";
import type { Goal, WaitOutcome } from "../../../lib/session.ts";
import { call, checkRows, outcome, refused } from "./harness.ts";

const GOAL: Goal = {
  threadId: "t-1",
  objective: "make it work",
  status: "active",
  tokenBudget: 1000,
  tokensUsed: 25,
  timeUsedSeconds: 3,
  createdAt: 1,
  updatedAt: 2,
};
const TEXT = "objective: make it work\nstatus: active\ntokens used: 25\ntoken budget: 1000\ntime used: 3s\n";

const answering = (given: Partial<GoalResult>) => ({
  service: {
    goal: ({ id }: { readonly id: string }) =>
      Promise.resolve({ id, goal: null, cleared: null, defaultBudget: null, ...given }),
  },
});

Deno.test("goal makes a request of its arguments", async (t) => {
  const asks = (change: unknown) => [{ goal: { id: "fizz-top", change } }];
  const begin = (objective: string, tokenBudget: number | null = null) =>
    asks({ kind: "begin", objective, tokenBudget });
  const adjust = (status: string | null, tokenBudget: number | null) =>
    asks({ kind: "adjust", status, tokenBudget });
  await checkRows(t, [
    { name: "tell", argv: ["goal", "fizz-top"], asked: asks(null) },
    { name: "words", argv: ["goal", "fizz-top", "make", "it work"], asked: begin("make it work") },
    { name: "budget", argv: ["goal", "fizz-top", "go", "--budget", "50"], asked: begin("go", 50) },
    {
      name: "stdin",
      argv: ["goal", "fizz-top", "-f", "-"],
      given: { stdin: "from\nstdin\n" },
      asked: begin("from\nstdin\n"),
    },
    { name: "pause", argv: ["goal", "fizz-top", "--pause"], asked: adjust("paused", null) },
    {
      name: "resume",
      argv: ["goal", "fizz-top", "--resume", "--budget", "9"],
      asked: adjust("active", 9),
    },
    { name: "budget alone", argv: ["goal", "fizz-top", "--budget", "9"], asked: adjust(null, 9) },
    { name: "clear", argv: ["goal", "fizz-top", "--clear"], asked: asks({ kind: "clear" }) },
    ...refused([
      [["goal", "fizz-top", "--pause", "--clear"], "Use only one of --pause, --resume, --clear"],
      [["goal", "fizz-top", "x", "--clear"], "--clear cannot be combined with an objective or --budget"],
      [
        ["goal", "fizz-top", "--budget", "5", "--clear"],
        "--clear cannot be combined with an objective or --budget",
      ],
      [["goal", "fizz-top", "x", "--pause"], "--pause/--resume cannot be combined with an objective"],
      [["goal", "fizz-top", "-f", "x", "--resume"], "--pause/--resume cannot be combined with an objective"],
      [["goal", "fizz-top", "x", "-f", "y"], "Provide either an objective or --file, not both"],
      [["goal", "fizz-top", "x", "--budget", "0"], "--budget must be a positive integer"],
      [["goal", "fizz-top", " "], "The objective must not be empty"],
      [["goal", "Fizz Top"], 'Invalid session id: "Fizz Top"'],
    ]),
  ]);
});

Deno.test("goal prints the goal as it is now", async (t) => {
  await checkRows(t, [
    { name: "none", argv: ["goal", "fizz-top"], stdout: "No goal set for fizz-top\n" },
    { name: "one", argv: ["goal", "fizz-top"], given: answering({ goal: GOAL }), stdout: TEXT },
    {
      name: "without a limit",
      argv: ["goal", "fizz-top"],
      given: answering({ goal: { ...GOAL, tokenBudget: null } }),
      stdout: TEXT.replace("1000", "none"),
    },
    {
      name: "with the default budget",
      argv: ["goal", "fizz-top", "x"],
      given: answering({ goal: GOAL, defaultBudget: 1000 }),
      stdout: TEXT,
      stderr: "No --budget was given: the goal ends at 1000 tokens. " +
        "Set another limit with: dev-sessions goal fizz-top --budget <tokens>\n",
    },
    {
      name: "a higher budget alone",
      argv: ["goal", "fizz-top", "--budget", "1000"],
      given: answering({ goal: { ...GOAL, status: "budgetLimited" } }),
      stderr: "Its budget is not used up any more. Let it go on with: dev-sessions goal fizz-top --resume\n",
    },
    {
      name: "cleared",
      argv: ["goal", "fizz-top", "--clear"],
      given: answering({ cleared: true }),
      stdout: "Cleared goal for fizz-top\n",
    },
    {
      name: "nothing to clear",
      argv: ["goal", "fizz-top", "--clear"],
      given: answering({ cleared: false }),
      stdout: "No goal to clear for fizz-top\n",
    },
    {
      name: "cleared, JSON",
      argv: ["goal", "fizz-top", "--clear", "--json"],
      given: answering({ cleared: true }),
      stdout: '{"cleared":true}\n',
    },
    { name: "none, JSON", argv: ["goal", "fizz-top", "--json"], stdout: "null\n" },
  ]);
  const { stdout } = await call(["goal", "fizz-top", "--json"], answering({ goal: GOAL }));
  deepStrictEqual(JSON.parse(stdout), GOAL);
});

Deno.test("wait --goal and --next-turn", async (t) => {
  const yielding = (given: WaitOutcome) => ({
    service: {
      async *wait() {
        yield outcome("fizz-top", given);
      },
    },
  });
  const ended = (
    name: "complete" | "paused" | "blocked" | "usageLimited" | "budgetLimited" | "cleared",
    stderr: string,
    error: string | null = null,
  ) => ({
    name,
    argv: ["wait", "fizz-top", "--goal"],
    given: yielding({ outcome: name, goal: null, error }),
    code: stderr === "" ? 0 : 6,
    stdout: `${name}\n`,
    stderr: stderr === ""
      ? ""
      : `The goal of "fizz-top" is not complete: ${stderr}. Look with: dev-sessions goal fizz-top\n`,
  });
  const timedOut = (flag: string, stderr: string) => ({
    name: `${flag} times out`,
    argv: ["wait", "fizz-top", flag],
    given: yielding({ outcome: "timed_out", state: "working" }),
    code: 124,
    stdout: "timed_out\n",
    stderr,
  });
  await checkRows(t, [
    ended("complete", ""),
    ended("paused", "it is paused"),
    ended("blocked", "the agent can't go on with it (401)", "401"),
    ended("usageLimited", "the usage limit of the account is reached"),
    ended("budgetLimited", "its budget of tokens is used up"),
    ended("cleared", "it was cleared"),
    timedOut("--goal", "Timed out waiting for goal on fizz-top\n"),
    timedOut("--next-turn", "Timed out waiting for the next turn on fizz-top\n"),
    ...refused([
      [["wait", "fizz-top", "--goal", "--next-turn"], "Use only one of --goal, --next-turn"],
      [
        ["wait", "fizz-top", "--goal", "--message", "r"],
        "--message can't be combined with --goal or --next-turn",
      ],
    ]),
  ]);
  for (const [flag, until] of [["--goal", "goal"], ["--next-turn", "next_turn"]] as const) {
    const { asked } = await call(["wait", "fizz-top", flag]);
    deepStrictEqual((asked.at(-1)?.["wait"] as { until?: unknown }).until, until);
  }
});
