import assert from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { ATTEMPT_TIMEOUT_MS, Database } from "../../lib/store/database.ts";
import { type Migration, MIGRATIONS } from "../../lib/store/schema.ts";
import { cacheOf, DRAFT, StoreHome, writerArgs } from "../support/store_home.ts";

const ANY_ID = { id: null, exclude: new Set<string>() };

function failure(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, "failure");
    assert.match(error.message, message);
    return true;
  };
}

function snapshot(home: StoreHome): [string, Uint8Array][] {
  return home.files().map((name) => [name, Deno.readFileSync(`${home.paths.state}/${name}`)]);
}

function mode(path: string): string {
  return ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
}

function rawDatabase(home: StoreHome): Database {
  return new Database(home.paths.state, home.paths.database);
}

/** A closed registry with enough rows to fill several pages. */
function filledRegistry(home: StoreHome): string {
  const store = home.open();
  for (let i = 0; i < 30; i++) store.reserve({ ...DRAFT, description: "x".repeat(500) }, ANY_ID);
  return store.list()[0]?.id ?? "";
}

Deno.test("the registry is private under any umask", () => {
  const umask = Deno.umask(0o022);
  try {
    using home = new StoreHome();
    const store = home.open();
    store.reserve(DRAFT, ANY_ID);
    assert.equal(mode(home.paths.state), "700");
    assert.deepEqual(home.files(), ["dev-sessions.db", "dev-sessions.db-shm", "dev-sessions.db-wal"]);
    assert.deepEqual(home.files().map((name) => mode(`${home.paths.state}/${name}`)), ["600", "600", "600"]);
  } finally {
    Deno.umask(umask);
  }
});

Deno.test("a folder and a file that others can read are tightened, a stricter mode stays", () => {
  using home = new StoreHome();
  Deno.mkdirSync(home.paths.state);
  Deno.chmodSync(home.paths.state, 0o755);
  Deno.writeFileSync(home.paths.database, new Uint8Array());
  Deno.chmodSync(home.paths.database, 0o644);
  home.open();
  assert.deepEqual([mode(home.paths.state), mode(home.paths.database)], ["700", "600"]);
});

Deno.test("an empty file is a new registry", () => {
  using home = new StoreHome();
  home.put("dev-sessions.db", "");
  home.open().reserve(DRAFT, ANY_ID);
  assert.equal(home.open().list().length, 1);
});

Deno.test("the journal is WAL on a local file system, a rollback journal on a network file system", () => {
  for (const [network, expected] of [[false, "wal"], [true, "delete"]] as const) {
    using home = new StoreHome();
    const asked: string[] = [];
    const isOnNetworkFileSystem = (folder: string) => {
      asked.push(folder);
      return network;
    };
    home.open({ isOnNetworkFileSystem }).reserve(DRAFT, ANY_ID);
    home.open({ isOnNetworkFileSystem }).reserve(DRAFT, ANY_ID);
    assert.deepEqual(asked, [home.paths.state]);
    const database = rawDatabase(home);
    assert.equal(database.get("PRAGMA journal_mode")?.["journal_mode"], expected);
    assert.equal(database.get("PRAGMA synchronous")?.["synchronous"], 2);
    assert.equal(database.get("PRAGMA busy_timeout")?.["timeout"], ATTEMPT_TIMEOUT_MS);
    database.close();
  }
});

const GARBAGE: [name: string, content: string | Uint8Array][] = [
  ["text", "this is not a database at all\n".repeat(500)],
  ["two bytes", "xy"],
  ["zeros", new Uint8Array(8192)],
  ["a header without a body", "SQLite format 3\0"],
];
for (const [name, content] of GARBAGE) {
  Deno.test(`a registry of garbage (${name}) is one error and stays byte for byte`, () => {
    using home = new StoreHome();
    home.put("dev-sessions.db", content);
    const before = snapshot(home);
    assert.throws(
      () => home.open(),
      failure(/^Cannot read the session registry ".*dev-sessions\.db": it is damaged \(.*move it away/),
    );
    assert.deepEqual(snapshot(home), before);
  });
}

Deno.test("a truncated registry is one error and stays byte for byte", () => {
  using source = new StoreHome();
  filledRegistry(source);
  const database = rawDatabase(source);
  database.get("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const whole = Deno.readFileSync(source.paths.database);
  assert.ok(whole.length > 20_000);
  for (const part of [0.9, 0.5, 0.1, 0.01]) {
    using home = new StoreHome();
    home.put("dev-sessions.db", whole.slice(0, Math.floor(whole.length * part)));
    const before = snapshot(home);
    assert.throws(() => home.open(), failure(/it is damaged/), `part ${part}`);
    assert.deepEqual(snapshot(home), before, `part ${part}`);
  }
});

Deno.test("a page of garbage inside the registry is one error on every call", () => {
  using home = new StoreHome();
  const id = filledRegistry(home);
  const database = rawDatabase(home);
  database.get("PRAGMA wal_checkpoint(TRUNCATE)");
  const root = Number(
    database.get("SELECT rootpage FROM sqlite_schema WHERE name = 'sessions'")?.["rootpage"],
  );
  database.close();
  const bytes = Deno.readFileSync(home.paths.database);
  bytes.fill(0xff, (root - 1) * 4096, root * 4096);
  using broken = new StoreHome();
  broken.put("dev-sessions.db", bytes);
  const store = broken.open();
  const damaged = failure(/it is damaged \(database disk image is malformed\)/);
  assert.throws(() => store.list(), damaged);
  assert.throws(() => store.find(id), damaged);
  assert.throws(() => store.reserve(DRAFT, ANY_ID), damaged);
});

Deno.test("a registry that was emptied beside its log is damaged, and the log stays", () => {
  using home = new StoreHome();
  home.put("dev-sessions.db", "");
  home.put("dev-sessions.db-wal", "rows");
  const before = snapshot(home);
  assert.throws(() => home.open(), failure(/it is damaged/));
  assert.deepEqual(snapshot(home), before);
});

Deno.test("a database of another program is refused and stays", () => {
  using home = new StoreHome();
  Deno.mkdirSync(home.paths.state);
  const database = rawDatabase(home);
  database.run("CREATE TABLE notes (a)");
  database.close();
  const before = snapshot(home);
  assert.throws(() => home.open(), failure(/it is a database of another program/));
  assert.deepEqual(snapshot(home), before);
});

Deno.test("a home that can't hold the registry is one error", () => {
  using home = new StoreHome();
  Deno.writeTextFileSync(home.paths.state, "a file");
  assert.throws(() => home.open(), failure(/^Cannot use the session registry ".*": .*\(os error/));
  Deno.removeSync(home.paths.state);
  Deno.mkdirSync(home.paths.database, { recursive: true });
  assert.throws(() => home.open(), failure(/^Cannot use the session registry ".*": /));
});

Deno.test("a registry that stays locked is one error after the busy timeout", () => {
  using home = new StoreHome();
  const store = home.open({ busyTimeoutMs: 20 });
  const other = rawDatabase(home);
  other.mutate(() => {
    assert.throws(() => store.reserve(DRAFT, ANY_ID), failure(/another process keeps it locked/));
    assert.deepEqual(store.list(), []);
  });
  other.close();
  store.reserve(DRAFT, ANY_ID);
});

const NEXT: Migration = {
  version: MIGRATIONS.at(-1)!.version + 1,
  minReader: 1,
  sql: [
    "ALTER TABLE sessions ADD COLUMN mood TEXT",
    "CREATE TABLE extra (a TEXT) STRICT",
  ],
};

Deno.test("an older program works beside a newer schema, and its changes keep what it does not know", () => {
  using home = new StoreHome();
  const older = home.open();
  const session = older.reserve(DRAFT, ANY_ID);
  const newer = home.open({ migrations: [...MIGRATIONS, NEXT] });
  assert.equal(newer.find(session.id)?.token, session.token);
  const database = rawDatabase(home);
  database.run("UPDATE sessions SET mood = 'good'");
  const reopened = home.open();
  reopened.recordHandle(session, { handle: 1, process: null, agentSessionId: null });
  reopened.activate(session);
  older.beginSend(session, { receipt: "r-1", at: "2027-01-01T00:00:00.000Z", anchor: null, key: null });
  assert.equal(database.get("SELECT mood FROM sessions")?.["mood"], "good");
  assert.equal(database.userVersion(), NEXT.version);
  assert.equal(
    database.get("SELECT value FROM meta WHERE key = 'schema_version'")?.["value"],
    `${NEXT.version}`,
  );
  database.close();
});

Deno.test("an older program refuses a registry that demands a newer one, and leaves it alone", () => {
  using home = new StoreHome();
  home.open({ migrations: [...MIGRATIONS, { ...NEXT, minReader: NEXT.version }] });
  assert.throws(() => home.open(), failure(/".*dev-sessions\.db": it belongs to a newer version\. Upgrade/));
  assert.equal(home.open({ migrations: [...MIGRATIONS, NEXT] }).list().length, 0);
});

Deno.test("an opener that finds a newer registry created in the meantime uses it as it is", () => {
  using home = new StoreHome();
  const store = home.open({
    isOnNetworkFileSystem: () => {
      home.open({ migrations: [...MIGRATIONS, NEXT] }).reserve(DRAFT, ANY_ID);
      return false;
    },
  });
  assert.equal(store.list().length, 1);
  const database = rawDatabase(home);
  assert.equal(database.userVersion(), NEXT.version);
  database.close();
});

Deno.test("a migration that fails leaves the schema as it was", () => {
  using home = new StoreHome();
  home.open().reserve(DRAFT, ANY_ID);
  const broken = { ...NEXT, sql: [...NEXT.sql, "NONSENSE"] };
  assert.throws(() => home.open({ migrations: [...MIGRATIONS, broken] }), failure(/syntax error/));
  assert.equal(home.open({ migrations: [...MIGRATIONS, NEXT] }).list().length, 1);
});

Deno.test("a full disk and a read-only file system are one error each, and what was stored stays", {
  ignore: !canMount(),
}, () => {
  using home = new StoreHome();
  // In a mount namespace of its own: a file system of 256 KB that is filled up and then made read-only.
  const program = [Deno.execPath(), ...writerArgs(["reserve"])].map((word) => `'${word}'`).join(" ");
  const script = `
    set -u
    mkdir "$HOME/.dev-sessions" && mount -t tmpfs -o size=256k,mode=0700 tmpfs "$HOME/.dev-sessions" || exit 99
    ${program} 1 || exit 98
    ${program} 5000 2>"$HOME/full"; echo $? >"$HOME/full.code"
    rm -f "$HOME/.dev-sessions/"*-shm "$HOME/.dev-sessions/"*-wal
    mount -o remount,ro "$HOME/.dev-sessions" || exit 97
    ${program} 1 2>"$HOME/ro"; echo $? >"$HOME/ro.code"
  `;
  const { code, stderr } = new Deno.Command("unshare", {
    args: ["-rm", "sh", "-c", script],
    env: { ...cacheOf(Deno.env.toObject()), HOME: home.home },
    stdin: "null",
  }).outputSync();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const read = (name: string) => Deno.readTextFileSync(`${home.home}/${name}`);
  assert.match(
    read("full"),
    /AppError: Cannot (write|use) the session registry ".*": (database or disk is full|disk I\/O error)/,
  );
  assert.match(read("ro"), /AppError: Cannot (write|use) the session registry/);
  assert.deepEqual([read("full.code"), read("ro.code")], ["1\n", "1\n"]);
});

function canMount(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const args = ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    return new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test("a registry that is locked for longer than one attempt is waited for", async () => {
  using home = new StoreHome();
  const store = home.open();
  const session = store.reserve(DRAFT, { id: null, exclude: new Set() });
  const holder = home.writer("hold", String(5 * ATTEMPT_TIMEOUT_MS)).spawn();
  await holder.stdin.close();
  const reader = holder.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "in transaction\n");
  const begin = performance.now();
  assert.equal(store.activate(session).lifecycle, "active");
  assert.ok(performance.now() - begin > ATTEMPT_TIMEOUT_MS);
  await reader.cancel();
  await holder.stderr.cancel();
  await holder.status;
});
