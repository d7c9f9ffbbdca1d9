import assert from "node:assert/strict";
import { realClock, runProcess, writeAll } from "../../lib/real_deps.ts";
import { readBounded } from "../../lib/read_bounded.ts";

const ENV = { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin" };

Deno.test("runProcess() returns what a program printed and its exit code", async () => {
  const result = await runProcess("sh", ["-c", "echo out; echo err >&2; exit 3"], {
    env: ENV,
    timeoutMs: 5000,
  });
  assert.deepEqual(result, { kind: "exited", code: 3, stdout: "out\n", stderr: "err\n" });
});

Deno.test("runProcess() gives the program exactly the given environment, folder and stdin", async () => {
  const options = { env: { ...ENV, ONLY: "ü" }, timeoutMs: 5000, stdin: "x".repeat(200_000), cwd: "/" };
  const result = await runProcess("sh", ["-c", 'pwd; echo "$ONLY:$HOME"; wc -c'], options);
  assert.equal(result.kind, "exited");
  assert.deepEqual(result.kind === "exited" && result.stdout.split("\n").map((line) => line.trim()), [
    "/",
    "ü:",
    "200000",
    "",
  ]);
});

Deno.test("runProcess() survives a program that does not read its stdin", async () => {
  const result = await runProcess("true", [], { env: ENV, timeoutMs: 5000, stdin: "x".repeat(1_000_000) });
  assert.deepEqual(result, { kind: "exited", code: 0, stdout: "", stderr: "" });
});

Deno.test("runProcess() decodes characters that are cut between two reads", async () => {
  const result = await runProcess("sh", ["-c", "printf '\\303'; sleep 0.1; printf '\\274'"], {
    env: ENV,
    timeoutMs: 5000,
  });
  assert.deepEqual(result, { kind: "exited", code: 0, stdout: "ü", stderr: "" });
});

Deno.test("runProcess() kills a program that takes too long", async (t) => {
  const scripts = {
    "it sleeps": "echo $$; exec sleep 60",
    "it ignores signals": "trap '' TERM INT HUP; echo $$; while :; do sleep 0.05; done",
    "it prints without end": "exec yes",
    "a descendant holds the pipe": "sleep 2 & exit 0",
  };
  for (const [name, script] of Object.entries(scripts)) {
    await t.step(name, async () => {
      const start = performance.now();
      const result = await runProcess("sh", ["-c", script], { env: ENV, timeoutMs: 200 });
      assert.deepEqual(result, { kind: "timed_out" });
      assert.ok(performance.now() - start < 1500);
    });
  }
  await t.step("it does not read a long stdin", async () => {
    const options = { env: ENV, timeoutMs: 200, stdin: "x".repeat(1_000_000) };
    assert.deepEqual(await runProcess("sleep", ["60"], options), { kind: "timed_out" });
  });
});

Deno.test("runProcess() tells a missing program from a missing folder", async () => {
  assert.deepEqual(await runProcess("no-such-program", [], { env: ENV, timeoutMs: 1000 }), {
    kind: "not_found",
  });
  await assert.rejects(
    runProcess("true", [], { env: ENV, timeoutMs: 1000, cwd: "/no/such/folder" }),
    /folder/,
  );
});

Deno.test("runProcess() finds programs on the given PATH", async () => {
  const result = await runProcess("sh", ["-c", "true"], {
    env: { PATH: "/no/such/folder" },
    timeoutMs: 1000,
  });
  assert.deepEqual(result, { kind: "not_found" });
});

Deno.test("sleep() ends early, without an error, when its signal aborts", async () => {
  const start = performance.now();
  const stop = new AbortController();
  const sleeping = realClock.sleep(60_000, stop.signal);
  stop.abort();
  await sleeping;
  await realClock.sleep(60_000, stop.signal);
  await realClock.sleep(60_000, AbortSignal.abort());
  assert.ok(performance.now() - start < 1000);
});

Deno.test("sleep() does not end at once when it is longer than timers can be", async () => {
  const stop = new AbortController();
  const sleeping = realClock.sleep(2 ** 31 + 1000, stop.signal).then(() => "ended");
  const first = await Promise.race([sleeping, realClock.sleep(30).then(() => "still sleeping")]);
  assert.equal(first, "still sleeping");
  stop.abort();
  await sleeping;
});

Deno.test("writeAll() writes everything through short writes and a full pipe", () => {
  const written: number[] = [];
  let turn = 0;
  writeAll({
    writeSync(bytes) {
      if (turn++ % 3 === 1) throw new Deno.errors.WouldBlock("full");
      const some = bytes.subarray(0, 3);
      written.push(...some);
      return some.length;
    },
  }, "añb漢字c");
  assert.equal(new TextDecoder().decode(new Uint8Array(written)), "añb漢字c");
});

Deno.test("readBounded() reads all, or the first bytes of more", async (t) => {
  const source = (length: number, step: number) => ({
    read(buffer: Uint8Array) {
      const count = Math.min(step, length, buffer.length);
      buffer.fill(7, 0, count);
      length -= count;
      return Promise.resolve(count === 0 ? null : count);
    },
  });
  for (
    const [length, limit, expected] of [[0, 10, 0], [9, 10, 9], [10, 10, 10], [11, 10, 10], [
      300_000,
      1_000_000,
      300_000,
    ]] as const
  ) {
    await t.step(`${length} of ${limit}`, async () => {
      const bytes = await readBounded(source(length, 4096), limit);
      assert.equal(bytes.length, expected);
      assert.ok(bytes.every((byte) => byte === 7));
    });
  }
});

Deno.test("onStop() calls back at the first signal and lets the second one end the process", async (t) => {
  const script = `
    import { onStop } from ${JSON.stringify(import.meta.resolve("../../lib/real_deps.ts"))};
    const say = (text) => Deno.stdout.writeSync(new TextEncoder().encode(text));
    setTimeout(() => {}, 20_000);
    const stopListening = onStop(() => { stopListening(); say("stopped"); });
    say("ready");`;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await t.step(signal, async () => {
      const args = ["run", "--no-config", "--ext=ts", "-"];
      const command = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" });
      const child = command.spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(script));
      await writer.close();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      assert.equal((await reader.read()).value, "ready");
      child.kill(signal);
      assert.equal((await reader.read()).value, "stopped");
      child.kill(signal);
      assert.equal((await child.status).signal, signal);
      await reader.cancel();
    });
  }
});
