/** Sessions of other hosts in the registry: names over both kinds, limits, what is heard of them, and an older registry. */

import assert from "node:assert/strict";
import { DRAFT, StoreHome } from "../support/store_home.ts";
import { AppError } from "../../lib/errors.ts";
import type { CreateRequest } from "../../lib/service.ts";
import type { Store } from "../../lib/store.ts";
import { Database } from "../../lib/store/database.ts";
import { MIGRATIONS, prepareSchema } from "../../lib/store/schema.ts";
import type { Heard, RemoteDraft } from "../../lib/store/remotes.ts";

const REMOTE: RemoteDraft = {
  host: "box",
  remoteBin: "env A=1 ds",
  remoteRegistry: null,
  agent: "claude",
  mode: "yolo",
  path: "/home/me",
  description: null,
  model: null,
  parent: "riven-jg",
  group: "team",
  creator: { pid: 7, start: "123", boot: "boot", machine: "id/host/1" },
};
const HEARD: Heard = {
  token: "there",
  path: "/home/me",
  model: "m",
  lifecycle: "active",
  lastUsedAt: "2027-01-01T00:00:00.000Z",
  endedAt: null,
  endReason: null,
  agentSessionId: "a",
};
const request = (id: string) => ({ id, path: "/home/me", key: "k" }) as unknown as CreateRequest;
const none = { exclude: new Set<string>(), key: null, request };
const remote = (store: Store, id: string | null, exclude: ReadonlySet<string> = new Set()) =>
  store.reserveRemote(REMOTE, { ...none, id, exclude, admit: () => {} });

function refuses(action: () => unknown, message: RegExp): void {
  assert.throws(action, (error) => error instanceof AppError && message.test(error.message));
}

Deno.test("a name is that of one session, here or there", () => {
  using home = new StoreHome();
  const store = home.open();
  store.reserve(DRAFT, { id: "fizz-top", exclude: new Set() });
  refuses(() => remote(store, "fizz-top"), /^Champion ID already in use: fizz-top$/);
  remote(store, "jinx-adc");
  refuses(() => store.reserve(DRAFT, { id: "jinx-adc", exclude: new Set() }), /already in use: jinx-adc/);
  refuses(() => remote(store, "jinx-adc"), /already in use/);
  refuses(() => remote(store, "vi-jg", new Set(["vi-jg"])), /already in use/);
  refuses(() => remote(store, "../x"), /^Invalid session id/);
  // Of 785 names each is given once, whatever kind asks.
  const one = home.open({ random: () => 0 });
  const ids = Array.from(
    { length: 6 },
    (_, n) => n % 2 === 0 ? remote(one, null).id : one.reserve(DRAFT, { id: null, exclude: new Set() }).id,
  );
  assert.equal(new Set(ids).size, 6);
});

Deno.test("sessions elsewhere count among the live ones until they have ended", () => {
  using home = new StoreHome();
  const store = home.open();
  const counts: number[] = [];
  const admit = (live: number) => void counts.push(live);
  const first = store.reserveRemote(REMOTE, { ...none, id: null, admit });
  store.reserve(DRAFT, { id: null, exclude: new Set(), admit });
  assert.ok(store.endRemote(first, { at: "2027-01-01T00:00:00.000Z", reason: "killed" }));
  store.reserveRemote(REMOTE, { ...none, id: null, admit });
  assert.deepEqual(counts, [0, 1, 1]);
  const full = () => {
    throw new AppError("refused", "full");
  };
  refuses(() => store.reserveRemote(REMOTE, { ...none, id: "zed-mid", admit: full }), /^full$/);
  assert.equal(store.findRemote("zed-mid"), null);
});

Deno.test("a session elsewhere that is not understood is left out of the list with a warning, and stays", () => {
  using home = new StoreHome();
  const store = home.open();
  const [good, bad] = [remote(store, "jinx-adc"), remote(store, "vi-jg")];
  const other = new Database(home.paths.state, home.paths.database);
  other.run("UPDATE remote_sessions SET agent = 'another' WHERE id = ?", bad.id);
  assert.deepEqual([store.listRemotes(), store.listRemotes()], [[good], [good]]);
  assert.equal(home.warnings.length, 1);
  assert.match(home.warnings[0] ?? "", /^\[dev-sessions\] ignoring session "vi-jg" in .*another/);
  refuses(() => store.findRemote(bad.id), /^Cannot read session "vi-jg" .* upgrade dev-sessions$/);
  other.run("UPDATE remote_sessions SET agent = 'claude' WHERE id = ?", bad.id);
  other.close();
  assert.deepEqual(store.listRemotes(), [good, bad]);
});

Deno.test("what its host says is kept; a stale reference changes nothing", () => {
  using home = new StoreHome();
  const store = home.open();
  assert.equal(store.hasRemotes(), false);
  const row = remote(store, "jinx-adc");
  assert.deepEqual([row.lifecycle, row.remoteToken, row.host, row.remoteBin, row.parent], [
    "creating",
    null,
    "box",
    "env A=1 ds",
    "riven-jg",
  ]);
  assert.deepEqual(row.request, { id: "jinx-adc", path: "/home/me", key: "k" });
  const live = store.heardOf(row, HEARD);
  assert.deepEqual([live?.lifecycle, live?.remoteToken, live?.lastUsedAt], [
    "active",
    "there",
    HEARD.lastUsedAt,
  ]);
  const before = store.version();
  assert.deepEqual(store.heardOf(row, HEARD), live);
  assert.equal(store.version(), before, "what is known already is not written again");
  assert.equal(store.heardOf(row, HEARD, "its registry")?.remoteRegistry, "its registry");
  assert.equal(
    store.heardOf(row, HEARD)?.remoteRegistry,
    "its registry",
    "that a host does not say changes nothing",
  );
  const stale = { id: row.id, token: "another" };
  assert.equal(store.heardOf(stale, { ...HEARD, model: "other" }), null);
  assert.equal(store.endRemote(stale, { at: HEARD.lastUsedAt, reason: "killed" }), false);
  assert.equal(store.forgetRemote(stale), false);
  assert.ok(store.forgetRemote(row));
  assert.equal(store.hasRemotes(), false);
});

Deno.test("what an earlier version had imported as sessions of this machine gets its place", () => {
  using home = new StoreHome();
  const database = new Database(home.paths.state, home.paths.database);
  prepareSchema(database, () => {}, MIGRATIONS.slice(0, 3));
  const insert = (id: string, legacy: string | null) =>
    database.run(
      `INSERT INTO sessions (id, token, agent, mode, path, lifecycle, created_at, last_used_at, legacy)
        VALUES (?, ?, 'claude', 'yolo', '/w', 'active', ?, ?, ?)`,
      id,
      crypto.randomUUID(),
      HEARD.lastUsedAt,
      HEARD.lastUsedAt,
      legacy,
    );
  insert("fizz-top", null);
  insert("vi-jg", '{"other":1}');
  insert("jinx-adc", '{"host":"box","remoteBin":"ds","other":1}');
  insert("zed-mid", '{"host":3}');
  insert("zac-sup", "no JSON");
  database.close();
  const store = home.open();
  assert.deepEqual(
    store.listRemotes().map(({ id, host, remoteBin, legacy }) => ({ id, host, remoteBin, legacy })),
    [
      { id: "jinx-adc", host: "box", remoteBin: "ds", legacy: { other: 1 } },
    ],
  );
  assert.deepEqual(store.list().map(({ id }) => id), ["fizz-top", "vi-jg", "zed-mid"]);
});

Deno.test("one that is brought back counts before its host is asked", () => {
  using home = new StoreHome();
  const store = home.open();
  const row = remote(store, "jinx-adc");
  const full = () => {
    throw new AppError("refused", "full");
  };
  assert.equal(store.reviveRemote(row, full), false, "it lives");
  store.endRemote(row, { at: "2027-01-01T00:00:00.000Z", reason: "killed" });
  refuses(() => store.reviveRemote(row, full), /^full$/);
  assert.equal(store.findRemote(row.id)?.lifecycle, "ended");
  assert.equal(store.reviveRemote({ ...row, token: "of another one" }, () => {}), false);
  const counted: number[] = [];
  assert.equal(store.reviveRemote(row, (live) => counted.push(live)), true);
  assert.deepEqual(counted, [0]);
  const { lifecycle, endedAt, endReason } = store.findRemote(row.id)!;
  assert.deepEqual([lifecycle, endedAt, endReason], ["active", null, null]);
  store.reserveRemote(REMOTE, { ...none, id: "vi-jg", admit: (live) => counted.push(live) });
  assert.deepEqual(counted, [0, 1]);
});
