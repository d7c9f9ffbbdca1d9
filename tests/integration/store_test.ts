import assert from "node:assert/strict";
import { CHAMPION_IDS } from "../../lib/champion_ids.ts";
import { AppError, type ErrorCode } from "../../lib/errors.ts";
import type { ProcessIdentity, Receipt, Session } from "../../lib/session.ts";
import type { Store } from "../../lib/store.ts";
import { Database } from "../../lib/store/database.ts";
import { DRAFT, NOON, StoreHome } from "../support/store_home.ts";

const LATER = "2026-01-01T13:00:00.000Z";
const OWNER: ProcessIdentity = { pid: 9, start: "1", boot: "b", machine: "m/h/1" };
const ANY_ID = { id: null, exclude: new Set<string>() };

function appError(code: ErrorCode, message: RegExp) {
  return (error: unknown) => error instanceof AppError && error.code === code && message.test(error.message);
}

function active(store: Store, id: string | null = null): Session {
  return store.activate(store.reserve(DRAFT, { id, exclude: new Set() }));
}

function receipt(name: string, result: Receipt["result"], anchor: unknown = null): Receipt {
  return { receipt: name, result, reason: null, evidence: "hook", pending: null, anchor };
}

Deno.test("store.reserve() inserts a creating row that every opener can read", () => {
  using home = new StoreHome();
  const session = home.open().reserve(DRAFT, { id: "fizz-top", exclude: new Set() });
  const { token, ...rest } = session;
  assert.match(token, /^[0-9a-f-]{36}$/);
  assert.deepEqual(rest, {
    ...DRAFT,
    id: "fizz-top",
    lifecycle: "creating",
    createdAt: NOON,
    lastUsedAt: NOON,
    endedAt: null,
    endReason: null,
    process: null,
    agentSessionId: null,
    handle: null,
    legacy: null,
    lastSend: null,
    worktree: null,
    resumer: null,
  });
  assert.deepEqual(home.open().find("fizz-top"), session);
  assert.deepEqual(home.open().creating(), [session]);
  assert.equal(home.open().find("riven-jg"), null);
});

Deno.test("store.reserve() takes no id that is in use or excluded, and none that could be a path or an option", () => {
  using home = new StoreHome();
  const store = home.open();
  active(store, "fizz-top");
  const inUse = appError("failure", /^Champion ID already in use: (fizz-top|riven-jg)$/);
  assert.throws(() => store.reserve(DRAFT, { id: "fizz-top", exclude: new Set() }), inUse);
  assert.throws(() => store.reserve(DRAFT, { id: "riven-jg", exclude: new Set(["riven-jg"]) }), inUse);
  for (const id of ["--all", "../x", "a:b", ""]) {
    assert.throws(
      () => store.reserve(DRAFT, { id, exclude: new Set() }),
      appError("usage", /Invalid session id/),
    );
  }
  const exclude = new Set(CHAMPION_IDS.filter((id) => id !== "fizz-top" && id !== "zyra-sup"));
  assert.equal(store.reserve(DRAFT, { id: null, exclude }).id, "zyra-sup");
  assert.match(store.reserve(DRAFT, { id: null, exclude }).id, /-2$/);
});

Deno.test("store.recordHandle() and activate() complete a session, and only the row that they mean", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = store.reserve(DRAFT, ANY_ID);
  const handle = { pane: "%1", nested: { list: [1, "ü", null] } };
  store.recordHandle(session, { handle, process: OWNER, agentSessionId: "uuid" });
  assert.deepEqual(store.activate(session), {
    ...session,
    handle,
    process: OWNER,
    agentSessionId: "uuid",
    lifecycle: "active",
  });
  const stale = { id: session.id, token: crypto.randomUUID() };
  const gone = appError("failure", /another command has changed or removed it/);
  assert.throws(
    () => store.recordHandle(stale, { handle: null, process: null, agentSessionId: null }),
    gone,
  );
  assert.throws(() => store.activate(stale), gone);
  assert.throws(() => store.activate(session), gone);
  assert.equal(store.markEnded(stale, { at: LATER, reason: "killed" }), false);
  assert.equal(store.find(session.id)?.lifecycle, "active");
});

Deno.test("store.release() forgets a creating row only", () => {
  using home = new StoreHome();
  const store = home.open();
  const creating = store.reserve(DRAFT, ANY_ID);
  const live = active(store);
  assert.equal(store.release({ ...creating, token: "other" }), false);
  assert.equal(store.release(creating), true);
  assert.equal(store.release(creating), false);
  assert.equal(store.release(live), false);
  assert.deepEqual(store.list().map((session) => session.id), [live.id]);
});

Deno.test("store.markEnded() ends a session once, activate() revives it, forget() forgets it", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  store.beginSend(session, { receipt: "r1", at: NOON, anchor: null });
  assert.deepEqual(store.forget([session]), []);
  assert.equal(store.markEnded(session, { at: LATER, reason: "exit 1" }), true);
  assert.equal(store.markEnded(session, { at: LATER, reason: "killed" }), false);
  const ended = store.find(session.id);
  assert.deepEqual([ended?.lifecycle, ended?.endedAt, ended?.endReason], ["ended", LATER, "exit 1"]);
  const revived = store.activate(session);
  assert.deepEqual([revived.lifecycle, revived.endedAt, revived.endReason], ["active", null, null]);
  store.markEnded(session, { at: LATER, reason: "killed" });
  assert.deepEqual(store.forget([session]), [session]);
  assert.equal(store.find(session.id), null);
  assert.equal(store.findSend("r1"), null);
});

Deno.test("store.markKilled() ends a session, and replaces the reason of who has noticed its end first", () => {
  using home = new StoreHome();
  const store = home.open();
  const [alone, noticed, resumed] = [active(store), active(store), active(store)];
  const killed = { at: LATER, reason: "killed" };
  const endOf = ({ id, token }: typeof alone) => {
    const { lifecycle, endedAt, endReason } = store.find(id)!;
    return [
      lifecycle,
      endedAt,
      endReason,
      store.lifecycleOf(token, 0).map(({ type, reason }) => [type, reason]),
    ];
  };
  const once = [["created", null], ["ended", "killed"]];
  store.markKilled(alone, killed);
  assert.deepEqual(endOf(alone), ["ended", LATER, "killed", once]);
  store.markEnded(noticed, { at: NOON, reason: "exit 1" });
  store.markKilled({ ...noticed, token: "other" }, killed);
  assert.deepEqual(endOf(noticed), ["ended", NOON, "exit 1", [["created", null], ["ended", "exit 1"]]]);
  store.markKilled(noticed, killed);
  assert.deepEqual(endOf(noticed), ["ended", NOON, "killed", once]);
  // An earlier end keeps its reason.
  store.markEnded(resumed, { at: NOON, reason: "exit 1" });
  store.activate(resumed);
  store.markKilled(resumed, killed);
  assert.deepEqual(endOf(resumed), [
    "ended",
    LATER,
    "killed",
    [["created", null], ["ended", "exit 1"], ["resumed", null], ["ended", "killed"]],
  ]);
});

Deno.test("store.list() is ordered by creation, then by insertion, and filtered by lifecycle", () => {
  using home = new StoreHome();
  let now = Date.parse(LATER);
  const store = home.open({ now: () => now });
  active(store, "zed-top");
  active(store, "ahri-mid");
  now = Date.parse(NOON);
  const first = store.reserve(DRAFT, { id: "vi-jg", exclude: new Set() });
  assert.deepEqual(store.list().map(({ id }) => id), ["vi-jg", "zed-top", "ahri-mid"]);
  assert.deepEqual(store.list({ lifecycle: "active" }).map(({ id }) => id), ["zed-top", "ahri-mid"]);
  assert.deepEqual(store.creating(), [first]);
  assert.deepEqual(store.list({ lifecycle: "ended" }), []);
});

Deno.test("a delivery moves lastUsedAt forward only", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  store.beginSend(session, { receipt: "r-1", at: LATER, anchor: null, key: null });
  store.beginSend(session, { receipt: "r-2", at: NOON, anchor: null, key: null });
  assert.equal(store.find(session.id)?.lastUsedAt, LATER);
});

Deno.test("a delivery is `typing` before its first keystroke and keeps its anchor and result", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  store.beginSend(session, { receipt: "r1", at: LATER, anchor: { offset: 5 } });
  const typing = { receipt: "r1", at: LATER, result: "typing", anchor: { offset: 5 } };
  const between = store.find(session.id);
  assert.deepEqual(between?.lastSend, typing);
  assert.equal(between?.lastUsedAt, LATER);
  assert.deepEqual(store.findSend("r1"), {
    ...typing,
    sessionId: session.id,
    sessionToken: session.token,
    details: null,
  });
  const done = receipt("r1", "submitted", { offset: 9 });
  assert.equal(store.finishSend(done), true);
  assert.deepEqual(store.find(session.id)?.lastSend, {
    ...typing,
    result: "submitted",
    anchor: { offset: 9 },
  });
  assert.deepEqual(store.findSend("r1")?.details, done);
  assert.equal(store.finishSend(receipt("nobody", "submitted")), false);
  assert.equal(store.findSend("nobody"), null);
});

Deno.test("store.finishSend() keeps the first anchor when the receipt has none, and earlier deliveries stay", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  for (const name of ["r1", "r2"]) {
    store.beginSend(session, { receipt: name, at: NOON, anchor: name });
    store.finishSend(receipt(name, "queued"));
  }
  assert.equal(store.find(session.id)?.lastSend?.receipt, "r2");
  assert.equal(store.findSend("r1")?.anchor, "r1");
});

Deno.test("a refused delivery leaves the delivery before it as the last one", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  store.beginSend(session, { receipt: "r0", at: NOON, anchor: 0 });
  store.finishSend(receipt("r0", "refused"));
  assert.equal(store.find(session.id)?.lastSend, null);
  store.beginSend(session, { receipt: "r1", at: NOON, anchor: 1 });
  store.finishSend(receipt("r1", "submitted"));
  store.beginSend(session, { receipt: "r2", at: NOON, anchor: 2 });
  store.finishSend(receipt("r2", "refused"));
  assert.equal(store.find(session.id)?.lastSend?.receipt, "r1");
  assert.equal(store.findSend("r2")?.result, "refused");
});

Deno.test("store.beginSend() refuses a session that is gone, replaced or not active", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store, "fizz-top");
  const start = { receipt: "r1", at: NOON, anchor: null };
  assert.throws(
    () => store.beginSend({ ...session, token: "other" }, start),
    appError("not_found", /^Session not found: fizz-top$/),
  );
  store.markEnded(session, { at: LATER, reason: "killed" });
  assert.throws(() => store.beginSend(session, start), appError("agent_gone", /"fizz-top": it has ended/));
  assert.equal(store.findSend("r1"), null);
});

Deno.test("a key gives its first result to every repetition", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  const request = { verb: "send", key: "k", requestHash: "h", sessionId: session.id, owner: OWNER };
  const first = store.claimKey(request);
  assert.equal(first.state, "new");
  if (first.state !== "new") return;
  const open = { state: "open", ref: first.ref, claimedAt: NOON, sessionId: session.id, owner: OWNER };
  assert.deepEqual(home.open().claimKey(request), { ...open, receipt: null });
  store.beginSend(session, { receipt: "r1", at: NOON, anchor: null, key: first.ref });
  assert.deepEqual(store.claimKey(request), { ...open, receipt: "r1" });
  assert.equal(store.finishKey(first.ref, '{"a":1}'), true);
  assert.equal(store.finishKey(first.ref, '{"a":2}'), false);
  assert.equal(store.dropKey(first.ref), false);
  assert.deepEqual(store.claimKey(request), { state: "done", resultJson: '{"a":1}', sessionId: session.id });
});

Deno.test("a key is bound to one request and to one verb", () => {
  using home = new StoreHome();
  const store = home.open();
  const request = { verb: "send", key: "k", requestHash: "h", sessionId: "fizz-top", owner: null };
  store.claimKey(request);
  assert.throws(
    () => store.claimKey({ ...request, requestHash: "other" }),
    appError("usage", /^Cannot send with key "k": it was used for another request/),
  );
  assert.equal(store.claimKey({ ...request, verb: "ask", requestHash: "other" }).state, "new");
});

Deno.test("a claim that was taken over can neither deliver, finish nor drop", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store);
  const request = { verb: "send", key: "k", requestHash: "h", sessionId: session.id, owner: OWNER };
  const old = store.claimKey(request);
  assert.ok(old.state === "new");
  assert.equal(store.dropKey(old.ref), true);
  const next = store.claimKey(request);
  assert.ok(next.state === "new");
  assert.equal(store.dropKey(old.ref), false);
  assert.equal(store.finishKey(old.ref, "{}"), false);
  assert.throws(
    () => store.beginSend(session, { receipt: "r1", at: NOON, anchor: null, key: old.ref }),
    appError("failure", /another command has taken it over/),
  );
  assert.equal(store.findSend("r1"), null);
  assert.equal(store.find(session.id)?.lastSend, null);
  assert.equal(store.claimKey(request).state, "open");
});

Deno.test("store.reserve() binds the new session to its key in the same step", () => {
  using home = new StoreHome();
  const store = home.open();
  const request = { verb: "create", key: "k", requestHash: "h", sessionId: null, owner: OWNER };
  const claim = store.claimKey(request);
  assert.ok(claim.state === "new");
  const session = store.reserve(DRAFT, { ...ANY_ID, key: claim.ref });
  const again = store.claimKey(request);
  assert.equal(again.state === "open" && again.sessionId, session.id);
  store.dropKey(claim.ref);
  assert.throws(() => store.reserve(DRAFT, { ...ANY_ID, key: claim.ref }), AppError);
  assert.equal(store.list().length, 1);
});

Deno.test("a row that can't be understood is warned of once, kept, and named when it is asked for", () => {
  using home = new StoreHome();
  const store = home.open();
  const good = active(store, "fizz-top");
  const bad = active(store, "riven-jg");
  using other = openRaw(home);
  other.database.run("UPDATE sessions SET mode = 'turbo' WHERE id = ?", bad.id);
  assert.deepEqual(store.list().map(({ id }) => id), [good.id]);
  store.list();
  assert.deepEqual(
    store.atWork(),
    [good, bad].map(({ id, token, mode, path }) => ({
      id,
      token,
      mode: id === bad.id ? "turbo" : mode,
      path,
    })),
    "what is left out of the list may still be at work",
  );
  assert.equal(home.warnings.length, 1);
  assert.match(home.warnings[0] ?? "", /^\[dev-sessions\] ignoring session "riven-jg" in .*mode/);
  assert.throws(
    () => store.find("riven-jg"),
    appError("failure", /^Cannot read session "riven-jg" .*mode/),
  );
  other.database.run("UPDATE sessions SET mode = 'yolo', handle = '{' WHERE id = ?", bad.id);
  assert.throws(() => store.find("riven-jg"), appError("failure", /handle: Invalid JSON/));
  other.database.run("UPDATE sessions SET handle = NULL WHERE id = ?", bad.id);
  assert.equal(store.list().length, 2);
});

Deno.test("an open registry answers from a second connection while the first one is in use", () => {
  using home = new StoreHome();
  const [one, two] = [home.open(), home.open()];
  const session = active(one);
  two.beginSend(session, { receipt: "r-1", at: LATER, anchor: null, key: null });
  assert.equal(one.find(session.id)?.lastUsedAt, LATER);
});

Deno.test("store.close() may be called twice, and nothing works after it", () => {
  using home = new StoreHome();
  const store = home.open();
  store.close();
  store.close();
  assert.throws(() => store.list(), appError("failure", /database is not open/));
});

function openRaw(home: StoreHome) {
  const database = new Database(home.paths.state, home.paths.database);
  return { database, [Symbol.dispose]: () => database.close() };
}

Deno.test("store.lifecycleOf() tells what a session went through, in order, and from any point on", () => {
  using home = new StoreHome();
  const store = home.open();
  const session = active(store, "fizz-top");
  active(store, "riven-jg");
  store.markEnded(session, { at: "2026-11-22T13:00:00.000Z", reason: "killed" });
  store.markEnded(session, { at: "2026-11-22T14:00:00.000Z", reason: "again" });
  store.activate(session);
  const all = store.lifecycleOf(session.token, 0);
  assert.deepEqual(all.map(({ type, at, reason }) => [type, at, reason]), [
    ["created", NOON, null],
    ["ended", "2026-11-22T13:00:00.000Z", "killed"],
    ["resumed", NOON, null],
  ]);
  assert.deepEqual(store.lifecycleOf(session.token, all[1]!.seq), all.slice(2));
  assert.deepEqual(home.open().lifecycleOf("unknown", 0), []);
});
