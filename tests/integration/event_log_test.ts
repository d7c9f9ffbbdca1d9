/** The event log: what several readers append at once is in it once; lives, files and modes as they should be. */

import assert from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { endOf, readOn } from "../../lib/event_log.ts";
import type { Happened } from "../../lib/events.ts";
import { Database } from "../../lib/store/database.ts";
import { type EventStore, openEventStore } from "../../lib/store/events.ts";
import { DRAFT, NOON, StoreHome } from "../support/store_home.ts";

const ANY_ID = { id: null, exclude: new Set<string>() };
const NO_BACKEND = () => Promise.resolve(null);
const REF = { id: "fizz-top", token: "00000000-0000-4000-8000-000000000001" };
const POSITION = { lifecycle: 0, alive: null, agent: null };

function said(text: string): Happened {
  return { at: Date.parse(NOON), body: { type: "message", text } };
}

function add(log: EventStore, token: string, ...texts: string[]): boolean {
  const { revision } = log.position(token);
  const events = texts.map(said);
  return log.append({ ...REF, token }, revision, { position: POSITION, events, settled: null });
}

function types(log: EventStore): string[] {
  return log.after(0, null).map(({ body }) => body.type);
}

Deno.test("the event log is private, beside the registry, and made when it is first read", () => {
  using home = new StoreHome();
  home.open();
  assert.ok(!home.files().includes("events.db"));
  const log = openEventStore(home.paths);
  assert.deepEqual(log.newest(), { log: log.newest().log, seq: 0 });
  add(log, REF.token, "a");
  for (const name of ["events.db", "events.db-shm", "events.db-wal"]) {
    assert.equal((Deno.statSync(`${home.paths.state}/${name}`).mode ?? 0) & 0o777, 0o600, name);
  }
  const name = log.newest().log;
  log.close();
  const again = openEventStore(home.paths);
  assert.deepEqual(again.newest(), { log: name, seq: 1 });
  again.close();
});

Deno.test("on a network file system it keeps a rollback journal", () => {
  using home = new StoreHome();
  home.open();
  const log = openEventStore(home.paths, { isOnNetworkFileSystem: () => true });
  add(log, REF.token, "a");
  assert.ok(!home.files().includes("events.db-wal"));
  log.close();
});

Deno.test("a reader that is overtaken appends nothing", () => {
  using home = new StoreHome();
  home.open();
  const [one, two] = [openEventStore(home.paths), openEventStore(home.paths)];
  const read = one.position(REF.token);
  assert.equal(add(two, REF.token, "a", "b"), true);
  const late = { position: POSITION, events: [said("a")], settled: null };
  assert.equal(one.append(REF, read.revision, late), false);
  assert.equal(add(one, REF.token, "c"), true);
  assert.deepEqual(one.after(0, null).map(({ seq, body }) => [seq, body]), [
    [1, { type: "message", text: "a" }],
    [2, { type: "message", text: "b" }],
    [3, { type: "message", text: "c" }],
  ]);
  assert.deepEqual(one.after(2, [REF.token]).map(({ seq }) => seq), [3]);
  assert.deepEqual(one.after(0, ["another"]), []);
  one.close();
  two.close();
});

Deno.test("forget() removes one session; its places are not used again", () => {
  using home = new StoreHome();
  home.open();
  const log = openEventStore(home.paths);
  add(log, REF.token, "a");
  add(log, "gone", "b", "c");
  log.forget("gone");
  assert.deepEqual(log.after(0, null).map(({ seq }) => seq), [1]);
  assert.deepEqual(log.position("gone"), { revision: 0, position: POSITION });
  assert.equal(log.newest().seq, 3);
  add(log, REF.token, "d");
  assert.deepEqual(log.after(0, null).map(({ seq }) => seq), [1, 4]);
  log.close();
});

Deno.test("a session that ends and lives again: each change is told once, whoever reads", async () => {
  using home = new StoreHome();
  const store = home.open();
  const [one, two] = [openEventStore(home.paths), openEventStore(home.paths)];
  const row = store.reserve(DRAFT, ANY_ID);
  assert.equal(await readOn(row, store, one, NO_BACKEND), "up_to_date");
  assert.deepEqual(types(one), []);
  store.activate(row);
  await Promise.all([readOn(row, store, one, NO_BACKEND), readOn(row, store, two, NO_BACKEND)]);
  assert.deepEqual(types(two), ["session_created"]);
  const life = ["session_created"];
  for (let round = 0; round < 3; round++) {
    store.markEnded(row, { at: `2026-01-01T13:00:0${round}.000Z`, reason: "killed" });
    life.push("session_ended");
    if (round === 1) {
      await Promise.all([readOn(row, store, two, NO_BACKEND), readOn(row, store, one, NO_BACKEND)]);
      assert.equal(one.settled().get(row.token), endOf(store.find(row.id)!));
    }
    store.activate(row);
    life.push("session_resumed");
    if (round > 0) await readOn(row, store, one, NO_BACKEND);
  }
  await readOn(row, store, two, NO_BACKEND);
  assert.deepEqual(types(one), life);
  assert.equal(one.settled().has(row.token), false);
  store.markEnded(row, { at: NOON, reason: "killed" });
  store.forget([row]);
  assert.equal(await readOn(row, store, one, NO_BACKEND), "up_to_date");
  assert.deepEqual(types(one), life);
  one.close();
  two.close();
});

Deno.test("a log of a newer version, and one of another program, are refused and left as they are", () => {
  using home = new StoreHome();
  home.open();
  const log = openEventStore(home.paths);
  add(log, REF.token, "a");
  log.close();
  const refused = (path: string, message: RegExp) => {
    const before = Deno.readFileSync(path);
    assert.throws(
      () => openEventStore({ state: home.paths.state, events: path }),
      (error) => error instanceof AppError && message.test(error.message),
    );
    assert.deepEqual(Deno.readFileSync(path), before);
  };
  const garbage = home.put("garbage.db", "x".repeat(5_000));
  refused(garbage, /^Cannot read the event log ".*garbage\.db": it is damaged/);
  const newer = new Database(home.paths.state, home.paths.events);
  newer.run("UPDATE meta SET value = '9' WHERE key = 'min_reader'");
  newer.run("PRAGMA user_version = 9");
  newer.close();
  refused(home.paths.events, /^Cannot read the event log .* newer version\. Upgrade dev-sessions$/);
  refused(home.put("foreign.db", foreignDatabase()), /^Cannot use the event log .* another program/);
});

function foreignDatabase(): Uint8Array {
  using home = new StoreHome();
  const path = `${home.home}/foreign.db`;
  const made = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { DatabaseSync } from "node:sqlite"; new DatabaseSync(${
        JSON.stringify(path)
      }).exec("CREATE TABLE t (a)")`,
    ],
  }).outputSync();
  assert.ok(made.success);
  return Deno.readFileSync(path);
}
