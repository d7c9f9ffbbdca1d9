/** The lock over processes: one holder at a time, free as soon as the holder is gone. */

import { ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { acquireLock } from "../../lib/file_lock.ts";
import { realClock } from "../../lib/real_deps.ts";

const HOLDER = join(import.meta.dirname!, "..", "support", "lock_holder.ts");
const CONFIG = join(import.meta.dirname!, "..", "..", "deno.json");

async function holder(path: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", CONFIG, HOLDER, path],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const said = new TextDecoder().decode(value).trim();
  const end = async (how: "exit" | "SIGKILL") => {
    if (how === "SIGKILL") child.kill("SIGKILL");
    await child.stdin.close().catch(() => {});
    await child.status;
    await reader.cancel();
  };
  return { said, end };
}

const take = (path: string, timeoutMs = 0, signal = new AbortController().signal) =>
  acquireLock(path, { timeoutMs, clock: realClock, signal });

for (const how of ["exit", "SIGKILL"] as const) {
  Deno.test(`acquireLock() gets a lock once its holder is gone by ${how}, not before`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = join(folder, "send.lock");
      const other = await holder(path);
      strictEqual(other.said, "held");
      strictEqual(await take(path), null, "no time to wait");
      strictEqual(await take(path, 60), null, "too little time to wait");
      const waiting = take(path, 10_000);
      await other.end(how);
      using lock = await waiting;
      ok(lock !== null);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("acquireLock() keeps others out until it is disposed of", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "send.lock");
    {
      using lock = await take(path);
      ok(lock !== null);
      strictEqual(await take(path), null, "the same process, too");
      const other = await holder(path);
      strictEqual(other.said, "taken");
      await other.end("exit");
    }
    using again = await take(path);
    ok(again !== null);
    strictEqual((await Deno.stat(path)).mode! & 0o777, 0o600);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("acquireLock() gives up at the signal", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "send.lock");
    using _lock = await take(path);
    const abort = new AbortController();
    const waiting = take(path, 60_000, abort.signal);
    abort.abort();
    strictEqual(await waiting, null);
    strictEqual(await take(join(folder, "free.lock"), 0, abort.signal), null, "even of a free lock");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
