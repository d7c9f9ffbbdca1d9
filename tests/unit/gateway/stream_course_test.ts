/** What a broken stream asks for to go on: nothing twice, nothing left out, and no guess where that can't be known. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { Course, type Next } from "../../../gateway/stream_course.ts";
import type { WaitRequest } from "../../../lib/service.ts";

const WAIT: WaitRequest = {
  ids: ["fizz-top", "riven-jg"],
  any: false,
  timeoutMs: 10_000,
  pollMs: null,
  receipt: null,
  background: false,
};
const waited = (id: string) => ({ id, outcome: { outcome: "completed" }, state: null });
const event = (seq: number) => ({ cursor: `e1-5f0c2a91-${seq}`, at: "", id: "fizz-top", body: {} });

function asked(next: Next): unknown {
  if (next.kind !== "ask") throw new Error(next.kind);
  return next.request;
}

Deno.test("a wait goes on with the sessions and the time that are left", () => {
  const course = new Course("wait", WAIT);
  deepStrictEqual(asked(course.next(500)), { ...WAIT, timeoutMs: 9_500 });
  strictEqual(course.take(waited("fizz-top")), true);
  deepStrictEqual(course.next(4_000), {
    kind: "ask",
    request: { ...WAIT, ids: ["riven-jg"], timeoutMs: 6_000 },
    limitMs: 10_000,
    lasting: true,
  });
  deepStrictEqual(asked(course.next(99_000)), { ...WAIT, ids: ["riven-jg"], timeoutMs: 0 });
  course.take(waited("riven-jg"));
  strictEqual(course.next(5_000).kind, "done");
});

Deno.test("a wait for any is over with the first; one for the next turn can't go on", () => {
  const any = new Course("wait", { ...WAIT, any: true });
  strictEqual(any.next(1).kind, "ask");
  any.take(waited("riven-jg"));
  strictEqual(any.next(1).kind, "done");
  const next = new Course("wait", { ...WAIT, until: "next_turn" }).next(1);
  if (next.kind !== "lost") throw new Error(next.kind);
  match(
    next.message("h"),
    /^Cannot go on waiting for the next turn: the connection to h broke, .* status fizz-top$/,
  );
});

Deno.test("events go on behind the last one that came", () => {
  const course = new Course("events", { ids: null, since: null, follow: true });
  deepStrictEqual(asked(course.next(1)), { ids: null, since: null, follow: true });
  course.take(event(41));
  course.take(event(42));
  deepStrictEqual(course.next(1), {
    kind: "ask",
    request: { ids: null, since: { log: "5f0c2a91", seq: 42 }, follow: true },
    limitMs: null,
    lasting: true,
  });
});

Deno.test("events from now on can't go on before one has come, nor behind a cursor of a newer kind", () => {
  strictEqual(new Course("events", { ids: null, since: "now", follow: true }).next(1).kind, "lost");
  const course = new Course("events", { ids: null, since: null, follow: true });
  course.take({ ...event(1), cursor: "e2-x" });
  strictEqual(course.next(1).kind, "lost");
});

Deno.test("a log comes again from its beginning, and what came before is left out", () => {
  const course = new Course("logs", { id: "fizz-top", follow: true });
  for (const text of ["a", "b"]) strictEqual(course.take({ text }), true);
  deepStrictEqual(course.next(1), {
    kind: "ask",
    request: { id: "fizz-top", follow: true },
    limitMs: null,
    lasting: true,
  });
  deepStrictEqual(["a", "b", "c"].map((text) => course.take({ text })), [false, false, true]);
  course.next(1);
  // It breaks once more, before all of what came before has come again.
  course.take({ text: "a" });
  course.next(1);
  deepStrictEqual(["a", "b", "c", "d"].map((text) => course.take({ text })), [false, false, false, true]);
});
