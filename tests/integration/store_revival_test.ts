/** Ended sessions in the registry: one process at most resumes each, and what is forgotten is forgotten for good. */

import assert from "node:assert/strict";
import { AppError, type ErrorCode } from "../../lib/errors.ts";
import type { ProcessIdentity, Session } from "../../lib/session.ts";
import type { Store } from "../../lib/store.ts";
import { DRAFT, NOON, StoreHome } from "../support/store_home.ts";

const LATER = "2026-01-01T13:00:00.000Z";
const [ONE, TWO]: ProcessIdentity[] = [
  { pid: 1, start: "1", boot: "b", machine: "m/h/1" },
  { pid: 1, start: "2", boot: "b", machine: "m/h/1" },
] as [ProcessIdentity, ProcessIdentity];
const CLAIM = { resumer: ONE!, handle: { pane: null }, agentSessionId: "first", conversation: "current" };

function appError(code: ErrorCode, message: RegExp) {
  return (error: unknown) => error instanceof AppError && error.code === code && message.test(error.message);
}

function ended(store: Store, id: string, at = NOON): Session {
  const session = store.activate(store.reserve(DRAFT, { id, exclude: new Set() }));
  store.markEnded(session, { at, reason: "signal 9" });
  return store.find(id)!;
}

Deno.test("store.claimResume() lets one process at an ended session, which stays ended until it is activated", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = ended(store, "fizz-top");
  const claimed = store.claimResume(session, CLAIM);
  assert.deepEqual(claimed, { ...session, resumer: ONE, handle: { pane: null }, agentSessionId: "first" });
  assert.deepEqual(store.find("fizz-top"), claimed);
  assert.deepEqual(store.unfinished(), [claimed]);
  assert.throws(
    () => store.claimResume(session, { ...CLAIM, resumer: TWO! }),
    appError("failure", /^Cannot resume "fizz-top": another command is resuming it\. /),
  );
  assert.deepEqual(store.forget([session]), []);
  assert.deepEqual(store.resumeFacts(store.listEnded()), []);

  const live = store.activate(session, { handle: { pane: "%1" }, process: ONE!, agentSessionId: "first" });
  assert.deepEqual([live.lifecycle, live.resumer, live.endReason], ["active", null, null]);
  assert.deepEqual(store.unfinished(), []);
  assert.throws(
    () => store.claimResume(session, CLAIM),
    appError("failure", /^Cannot resume "fizz-top": it is live already\. /),
  );
});

Deno.test("store.releaseResume() and takeOverResume() are for the process that is at it", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = ended(store, "fizz-top");
  store.claimResume(session, CLAIM);
  assert.equal(store.releaseResume(session, TWO!), false);
  assert.equal(store.takeOverResume(session, TWO!, ONE!), false);
  assert.equal(store.takeOverResume({ ...session, token: "other" }, ONE!, TWO!), false);
  assert.equal(store.takeOverResume(session, ONE!, TWO!), true);
  assert.equal(store.takeOverResume(session, ONE!, TWO!), false);
  assert.equal(store.releaseResume(session, ONE!), false);
  assert.equal(store.releaseResume(session, TWO!), true);
  assert.equal(store.find("fizz-top")?.resumer, null);
  assert.equal(store.find("fizz-top")?.endReason, "signal 9");
  store.claimResume(session, CLAIM);
});

Deno.test("store.claimResume() keeps two sessions from one conversation, and unknown ones from any", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = ended(store, "fizz-top");
  const other = store.activate(store.reserve(DRAFT, { id: "riven-jg", exclude: new Set() }), {
    handle: {},
    process: null,
    agentSessionId: "current",
  });
  assert.throws(
    () => store.claimResume(session, CLAIM),
    appError("failure", /^Cannot resume "fizz-top": the session "riven-jg" has the same conversation/),
  );
  store.markEnded(other, { at: NOON, reason: "killed" });
  store.claimResume(other, CLAIM);
  // The other one is not live, but about to be.
  store.takeOverResume(other, ONE!, TWO!);
  assert.throws(() => store.claimResume(session, { ...CLAIM, conversation: "first" }), /same conversation/);
  store.releaseResume(other, TWO!);
  store.claimResume(session, CLAIM);
  assert.throws(
    () => store.claimResume({ ...session, token: "other" }, CLAIM),
    appError("not_found", /^Session not found: fizz-top$/),
  );
});

Deno.test("store.reserve() and claimResume() count what lives, is being created and is being resumed", () => {
  using home = new StoreHome();
  const store = home.open();
  const seen: number[] = [];
  const admit = (live: number) => void seen.push(live);
  const refuse = () => {
    throw new Error("full");
  };
  const any = { id: null, exclude: new Set<string>() };
  store.reserve(DRAFT, { ...any, admit });
  store.activate(store.reserve(DRAFT, { ...any, admit }));
  const session = ended(store, "fizz-top");
  store.reserve(DRAFT, { ...any, admit });
  assert.throws(() => store.claimResume(session, { ...CLAIM, admit: refuse }), /full/);
  assert.throws(() => store.reserve(DRAFT, { ...any, admit: refuse }), /full/);
  store.claimResume(session, { ...CLAIM, admit });
  store.reserve(DRAFT, { ...any, admit });
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  assert.equal(store.find("fizz-top")?.lifecycle, "ended");
});

Deno.test("store.resumeFacts() adds to each ended session what resuming it needs", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = ended(store, "fizz-top");
  store.recordHandle(session, { handle: { socket: "/s" }, process: null, agentSessionId: "c" });
  store.activate(session);
  store.beginSend(session, { receipt: "r", at: NOON, anchor: null });
  store.markEnded(session, { at: NOON, reason: "killed" });
  ended(store, "zed-mid");
  store.reserve(DRAFT, { id: "riven-jg", exclude: new Set() });
  assert.deepEqual(
    store.resumeFacts(store.listEnded()).map(({ session: { id }, ...facts }) => [id, facts]),
    [
      ["fizz-top", { handle: '{"socket":"/s"}', everSent: true }],
      ["zed-mid", { handle: null, everSent: false }],
    ],
  );
  assert.deepEqual(store.resumeFacts([]), []);
});

Deno.test("store.forget() forgets ended sessions together, and keeps their tokens until nothing is left", () => {
  using home = new StoreHome();
  const store = home.open();
  const [one, two] = [ended(store, "fizz-top"), ended(store, "riven-jg")];
  const live = store.activate(store.reserve(DRAFT, { id: "zed-mid", exclude: new Set() }));
  assert.deepEqual(store.leftToForget(), []);
  assert.deepEqual(store.forget([one, live]), [one]);
  assert.deepEqual(store.forget([one]), []);
  assert.deepEqual(store.lifecycleOf(one.token, 0), []);
  store.forget([two]);
  assert.deepEqual(home.open().leftToForget(), [one.token, two.token]);
  store.forgotten([one.token]);
  assert.deepEqual(store.leftToForget(), [two.token]);
  store.forgotten([two.token]);
  assert.deepEqual(store.leftToForget(), []);
  assert.deepEqual(store.list().map(({ id }) => id), ["zed-mid"]);
});

Deno.test("store.forgetKeys() forgets old results, never an open claim", () => {
  using home = new StoreHome();
  let now = Date.parse(NOON);
  const store = home.open({ now: () => now });
  const claim = (key: string) =>
    store.claimKey({ verb: "send", key, requestHash: "h", sessionId: null, owner: null });
  for (const key of ["old", "old and open"]) claim(key);
  now = Date.parse(LATER);
  claim("new");
  for (const key of ["old", "new"]) {
    const open = claim(key);
    assert.ok(open.state === "open");
    store.finishKey(open.ref, "{}");
  }
  assert.equal(store.forgetKeys(LATER), 1);
  assert.equal(store.forgetKeys(LATER), 0);
  assert.deepEqual(["old", "old and open", "new"].map((key) => claim(key).state), ["new", "open", "done"]);
});

Deno.test("store.registryId() is one for all openers, and another one for every registry", () => {
  using home = new StoreHome();
  using other = new StoreHome();
  const [one, two] = [home.open(), home.open()];
  const id = one.registryId();
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(two.registryId(), id);
  assert.equal(home.open().registryId(), id);
  assert.notEqual(other.open().registryId(), id);
});

Deno.test("store.isDue() is true once in so long, over all openers, whatever the clock does", () => {
  using home = new StoreHome();
  let now = Date.parse(NOON);
  const [one, two] = [home.open({ now: () => now }), home.open({ now: () => now })];
  const both = () => [one.isDue("look", 60_000), two.isDue("look", 60_000)];
  assert.deepEqual(both(), [true, false]);
  now += 59_999;
  assert.deepEqual(both(), [false, false]);
  now += 1;
  assert.deepEqual(both(), [true, false]);
  now -= 3_600_000;
  assert.deepEqual(both(), [true, false]);
  assert.equal(one.isDue("other", 60_000), true);
});
