/** A gateway lives long without going stale; what its callers, and its own end, leave of what is under way. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { holdAgent } from "../support/held_agent.ts";
import { signal } from "../support/processes.ts";
import { agentPid, assertNothingLeft, created, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";

const KILL = { tree: false, everyone: true, caller: null };

Deno.test("SIGTERM: streams are closed without an end, what is under way comes to its end", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, [], { env: { STUB_AGENT: "slow-start=1200" } });
  const id = await created(sandbox);
  await gateway.result("send", { id, text: "SCRIPT:slow 600" });
  const waiting = await gateway.stream("wait", { ids: [id], timeoutMs: 600_000 });
  const logs = await gateway.stream("logs", { id, follow: true });
  const events = await gateway.fetch("/v1/events");
  const creating = gateway.ask("create", { path: sandbox.workspace });
  await sandbox.eventually(() => rows(sandbox).some((row) => row.endsWith("creating")), {
    what: "create is under way",
  });
  const stopping = gateway.stop();
  for (const [name, stream] of [["wait", waiting], ["logs", logs]] as const) {
    await t.step(`${name} is taken up again elsewhere`, async () => {
      strictEqual((await stream.rest()).some((line) => "end" in line || "error" in line), false);
    });
  }
  await t.step("events", async () => {
    const text = await events.text();
    match(text, /^retry: 1000\n\nid: e1-/);
    ok(!text.includes("event: end"));
  });
  await t.step("create", async () => strictEqual((await creating).status, 200));
  const { code, stderr } = await stopping;
  strictEqual(code, 0, stderr);
  match(stderr, /"operation":"wait".*"end":"stopped"/);
  deepStrictEqual(rows(sandbox).map((row) => row.split(" ")[1]), ["active", "active"]);
  await rejects(fetch(`${gateway.url}/health`));
});

Deno.test("SIGTERM: what takes too long is undone, and its caller hears who has stopped it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await holdAgent(sandbox);
  await using gateway = await startGateway(sandbox);
  const creating = gateway.ask("create", { path: sandbox.workspace });
  await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 1, {
    what: "its terminal is there",
  });
  const stopping = gateway.stop();
  const { status, json } = await creating;
  deepStrictEqual([status, json.error.code], [503, "transport"]);
  match(json.error.message, /^Cannot create "[a-z0-9-]+": interrupted: the gateway was stopped\. Try again$/);
  strictEqual((await stopping).code, 0);
  deepStrictEqual(rows(sandbox), []);
});

Deno.test("a caller who hangs up ends what was done for him alone", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, [], { env: { STUB_AGENT: "slow-start=60000" } });
  const ended = async (operation: string) => {
    await sandbox.eventually(
      () => gateway.log.some((line) => line.operation === operation && line.end === "hung_up"),
      { what: `${operation} ends` },
    );
  };
  const id = await created(sandbox);
  await t.step("wait", async () => {
    await gateway.result("send", { id, text: "SCRIPT:slow 600" });
    const stop = new AbortController();
    const waiting = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 }, { signal: stop.signal });
    const stream = await waiting;
    await stream.hangUp();
    stop.abort();
    await ended("wait");
  });
  await t.step("events", async () => {
    const stream = await gateway.stream("events", { ids: null, follow: true });
    await stream.next();
    await stream.hangUp();
    await ended("events");
  });
  await t.step(
    "create is rolled back, and the gateway does not take itself for still being at it",
    async () => {
      const stop = new AbortController();
      const creating = gateway.ask("create", { path: sandbox.workspace }, { signal: stop.signal });
      await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 2, {
        what: "its terminal is there",
      });
      stop.abort();
      await rejects(creating);
      await ended("create");
      await sandbox.eventually(() => rows(sandbox).length === 1, { what: "its row is gone" });
      deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
    },
  );
  await t.step("what could not be rolled back then is, later", async () => {
    const stop = new AbortController();
    const creating = gateway.ask("create", { path: sandbox.workspace }, { signal: stop.signal });
    await sandbox.eventually(() => rows(sandbox).length === 2, { what: "its row is there" });
    // A row as it would be when its request could not tell what is left.
    const [row] = sql(sandbox, "SELECT creator, id FROM sessions WHERE lifecycle = 'creating'");
    stop.abort();
    await rejects(creating);
    await sandbox.eventually(() => rows(sandbox).length === 1, { what: "its row is gone" });
    sql(
      sandbox,
      `INSERT INTO sessions (id, token, agent, mode, path, lifecycle, created_at, last_used_at, creator)
        VALUES ('orphan-top', ?, 'claude', 'yolo', '/', 'creating', ?, ?, ?)`,
      crypto.randomUUID(),
      new Date().toISOString(),
      new Date().toISOString(),
      row!["creator"]!,
    );
    await sandbox.eventually(() => rows(sandbox).length === 1, { what: "it is removed", timeoutMs: 30_000 });
  });
});

Deno.test("a gateway that lives long sees what other processes do, and the end of agents", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const states = async () =>
    (await gateway.result("list", { all: true })).map((one: { session: { id: string }; state: string }) =>
      `${one.session.id} ${one.state}`
    );
  const events = await gateway.stream("events", { ids: null, follow: true, since: "now" });
  const next = async (id: string, type: string) => {
    for (let line = await events.next();; line = await events.next()) {
      ok(line !== null && "item" in line, JSON.stringify(line));
      if (line.item.id === id && line.item.body.type === type) return;
    }
  };
  let id = "";
  await t.step("a session that a command creates", async () => {
    id = await created(sandbox);
    deepStrictEqual(await states(), [`${id} idle`]);
    await next(id, "session_created");
  });
  await t.step("a turn that a command begins, and its end", async () => {
    const waiting = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 });
    strictEqual((await (await waiting).rest())[0].item.outcome.outcome, "idle");
    strictEqual((await sandbox.run(["send", id, "hello"])).code, 0);
    const [result] = await (await gateway.stream("wait", { ids: [id], timeoutMs: 60_000 })).rest();
    strictEqual(result.item.outcome.outcome, "completed");
    await next(id, "turn_completed");
  });
  await t.step("an agent that dies, and is resumed by a command with another process", async () => {
    signal(agentPid(sandbox, id), "SIGKILL");
    await sandbox.eventually(async () => (await gateway.result("status", { id })).state === "gone", {
      what: "gone",
    });
    await next(id, "session_ended");
    strictEqual((await sandbox.run(["resume", id])).code, 0);
    await sandbox.eventually(async () => (await gateway.result("status", { id })).state === "idle", {
      what: "idle",
    });
    const sent = await gateway.result("send", { id, text: "again", key: "k" });
    deepStrictEqual([sent.receipt.result, sent.repeated], ["submitted", false]);
    const repeated = await gateway.result("send", { id, text: "again", key: "k" });
    deepStrictEqual([repeated.receipt.receipt, repeated.repeated], [sent.receipt.receipt, true]);
  });
  await t.step("a session that the gateway itself creates is told to its own followers", async () => {
    const { session } = await gateway.result("create", { path: sandbox.workspace });
    await next(session.id, "session_created");
    strictEqual((await sandbox.run(["kill", session.id])).code, 0);
    await next(session.id, "session_ended");
  });
  await t.step("a configuration that is changed meanwhile", async () => {
    const config = join(sandbox.home, ".dev-sessions", "config.json");
    await Deno.writeTextFile(config, '{"maxSessions": 1}');
    strictEqual((await gateway.ask("create", { path: sandbox.workspace })).status, 403);
    await Deno.writeTextFile(config, '{"maxSessions": "many"}');
    const { status, json } = await gateway.ask("create", { path: sandbox.workspace });
    strictEqual(status, 422);
    match(json.error.message, /Cannot use the configuration .*"maxSessions"/);
    await Deno.remove(config);
  });
  await t.step("many at the same session at once", async () => {
    const answers = await Promise.all(
      Array.from(
        { length: 40 },
        (_, index) =>
          index % 4 === 0
            ? gateway.stream("wait", { ids: [id], timeoutMs: 60_000 }).then((stream) => stream.rest())
            : gateway.ask(index % 2 === 0 ? "status" : "lastMessages", { id }).then(({ json }) => [json]),
      ),
    );
    ok(answers.every(([first]) => first.item?.outcome.outcome === "completed" || "result" in first));
  });
  await events.hangUp();
  await gateway.result("kill", { ids: [id], ...KILL });
  await gateway.result("prune", { olderThanMs: 0 });
  await assertNothingLeft(sandbox);
  await t.step("a registry that is taken away ends it with a reason", async () => {
    await Deno.rename(join(sandbox.home, ".dev-sessions"), join(sandbox.home, "moved"));
    const { code, stderr } = await gateway.process.doneWithin(30_000, "the end");
    strictEqual(code, 1);
    match(stderr, /Cannot go on: the registry ".*" was moved or replaced/);
  });
});
