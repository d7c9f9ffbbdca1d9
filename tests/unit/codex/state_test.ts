/** What a session does, from recorded looks at threads of the real Codex. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { isWindingDown, needsSecondLook } from "../../../backends/codex/course.ts";
import type { CodexEvidence } from "../../../backends/codex/evidence.ts";
import { decideState } from "../../../backends/codex/state.ts";
import type { StateName } from "../../../lib/session.ts";
import { anchorIn, look, lookNames } from "../../support/codex_looks.ts";

/** Name of the look, its state, and what the last turn that is over came to. */
const TABLE: readonly [name: string, state: StateName, lastTurn: string | null][] = [
  ["a file change waits for approval", "waiting_for_input", null],
  ["right after turn/start was answered", "idle", null],
  ["a turn has completed", "idle", "completed"],
  ["a turn runs, two messages are queued", "working", "completed"],
  ["a message was steered in", "working", "completed"],
  ["the next turn of the queue is about to begin", "working", "completed"],
  ["the next turn of the queue has no message yet", "working", "completed"],
  ["the first of the queue runs", "working", "completed"],
  ["between two turns of the queue", "working", "completed"],
  ["the last one of the queue is about to run", "working", "completed"],
  ["the queue is empty and all is over", "idle", "completed"],
  ["right after turn/interrupt was answered", "working", "completed"],
  ["interrupted, one message is held in the queue", "idle", "interrupted"],
  ["right after thread/queue/start was answered", "idle", "interrupted"],
  ["the held message has had its turn", "idle", "completed"],
  ["a turn has failed", "idle", "failed"],
  ["right after thread/goal/set was answered", "working", null],
  ["the first turn of a goal runs", "working", null],
  ["the end of a goal's turn is not on record yet", "working", null],
  ["the second turn of a goal runs", "working", "completed"],
  ["between two turns of a goal", "working", "completed"],
  ["again, the end of a goal's turn is not on record yet", "working", "completed"],
  ["a goal is complete and its turn goes on", "working", "completed"],
  ["a goal is complete", "idle", "completed"],
  ["a goal has used up its budget", "idle", "completed"],
  ["a message in a goal's turn, the next one runs", "working", "completed"],
  ["a goal's turn was interrupted", "idle", "interrupted"],
  ["a goal is paused", "idle", "interrupted"],
  ["a paused goal was made active again", "working", "interrupted"],
  ["a message is queued behind a goal's turn", "working", "interrupted"],
  ["a goal goes on behind a queued message", "working", "completed"],
  ["a goal is paused, its turn goes on", "working", "completed"],
  ["a paused goal's turn is over", "idle", "completed"],
  ["a goal is blocked", "idle", "completed"],
  ["a command waits for approval", "waiting_for_input", null],
  ["a command was declined", "idle", "completed"],
  ["a command has run", "idle", "completed"],
  ["a file change was declined", "idle", "completed"],
  ["a question waits for its answer", "waiting_for_input", null],
  ["permissions are asked for", "waiting_for_input", null],
  ["a steered message was lost with its interrupted turn", "idle", "interrupted"],
  ["a turn tries again", "working", null],
  ["a turn has failed after trying again", "idle", "failed"],
  ["the server was killed, another one has not loaded the thread", "idle", "failed"],
  ["the server was killed, the thread was loaded, its queue begins", "working", null],
  ["the server was killed, and the queued message has had its turn", "idle", "completed"],
  ["a goal's turn has failed, its end is not on record yet", "working", null],
  ["a goal's turn has failed", "idle", "failed"],
  ["a goal has met the usage limit", "idle", "failed"],
  ["archived", "gone", "completed"],
  ["deleted", "gone", null],
  ["the server was killed in a goal's turn", "idle", "failed"],
  ["the server was killed in a goal's turn, the thread was loaded", "working", null],
  ["a goal goes on after the server was killed", "working", "failed"],
  ["a goal was paused after the server was killed", "idle", "interrupted"],
];

Deno.test("decideState() of every recorded look", () => {
  deepStrictEqual(TABLE.map(([name]) => name), lookNames);
  for (const [name, state, kind] of TABLE) {
    const decided = decideState(look(name));
    deepStrictEqual([decided.state, decided.lastTurn?.kind ?? null], [state, kind], name);
  }
});

Deno.test("decideState() never calls a thread at rest while its newest message is on the way", () => {
  const table: [name: string, clientId: string, state: StateName][] = [
    ["right after turn/start was answered", "c-1", "working"],
    ["right after thread/queue/start was answered", "c-7", "working"],
    ["a turn has completed", "c-1", "idle"],
    ["interrupted, one message is held in the queue", "c-7", "idle"],
  ];
  for (const [name, clientId, state] of table) {
    const evidence = look(name);
    strictEqual(decideState({ ...evidence, sent: anchorIn(evidence, clientId) }).state, state, name);
  }
  const evidence = look("right after turn/start was answered");
  const sent = anchorIn(evidence, "c-1");
  strictEqual(decideState({ ...evidence, sent, settled: true }).state, "idle", "lost a minute ago");
  strictEqual(
    decideState({ ...evidence, sent: { ...sent, at: evidence.at - 1_000 }, settled: true }).state,
    "working",
    "sent a second ago",
  );
});

Deno.test("decideState() of a turn without an end on record, looked at twice", () => {
  for (
    const [name, state] of [
      ["the next turn of the queue is about to begin", "idle"],
      ["the server was killed, the thread was loaded, its queue begins", "idle"],
      ["the end of a goal's turn is not on record yet", "working"],
    ] as const
  ) {
    const decided = decideState({ ...look(name), settled: true });
    strictEqual(decided.state, state, name);
    if (state === "idle") {
      deepStrictEqual(
        [decided.lastTurn?.kind, decided.lastTurn?.error],
        ["failed", "Codex's app-server ended before the turn was over"],
      );
    }
  }
});

Deno.test("needsSecondLook() exactly where a moment's flicker looks like rest", () => {
  const flickers = lookNames.filter((name) => needsSecondLook(look(name)));
  deepStrictEqual(flickers, [
    "the next turn of the queue is about to begin",
    "a goal's turn was interrupted",
    "the server was killed, the thread was loaded, its queue begins",
    "a goal's turn has failed, its end is not on record yet",
    "the server was killed in a goal's turn, the thread was loaded",
  ]);
  const started = look("right after turn/start was answered");
  strictEqual(needsSecondLook(started, anchorIn(started, "c-1")), true);
  const held = look("interrupted, one message is held in the queue");
  strictEqual(needsSecondLook(held, anchorIn(held, "c-7")), false);
});

Deno.test("isWindingDown() only when nothing that we know of begins another turn", () => {
  deepStrictEqual(lookNames.filter((name) => isWindingDown(look(name))), []);
  const between = look("between two turns of the queue");
  const last: CodexEvidence = { ...between, queued: [] };
  strictEqual(isWindingDown(last), true);
  strictEqual(isWindingDown({ ...last, sent: anchorIn(last, "c-3") }), true);
  strictEqual(isWindingDown({ ...last, sent: anchorIn(last, "c-9") }), false);
  strictEqual(isWindingDown({ ...last, goal: look("between two turns of a goal").goal }), false);
  strictEqual(isWindingDown(between), false);
});

Deno.test("decideState() with an active goal that does not go on is at rest after a while", () => {
  const between = look("between two turns of a goal");
  strictEqual(decideState({ ...between, at: between.at + 60_000 }).state, "idle");
  const held: CodexEvidence = look("interrupted, one message is held in the queue");
  strictEqual(decideState({ ...held, at: held.at + 60_000 }).state, "idle");
});

Deno.test("decideState() without a server, and with one that does not answer", () => {
  const nothing: CodexEvidence = {
    at: 0,
    server: "down",
    thread: null,
    turns: [],
    goal: null,
    requests: [],
    queued: [],
    retrying: null,
  };
  strictEqual(decideState(nothing).state, "idle");
  const silent = decideState({ ...nothing, server: "unknown" });
  deepStrictEqual([silent.state, silent.state === "unknown" && silent.reason], [
    "unknown",
    "Codex's app-server does not answer",
  ]);
});

Deno.test("decideState() says what it was decided from", () => {
  const evidence = look("a turn tries again");
  const state = decideState({ ...evidence, retrying: { message: "Reconnecting... 1/2", at: evidence.at } });
  deepStrictEqual(state.evidence.map(({ source, finding }) => `${source}: ${finding}`), [
    "app-server: answers",
    "thread: active",
    "turns: the newest is running, started at 2026-11-22T12:16:48.957Z",
    "requests: none open",
    "queue: empty",
    "goal: none",
    "retries: Reconnecting... 1/2 at 2026-11-22T12:16:49.022Z",
  ]);
});
