import assert from "node:assert/strict";
import { StoreHome } from "../support/store_home.ts";

const CREATED = "2025-05-01T10:00:00.000Z";
const USED = "2025-05-02T10:00:00.000Z";

const VALID = {
  championId: "fizz-top",
  internalId: "5d1c",
  cli: "claude",
  mode: "native",
  path: "/w",
  description: "old",
  status: "active",
  claudeSystemCountAtSend: 3,
  createdAt: CREATED,
  lastUsed: USED,
};
const REMOTE = {
  ...VALID,
  championId: "master-yi-jg",
  cli: "codex",
  mode: "docker",
  status: "inactive",
  host: "box",
  remoteBin: "ds",
  model: "m",
  futureKey: { a: [1] },
};

function registry(...sessions: unknown[]): string {
  return JSON.stringify({ version: 1, sessions }, null, 2);
}

Deno.test("the sessions of 0.4.4 are imported with every key that they have", () => {
  using home = new StoreHome();
  const file = home.put("sessions.json", registry(VALID, REMOTE));
  const before = Deno.readFileSync(file);
  const store = home.open();
  const sessions = store.list();
  assert.match(sessions[0]?.token ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(sessions.map(({ token: _, ...rest }) => rest), [{
    id: "fizz-top",
    agent: "claude",
    mode: "yolo",
    path: "/w",
    description: "old",
    model: null,
    lifecycle: "active",
    createdAt: CREATED,
    lastUsedAt: USED,
    endedAt: null,
    endReason: null,
    parent: null,
    group: null,
    creator: null,
    process: null,
    agentSessionId: "5d1c",
    handle: null,
    legacy: { claudeSystemCountAtSend: 3 },
    lastSend: null,
    launch: null,
    worktree: null,
    resumer: null,
  }]);
  // One that lives on another host has a place of its own.
  const remote = store.listRemotes();
  assert.match(remote[0]?.token ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(remote.map(({ token: _, ...rest }) => rest), [{
    id: "master-yi-jg",
    host: "box",
    remoteBin: "ds",
    remoteRegistry: null,
    remoteToken: null,
    agent: "codex",
    mode: "docker",
    path: "/w",
    description: "old",
    model: "m",
    lifecycle: "ended",
    createdAt: CREATED,
    lastUsedAt: USED,
    endedAt: null,
    endReason: "inactive in dev-sessions 0.4.4",
    parent: null,
    group: null,
    agentSessionId: "5d1c",
    creator: null,
    request: null,
    legacy: { claudeSystemCountAtSend: 3, futureKey: { a: [1] } },
  }]);
  assert.deepEqual(Deno.readFileSync(file), before);
  assert.deepEqual(home.warnings, []);
});

Deno.test("the import happens once, even when its sessions are gone or the file changes", () => {
  using home = new StoreHome();
  home.put("sessions.json", registry(VALID));
  const store = home.open();
  const [session] = store.list();
  assert.ok(session);
  store.markEnded(session, { at: USED, reason: "killed" });
  assert.equal(store.forget([session]).length, 1);
  home.put("sessions.json", registry(VALID, REMOTE));
  assert.deepEqual(home.open().list(), []);
});

Deno.test("a sessions.json that appears later is still imported", () => {
  using home = new StoreHome();
  assert.deepEqual(home.open().list(), []);
  home.put("sessions.json", registry(VALID));
  assert.deepEqual(home.open().list().map(({ id }) => id), ["fizz-top"]);
});

Deno.test("invalid records are warned of by place and name, the others are imported", () => {
  using home = new StoreHome();
  const { status: _, ...incomplete } = VALID;
  const file = home.put(
    "sessions.json",
    registry(
      { ...VALID, championId: "../evil" },
      { ...incomplete, championId: "riven-jg" },
      { ...VALID, championId: "\u001b[31mred" },
      "text",
      null,
      VALID,
      { ...VALID, internalId: "second" },
      { ...VALID, championId: "zed-top", createdAt: "yesterday" },
      { ...VALID, championId: "zac-top", mode: "yolo" },
    ),
  );
  const before = Deno.readFileSync(file);
  assert.deepEqual(home.open().list().map(({ id, agentSessionId }) => [id, agentSessionId]), [[
    "fizz-top",
    "5d1c",
  ]]);
  const warning = (index: number, name: string) =>
    `[dev-sessions] ignoring invalid session record in ${file} at index ${index} championId=${name}`;
  assert.deepEqual(home.warnings, [
    warning(0, "../evil"),
    warning(1, "riven-jg"),
    warning(2, "?[31mred"),
    warning(3, "unknown"),
    warning(4, "unknown"),
    `[dev-sessions] ignoring session record in ${file} at index 6 championId=fizz-top: this id is in use`,
    warning(7, "zed-top"),
    warning(8, "zac-top"),
  ]);
  assert.deepEqual(Deno.readFileSync(file), before);
});

for (const content of ["", "{", "[]", "null", '{"sessions":{}}', '{"version":1}']) {
  Deno.test(`a broken sessions.json (${content}) is warned of and imported once it is whole`, () => {
    using home = new StoreHome();
    const file = home.put("sessions.json", content);
    assert.deepEqual(home.open().list(), []);
    assert.equal(home.warnings.length, 1);
    assert.ok(home.warnings[0]?.startsWith(`[dev-sessions] cannot import the sessions of ${file}: `));
    assert.equal(Deno.readTextFileSync(file), content);
    home.put("sessions.json", registry(VALID));
    assert.deepEqual(home.open().list().map(({ id }) => id), ["fizz-top"]);
  });
}

Deno.test("20 processes that start at once on a fresh home import exactly once", async () => {
  using home = new StoreHome();
  const file = home.put("sessions.json", registry(VALID, REMOTE, "invalid"));
  const outputs = await Promise.all(Array.from({ length: 20 }, () => {
    const child = home.writer("open").spawn();
    return child.stdin.close().then(() => child.output());
  }));
  const warnings = outputs.map(({ stderr }) => new TextDecoder().decode(stderr)).join("");
  assert.deepEqual(outputs.map(({ code }) => code), Array(20).fill(0), warnings);
  assert.equal(
    warnings,
    `[dev-sessions] ignoring invalid session record in ${file} at index 2 championId=unknown\n`,
  );
  const store = home.open();
  assert.deepEqual(store.list().map(({ id }) => id), ["fizz-top"]);
  assert.deepEqual(store.listRemotes().map(({ id }) => id), ["master-yi-jg"]);
});

Deno.test("a process that read sessions.json before another one imported it imports nothing", async () => {
  using home = new StoreHome();
  home.open();
  // Opening a FIFO for writing returns once the other process has begun to read it.
  const file = home.paths.legacyRegistry;
  assert.ok(new Deno.Command("mkfifo", { args: [file] }).outputSync().success);
  const child = home.writer("open").spawn();
  const fifo = await Deno.open(file, { write: true });
  Deno.removeSync(file);
  home.put("sessions.json", registry(VALID));
  home.open();
  fifo.writeSync(new TextEncoder().encode(registry(REMOTE)));
  fifo.close();
  await child.stdin.close();
  const { code, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(home.open().list().map(({ id }) => id), ["fizz-top"]);
});
