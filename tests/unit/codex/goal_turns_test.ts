/** When a goal is over and when the next turn is, from recorded looks at the real Codex. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { needsSecondLook } from "../../../backends/codex/course.ts";
import { judgeWait, nextTurnFrom } from "../../../backends/codex/goal_turns.ts";
import type { CodexEvidence } from "../../../backends/codex/evidence.ts";
import { anchorIn, look } from "../../support/codex_looks.ts";

const GOAL = { until: "goal" } as const;

/** Name of the look, and what the goal came to ("-": not over). */
const GOALS: readonly [name: string, outcome: string][] = [
  ["right after thread/goal/set was answered", "-"],
  ["the first turn of a goal runs", "-"],
  ["the end of a goal's turn is not on record yet", "-"],
  ["the second turn of a goal runs", "-"],
  ["between two turns of a goal", "-"],
  ["again, the end of a goal's turn is not on record yet", "-"],
  ["a goal is complete and its turn goes on", "-"],
  ["a goal is complete", "complete"],
  ["a goal has used up its budget", "budgetLimited"],
  ["a message in a goal's turn, the next one runs", "-"],
  ["a goal's turn was interrupted", "-"],
  ["a goal is paused", "paused"],
  ["a paused goal was made active again", "-"],
  ["a message is queued behind a goal's turn", "-"],
  ["a goal goes on behind a queued message", "-"],
  ["a goal is paused, its turn goes on", "-"],
  ["a paused goal's turn is over", "paused"],
  ["a goal is blocked", "blocked"],
  ["a goal's turn has failed, its end is not on record yet", "-"],
  ["a goal's turn has failed", "blocked"],
  ["a goal has met the usage limit", "usageLimited"],
  ["the server was killed in a goal's turn", "failed"],
  ["the server was killed in a goal's turn, the thread was loaded", "-"],
  ["a goal goes on after the server was killed", "-"],
  ["a goal was paused after the server was killed", "paused"],
  ["a command waits for approval", "waiting_for_input"],
  ["a turn has completed", "cleared"],
  ["archived", "gone"],
  ["deleted", "gone"],
];

Deno.test("a wait for a goal, of every recorded look at one", () => {
  for (const [name, outcome] of GOALS) {
    strictEqual(judgeWait(look(name), GOAL)?.outcome ?? "-", outcome, name);
  }
});

Deno.test("a wait for a goal whose turn was interrupted looks twice, since the goal may have ended with it", () => {
  const evidence = look("a goal's turn was interrupted");
  strictEqual(needsSecondLook(evidence), true);
  strictEqual(judgeWait({ ...evidence, settled: true }, GOAL)?.outcome, "interrupted");
  strictEqual(judgeWait({ ...evidence, at: evidence.at + 10_000 }, GOAL)?.outcome, "interrupted");
});

Deno.test("a wait for a goal tells of the goal, and why it did not get on", () => {
  const complete = judgeWait(look("a goal is complete"), GOAL);
  deepStrictEqual(complete, {
    outcome: "complete",
    goal: {
      threadId: "01a2032f-ab80-7291-956b-eac1d3ca9f27",
      objective: "SCRIPT:goal 4",
      status: "complete",
      tokenBudget: 100_000,
      tokensUsed: 75,
      timeUsedSeconds: 0,
      createdAt: 1795349785,
      updatedAt: 1795349786,
    },
    error: null,
  });
  const blocked = judgeWait(look("a goal's turn has failed"), GOAL);
  strictEqual(
    blocked?.outcome === "blocked" && /scripted invalid_request_error/.test(blocked.error ?? ""),
    true,
  );
});

Deno.test("a wait for a goal that is over does not wait for the turn of a message", () => {
  const running = look("a message is queued behind a goal's turn");
  const ofGoal: CodexEvidence = { ...running, goal: look("a goal is complete").goal };
  strictEqual(judgeWait(ofGoal, GOAL), null);
  const ofMessage = {
    ...look("a turn runs, two messages are queued"),
    goal: look("a goal is complete").goal,
  };
  strictEqual(judgeWait(ofMessage, GOAL)?.outcome, "complete");
});

Deno.test("a wait for a goal without a server, and with a silent one", () => {
  const evidence: CodexEvidence = { ...look("deleted"), server: "down" };
  strictEqual(judgeWait(evidence, GOAL)?.outcome, "failed");
  strictEqual(judgeWait({ ...evidence, server: "unknown" }, GOAL), null);
});

Deno.test("a wait for the next turn ends with the one that ran, else with the next one", () => {
  const table: [from: string, then: string, outcome: string][] = [
    ["the first turn of a goal runs", "the first turn of a goal runs", "-"],
    ["the first turn of a goal runs", "the end of a goal's turn is not on record yet", "-"],
    ["the first turn of a goal runs", "the second turn of a goal runs", "completed"],
    ["the end of a goal's turn is not on record yet", "the second turn of a goal runs", "completed"],
    ["the second turn of a goal runs", "the second turn of a goal runs", "-"],
    ["the second turn of a goal runs", "between two turns of a goal", "completed"],
    ["between two turns of a goal", "between two turns of a goal", "-"],
    ["between two turns of a goal", "a goal is complete", "completed"],
    ["a goal is complete", "a goal is complete", "-"],
    ["the queue is empty and all is over", "right after turn/interrupt was answered", "-"],
    ["the queue is empty and all is over", "interrupted, one message is held in the queue", "interrupted"],
    ["a command waits for approval", "a command waits for approval", "waiting_for_input"],
    ["a command waits for approval", "a command was declined", "completed"],
    ["a turn tries again", "a turn has failed after trying again", "failed"],
    ["a turn has completed", "deleted", "gone"],
    ["right after turn/start was answered", "a turn has completed", "completed"],
  ];
  for (const [from, then, outcome] of table) {
    strictEqual(
      judgeWait(look(then), nextTurnFrom(look(from)))?.outcome ?? "-",
      outcome,
      `${from} -> ${then}`,
    );
  }
});

Deno.test("a wait for a message is what it was", () => {
  const evidence = look("a turn has completed");
  strictEqual(judgeWait(evidence, anchorIn(evidence, "c-1"))?.outcome, "completed");
  strictEqual(judgeWait(evidence, null)?.outcome, "completed");
});
