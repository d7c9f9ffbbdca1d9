/** Events of recorded threads of the real Codex: each once, in order, however often the records are read. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { eventsAfter } from "../../../backends/codex/events.ts";
import type { EventBatch } from "../../../lib/events.ts";
import { look } from "../../support/codex_looks.ts";

function told({ events }: EventBatch): string[] {
  return events.map(({ body }) => {
    switch (body.type) {
      case "turn_started":
        return `started ${body.source} ${body.text}`;
      case "turn_joined":
        return `joined ${body.text}`;
      case "message":
        return `said ${body.text.split("\n")[0]?.slice(0, 20)}`;
      case "turn_failed":
        return `failed ${body.error.slice(0, 40)}`;
      case "input_requested":
        return `asks ${body.requestId} ${body.summary}`;
      case "input_resolved":
        return `resolved ${body.requestId}`;
      case "turn_completed":
      case "turn_interrupted":
        return body.type;
    }
  });
}

/** Reads the looks one after the other, as a reader that goes on does. */
function follow(names: readonly string[], stored: unknown = null): { told: string[][]; position: unknown } {
  let position = stored;
  const all = names.map((name) => {
    const batch = eventsAfter(position, look(name));
    // As the store keeps it.
    position = JSON.parse(JSON.stringify(batch.position));
    return told(batch);
  });
  return { told: all, position };
}

Deno.test("eventsAfter() follows a turn, what is steered into it and a queue", () => {
  const names = [
    "a turn runs, two messages are queued",
    "a turn runs, two messages are queued",
    "a message was steered in",
    "the next turn of the queue is about to begin",
    "the next turn of the queue has no message yet",
    "the first of the queue runs",
    "between two turns of the queue",
    "the last one of the queue is about to run",
    "the queue is empty and all is over",
  ];
  deepStrictEqual(follow(names).told, [
    ["started message hello", "said REPLY: hello", "turn_completed", "started message SCRIPT:streamgate g1"],
    [],
    ["joined steered in"],
    ["said REPLY: steered in", "turn_completed"],
    [],
    ["started message queued one"],
    ["said REPLY: queued one", "turn_completed"],
    [],
    ["started message queued two", "said REPLY: queued two", "turn_completed"],
  ]);
  const all = follow(names).told.flat();
  deepStrictEqual(told(eventsAfter(null, look("the queue is empty and all is over"))), all);
});

Deno.test("eventsAfter() says that the records announce what they do not hold yet", () => {
  const table: [name: string, settling: boolean][] = [
    ["the next turn of the queue is about to begin", true],
    ["the last one of the queue is about to run", true],
    ["the first of the queue runs", false],
    ["a goal's turn has failed, its end is not on record yet", true],
    ["a goal's turn has failed", false],
  ];
  for (const [name, settling] of table) strictEqual(eventsAfter(null, look(name)).settling, settling, name);
});

Deno.test("eventsAfter() never tells of an end that is a flicker", () => {
  const { told } = follow([
    "the first turn of a goal runs",
    "the end of a goal's turn is not on record yet",
    "the second turn of a goal runs",
    "between two turns of a goal",
  ]);
  deepStrictEqual(told, [
    [],
    ["started other null", "said REPLY: goal turn 1"],
    ["turn_completed"],
    ["started other null", "said REPLY: goal turn 2", "turn_completed"],
  ]);
});

Deno.test("eventsAfter() tells of interruptions, failures and a server that was killed", () => {
  const table: [name: string, last: string[]][] = [
    ["interrupted, one message is held in the queue", ["started message SCRIPT:gate g2", "turn_interrupted"]],
    ["a turn has failed after trying again", [
      "started message SCRIPT:err503",
      "failed unexpected status 503 Service Unavailabl",
    ]],
    ["the server was killed, and the queued message has had its turn", [
      "started message SCRIPT:gate yy",
      "failed Codex's app-server ended before the turn",
      "started message queued before death",
      "said REPLY: queued before",
      "turn_completed",
    ]],
  ];
  for (const [name, last] of table) {
    deepStrictEqual(told(eventsAfter(null, look(name))).slice(-last.length), last, name);
  }
});

Deno.test("eventsAfter() tells of a request once, and that it is resolved before the end of its turn", () => {
  deepStrictEqual(
    follow([
      "a command waits for approval",
      "a command waits for approval",
      "a command was declined",
      "a command was declined",
    ]).told,
    [
      ["started message SCRIPT:escalate touch esc.txt", "asks call_1_0.0 shell: touch esc.txt"],
      [],
      ["said DONE after tool: exe", "resolved call_1_0.0", "turn_completed"],
      [],
    ],
  );
  const { position } = follow(["a command waits for approval"]);
  const unseen = eventsAfter(position, { ...look("a command waits for approval"), requests: [] });
  deepStrictEqual([told(unseen), unseen.settling], [[], true], "the request has not reached us");
});

Deno.test("eventsAfter() tells nothing while the server can't be read, and goes on behind it", () => {
  const { position } = follow(["a turn runs, two messages are queued"]);
  const blind = eventsAfter(position, { ...look("deleted"), server: "down" });
  deepStrictEqual([blind.events, blind.position], [[], position]);
});

Deno.test("eventsAfter() of a part holds back what is to come", () => {
  const evidence = look("the queue is empty and all is over");
  const first = eventsAfter(null, { ...evidence, turns: evidence.turns.slice(0, 2) }, { more: true });
  strictEqual(first.moreAfter, first.events.at(-1)?.at);
  const second = eventsAfter(first.position, { ...evidence, turns: evidence.turns.slice(1) });
  deepStrictEqual([...told(first), ...told(second)], told(eventsAfter(null, evidence)));
});

Deno.test("eventsAfter() tells in the order of time", () => {
  for (const name of ["the queue is empty and all is over", "a turn has failed", "a goal is complete"]) {
    const times = eventsAfter(null, look(name)).events.map(({ at }) => at);
    deepStrictEqual(times, times.toSorted((a, b) => a - b), name);
  }
});
