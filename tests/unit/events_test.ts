import assert from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { advance } from "../../lib/event_log.ts";
import {
  assertCursor,
  type EventBatch,
  formatCursor,
  type Happened,
  mergeByTime,
  parseCursor,
} from "../../lib/events.ts";
import type { LifecycleChange } from "../../lib/store/sessions.ts";

const LOG = "0a1b2c3d";
const said = (at: number): Happened<{ type: "message"; text: string }> => ({
  at,
  body: { type: "message", text: `at ${at}` },
});
const ended = (at: number): Happened => ({ at, body: { type: "session_ended", reason: null } });
const created = (at: number): Happened => ({ at, body: { type: "session_created" } });

Deno.test("parseCursor() takes what events carry, and nothing else", () => {
  for (const seq of [0, 1, 123456789012345]) {
    assert.deepEqual(parseCursor(formatCursor({ log: LOG, seq })), { log: LOG, seq });
  }
  const wrong = [
    "",
    "1",
    "e1",
    "e1-0a1b2c3d",
    "e1-0a1b2c3d-",
    "e1-0a1b2c3d--1",
    "e2-0a1b2c3d-1",
    "e1-0A1B2C3D-1",
  ];
  for (
    const text of [
      ...wrong,
      "e1-0a1b2c3d-1 ",
      "e1-0a1b2c3d-1\n",
      "e1-0a1b2c3d-1e3",
      "e1-0a1b2c3d-1234567890123456",
    ]
  ) {
    assert.equal(parseCursor(text), null, JSON.stringify(text));
  }
});

Deno.test("assertCursor() refuses another log's cursors and those of the future", () => {
  const newest = { log: LOG, seq: 5 };
  for (const seq of [0, 5]) assertCursor({ log: LOG, seq }, newest);
  const usage = (error: unknown) => error instanceof AppError && error.code === "usage";
  assert.throws(() => assertCursor({ log: LOG, seq: 6 }, newest), usage);
  assert.throws(() => assertCursor({ log: "ffffffff", seq: 1 }, newest), usage);
});

Deno.test("mergeByTime() keeps the order of each side and holds back what is not read yet", async (t) => {
  const rows: [string, Happened[], ReturnType<typeof said>[], number | null, Happened[], number][] = [
    ["nothing", [], [], null, [], 0],
    ["creation comes first", [created(9)], [said(5)], null, [created(9), said(5)], 1],
    [
      "by time",
      [created(1), ended(6)],
      [said(5), said(7)],
      null,
      [created(1), said(5), ended(6), said(7)],
      2,
    ],
    [
      "what was said comes before an end at the same time",
      [ended(5)],
      [said(5)],
      null,
      [said(5), ended(5)],
      1,
    ],
    ["the end", [ended(9)], [said(5)], null, [said(5), ended(9)], 1],
    ["there is more to be read before the end", [ended(9)], [said(5)], 6, [said(5)], 0],
    ["all before that was read", [ended(6)], [said(5)], 6, [said(5), ended(6)], 1],
    ["the agent's own order stays", [], [said(5), said(4)], null, [said(5), said(4)], 0],
  ];
  for (const [name, changes, agent, moreAfter, merged, taken] of rows) {
    await t.step(name, () => assert.deepEqual(mergeByTime(changes, agent, moreAfter), { merged, taken }));
  }
});

Deno.test("advance() tells every life of a session once", async (t) => {
  const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
  const change = (seq: number, type: LifecycleChange["type"], second: number): LifecycleChange => ({
    seq,
    type,
    at: at(second),
    reason: type === "ended" ? "killed" : null,
  });
  const batch: EventBatch = { events: [], position: { read: 1 }, moreAfter: null, settling: false };
  const active = {
    lifecycle: "active",
    createdAt: at(0),
    lastUsedAt: at(3),
    endedAt: null,
    endReason: null,
  } as const;
  const over = { ...active, lifecycle: "ended", endedAt: at(4), endReason: "killed" } as const;
  const START = { lifecycle: 0, alive: null, agent: null };
  const rows: [
    string,
    { lifecycle: number; alive: boolean | null; agent: unknown },
    typeof active | typeof over,
    LifecycleChange[],
    told: string[],
    after: { lifecycle: number; alive: boolean | null },
  ][] = [
    ["created", START, active, [change(3, "created", 0)], ["session_created"], { lifecycle: 3, alive: true }],
    ["nothing new", { ...START, lifecycle: 3, alive: true }, active, [], [], { lifecycle: 3, alive: true }],
    [
      "ended and resumed between two looks",
      { ...START, lifecycle: 3, alive: true },
      active,
      [change(5, "ended", 4), change(9, "resumed", 5)],
      ["session_ended", "session_resumed"],
      { lifecycle: 9, alive: true },
    ],
    ["of an earlier version, live", START, active, [], ["session_created"], { lifecycle: 0, alive: true }],
    [
      "of an earlier version, ended",
      START,
      over,
      [],
      ["session_created", "session_ended"],
      { lifecycle: 0, alive: false },
    ],
    ["told already", { ...START, alive: false }, over, [], [], { lifecycle: 0, alive: false }],
    [
      "of an earlier version, ended by this one",
      START,
      over,
      [change(2, "ended", 4)],
      ["session_created", "session_ended"],
      { lifecycle: 2, alive: false },
    ],
    [
      "of an earlier version, ended, then resumed by this one",
      { ...START, alive: false },
      active,
      [change(7, "resumed", 5)],
      ["session_resumed"],
      { lifecycle: 7, alive: true },
    ],
    [
      "ended by an earlier version",
      { ...START, lifecycle: 3, alive: true },
      over,
      [],
      ["session_ended"],
      { lifecycle: 3, alive: false },
    ],
  ];
  for (const [name, position, session, changes, told, after] of rows) {
    await t.step(name, () => {
      const next = advance(position, session, changes, batch);
      assert.deepEqual(next.events.map(({ body }) => body.type), told);
      assert.deepEqual(next.position, { ...after, agent: { read: 1 } });
      assert.equal(next.more, false);
    });
  }
  await t.step("what is not read yet stays for the next time", () => {
    const more = { ...batch, moreAfter: Date.parse(at(2)) };
    const next = advance(START, over, [change(1, "created", 0), change(2, "ended", 4)], more);
    assert.deepEqual(next.events.map(({ body }) => body.type), ["session_created"]);
    assert.deepEqual(next.position, { lifecycle: 1, alive: true, agent: { read: 1 } });
    assert.equal(next.more, true);
    const legacy = advance(START, over, [], more);
    assert.deepEqual(legacy.events.map(({ body }) => body.type), ["session_created"]);
    assert.equal(legacy.position.alive, true);
  });
});
