/** Whether a message's turn is over, what was said in it, and what its receipt says, from recorded looks. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { codexAnchorOf } from "../../../backends/codex/evidence.ts";
import { judgeReceipt } from "../../../backends/codex/receipt.ts";
import { judgeTurn, saidInTurn } from "../../../backends/codex/turn.ts";
import { anchorIn, look, lookNames } from "../../support/codex_looks.ts";

/** Name of the look, the message, the outcome ("-": not over) and the receipt ("-": not on record). */
const TABLE: readonly [name: string, clientId: string, outcome: string, receipt: string][] = [
  ["right after turn/start was answered", "c-1", "-", "-"],
  ["a turn has completed", "c-1", "completed", "submitted"],
  ["a turn runs, two messages are queued", "c-1", "completed", "submitted"],
  ["a turn runs, two messages are queued", "c-2", "-", "submitted"],
  ["a turn runs, two messages are queued", "c-3", "-", "queued"],
  ["a turn runs, two messages are queued", "c-4", "-", "queued"],
  ["a turn runs, two messages are queued", "c-5", "-", "-"],
  ["a message was steered in", "c-5", "-", "queued"],
  ["the next turn of the queue is about to begin", "c-2", "completed", "submitted"],
  ["the next turn of the queue is about to begin", "c-5", "completed", "queued"],
  ["the next turn of the queue is about to begin", "c-3", "-", "-"],
  ["the next turn of the queue has no message yet", "c-3", "-", "-"],
  ["the first of the queue runs", "c-3", "-", "submitted"],
  ["the first of the queue runs", "c-4", "-", "queued"],
  ["between two turns of the queue", "c-3", "completed", "submitted"],
  ["between two turns of the queue", "c-4", "-", "queued"],
  ["the last one of the queue is about to run", "c-4", "-", "-"],
  ["the queue is empty and all is over", "c-4", "completed", "submitted"],
  ["right after turn/interrupt was answered", "c-6", "-", "submitted"],
  ["interrupted, one message is held in the queue", "c-6", "interrupted", "submitted"],
  ["interrupted, one message is held in the queue", "c-7", "-", "queued"],
  ["right after thread/queue/start was answered", "c-7", "-", "-"],
  ["the held message has had its turn", "c-6", "interrupted", "submitted"],
  ["the held message has had its turn", "c-7", "completed", "submitted"],
  ["a turn has failed", "c-10", "failed", "submitted"],
  ["a message in a goal's turn, the next one runs", "c-1", "completed", "submitted"],
  ["a message is queued behind a goal's turn", "c-2", "-", "queued"],
  ["a goal goes on behind a queued message", "c-2", "completed", "submitted"],
  ["a file change waits for approval", "p-4", "waiting_for_input", "submitted"],
  ["a command waits for approval", "p-1", "waiting_for_input", "submitted"],
  ["a command was declined", "p-1", "completed", "submitted"],
  ["a question waits for its answer", "p-6", "waiting_for_input", "submitted"],
  ["permissions are asked for", "p-9", "waiting_for_input", "submitted"],
  ["a steered message was lost with its interrupted turn", "p-11", "interrupted", "submitted"],
  ["a steered message was lost with its interrupted turn", "p-12", "-", "-"],
  ["a turn tries again", "p-13", "-", "submitted"],
  ["a turn has failed after trying again", "p-13", "failed", "submitted"],
  ["the server was killed, another one has not loaded the thread", "p-14", "failed", "submitted"],
  ["the server was killed, another one has not loaded the thread", "p-15", "-", "queued"],
  ["the server was killed, the thread was loaded, its queue begins", "p-14", "-", "submitted"],
  ["the server was killed, the thread was loaded, its queue begins", "p-15", "-", "-"],
  ["the server was killed, and the queued message has had its turn", "p-14", "failed", "submitted"],
  ["the server was killed, and the queued message has had its turn", "p-15", "completed", "submitted"],
  ["archived", "c-1", "completed", "submitted"],
  ["archived", "c-2", "gone", "-"],
  ["deleted", "c-1", "gone", "-"],
];

Deno.test("judgeTurn() and judgeReceipt() of every message in the recorded looks", () => {
  for (const [name, clientId, outcome, receipt] of TABLE) {
    const evidence = look(name);
    const anchor = anchorIn(evidence, clientId);
    deepStrictEqual(
      [judgeTurn(evidence, anchor)?.outcome ?? "-", judgeReceipt(evidence, anchor)?.result ?? "-"],
      [outcome, receipt],
      `${clientId} in ${name}`,
    );
  }
});

Deno.test("judgeTurn() tells why a turn has failed", () => {
  const table: [name: string, clientId: string, error: RegExp][] = [
    ["a turn has failed", "c-10", /scripted invalid_request_error/],
    ["a turn has failed after trying again", "p-13", /^unexpected status 503 Service Unavailable: scripted/],
    [
      "the server was killed, and the queued message has had its turn",
      "p-14",
      /^Codex's app-server ended before the turn was over$/,
    ],
  ];
  for (const [name, clientId, error] of table) {
    const outcome = judgeTurn(look(name), anchorIn(look(name), clientId));
    strictEqual(outcome?.outcome === "failed" && error.test(outcome.error), true, name);
  }
});

Deno.test("judgeTurn() gives a message up only after two looks at rest, and not at once", () => {
  const evidence = look("a steered message was lost with its interrupted turn");
  const old = anchorIn(evidence, "p-12");
  const fresh = anchorIn(evidence, "p-12", { msBefore: 1_000 });
  const outcome = judgeTurn({ ...evidence, settled: true }, old);
  strictEqual(outcome?.outcome === "failed" && /do not have the message/.test(outcome.error), true);
  strictEqual(judgeTurn(evidence, old), null);
  strictEqual(judgeTurn({ ...evidence, settled: true }, fresh), null);
  // Turns that do not reach back to the message prove nothing.
  const elsewhere = { ...old, afterTurn: "an older turn", at: 0 };
  strictEqual(judgeTurn({ ...evidence, settled: true }, elsewhere), null);
});

Deno.test("judgeTurn() without any message looks at the session as a whole", () => {
  const table: [name: string, outcome: string][] = [
    ["a turn has completed", "completed"],
    ["between two turns of the queue", "-"],
    ["between two turns of a goal", "-"],
    ["the end of a goal's turn is not on record yet", "-"],
    ["a goal is complete", "completed"],
    ["a goal's turn was interrupted", "interrupted"],
    ["a command waits for approval", "waiting_for_input"],
    ["a turn has failed", "failed"],
    ["deleted", "gone"],
  ];
  for (const [name, outcome] of table) {
    strictEqual(judgeTurn(look(name), null)?.outcome ?? "-", outcome, name);
  }
  const fresh = look("right after turn/start was answered");
  strictEqual(judgeTurn(fresh, null)?.outcome, "idle");
});

Deno.test("judgeTurn() without a server says that it can't be read; with a silent one it waits", () => {
  const evidence = { ...look("a turn tries again"), turns: [], thread: null };
  const anchor = anchorIn(evidence, "p-13");
  strictEqual(judgeTurn({ ...evidence, server: "down" }, anchor)?.outcome, "failed");
  strictEqual(judgeTurn({ ...evidence, server: "unknown" }, anchor), null);
});

Deno.test("saidInTurn() is what was said behind the message, up to the end of its turn", () => {
  const table: [name: string, clientId: string, texts: string[], ended: boolean][] = [
    ["a turn has completed", "c-1", ["REPLY: hello"], true],
    ["a message was steered in", "c-5", [], false],
    ["the next turn of the queue is about to begin", "c-2", ["REPLY: steered in"], true],
    ["the next turn of the queue is about to begin", "c-5", ["REPLY: steered in"], true],
    ["between two turns of the queue", "c-4", [], false],
    ["the held message has had its turn", "c-6", [], true],
    ["a message in a goal's turn, the next one runs", "c-1", ["REPLY: in between"], true],
  ];
  for (const [name, clientId, texts, ended] of table) {
    deepStrictEqual(saidInTurn(look(name), anchorIn(look(name), clientId)), { texts, ended }, name);
  }
});

Deno.test("judgeReceipt() says what stands before a queued message", () => {
  const evidence = look("a turn runs, two messages are queued");
  deepStrictEqual(
    ["c-3", "c-4"].map((id) => judgeReceipt(evidence, anchorIn(evidence, id))?.reason),
    [null, "1 message(s) that were queued before it run first"],
  );
});

Deno.test("an anchor comes back as it was stored, and nothing else is one", () => {
  const anchor = anchorIn(look("a turn has completed"), "c-1");
  deepStrictEqual(codexAnchorOf(JSON.parse(JSON.stringify(anchor))), anchor);
  for (const other of [null, undefined, {}, { ...anchor, v: 2 }, { ...anchor, mode: "now" }]) {
    strictEqual(codexAnchorOf(other), null);
  }
  strictEqual(lookNames.length, 55);
});
