import assert from "node:assert/strict";
import { StoreHome } from "../support/store_home.ts";

Deno.test("store.reserve() gives 100 processes different ids", async () => {
  using home = new StoreHome();
  const outputs = await Promise.all(Array.from({ length: 100 }, async () => {
    const child = home.writer("reserve", "2").spawn();
    await child.stdin.close();
    return await child.output();
  }));
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.deepEqual(outputs.filter(({ code }) => code !== 0).map(({ stderr }) => text(stderr)), []);
  const ids = outputs.flatMap(({ stdout }) => text(stdout).trim().split("\n"));
  assert.equal(ids.length, 200);
  assert.equal(new Set(ids).size, 200);
  assert.deepEqual(home.open().list().map(({ id }) => id).sort(), ids.sort());
});

Deno.test("a process killed in a transaction leaves nothing of it and no lock", async () => {
  using home = new StoreHome();
  const store = home.open();
  const session = store.reserve({
    agent: "codex",
    mode: "native",
    path: "/w",
    description: "whole",
    model: null,
    parent: null,
    group: null,
    creator: null,
    launch: null,
  }, { id: null, exclude: new Set() });
  const child = home.writer("hang").spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), "in transaction\n");
  child.kill("SIGKILL");
  await child.status;
  await Promise.all([reader.cancel(), child.stderr.cancel(), child.stdin.abort().catch(() => {})]);
  assert.equal(home.open().find(session.id)?.description, "whole");
  assert.equal(home.open({ busyTimeoutMs: 0 }).activate(session).lifecycle, "active");
});
