import assert from "node:assert/strict";
import { newHooks, positionOf, START, withHooks } from "../../../backends/claude/position.ts";
import { AppError } from "../../../lib/errors.ts";

const name = (ms: number) => `${1_700_000_000_000 + ms}000000-1.PermissionRequest.json`;
const now = (ms: number) => 1_700_000_000_000 + ms;

Deno.test("a hook event that appears after a later one is read all the same", () => {
  const first = { ...START, ...withHooks(START, [name(1_000), name(3_000)], [], now(3_100)) };
  assert.deepEqual(newHooks(first, [name(1_000), name(2_000), name(3_000)]), [name(2_000)]);
  const second = { ...first, ...withHooks(first, [name(2_000)], [], now(3_200)) };
  assert.deepEqual(newHooks(second, [name(1_000), name(2_000), name(3_000), name(4_000)]), [name(4_000)]);
});

Deno.test("what was read long ago is kept as one name", () => {
  const names = Array.from({ length: 100 }, (_, i) => name(i * 1_000));
  const position = { ...START, ...withHooks(START, names, [], now(99_000)) };
  assert.equal(position.hooksUpTo, name(38_000));
  assert.deepEqual(position.hooksBehind, names.slice(39));
  assert.deepEqual(newHooks(position, names), []);
});

Deno.test("it never gets past an event that is still to be read", () => {
  const position = { ...START, ...withHooks(START, [name(0), name(2_000)], [name(1_000)], now(900_000)) };
  assert.deepEqual(newHooks(position, [name(0), name(1_000), name(2_000)]), [name(1_000)]);
});

Deno.test("nothing read changes nothing but what it speaks of", () => {
  assert.deepEqual(withHooks({ ...START, clock: 5 }, [], [], now(0)), { hooksUpTo: "", hooksBehind: [] });
});

Deno.test("a position is what was stored; that of another version is an error", () => {
  assert.deepEqual(positionOf(null), START);
  const stored = { ...START, files: [{ path: "/a", offset: 5, from: 0 }], clock: 7 };
  assert.deepEqual(positionOf(JSON.parse(JSON.stringify(stored))), stored);
  const track = {
    turn: "open" as const,
    starting: true,
    calls: [],
    requests: [],
    since: 5,
    overtook: true,
    dequeued: true,
  };
  assert.deepEqual(positionOf({ ...stored, track }), { ...stored, track });
  // Earlier versions did not know when a turn began, nor what the queue does.
  const earlier = { turn: "open" as const, starting: true, calls: [], requests: [] };
  assert.deepEqual(positionOf({ ...stored, track: earlier }), { ...stored, track: earlier });
  assert.throws(() => positionOf({ ...START, v: 2 }), AppError);
});
