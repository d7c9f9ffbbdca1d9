/** Codex sessions behind a gateway that lives long: one connection for all callers, which none of them can break. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { startGateway } from "../support/gateway.ts";
import { eventually } from "../support/harness.ts";
import { signal } from "../support/processes.ts";

Deno.test("a Codex session through the gateway: create, send, wait, read, kill, and its server's end", async () => {
  await using codex = await createStubCodexSandbox();
  await using gateway = await startGateway(codex.sandbox);
  const { session: { id } } = await gateway.result("create", {
    path: codex.sandbox.workspace,
    agent: "codex",
  });
  const sent = await gateway.result("send", { id, text: "hello" });
  strictEqual(sent.receipt.result, "submitted");
  const [result] = await (await gateway.stream("wait", { ids: [id] })).rest();
  strictEqual(result.item.outcome.outcome, "completed");
  deepStrictEqual(await gateway.result("lastMessages", { id }), ["REPLY: hello"]);
  const kill = { ids: [id], tree: false, everyone: true, caller: null };
  deepStrictEqual((await gateway.result("kill", kill)).killed, [id]);
  await eventually(async () => (await codex.servers()).length === 0, {
    what: "the server ends with its last session",
  });
  strictEqual((await gateway.result("status", { id })).state, "gone");
});

Deno.test("a caller who hangs up while the connection is opened leaves it to the others", async () => {
  await using codex = await createStubCodexSandbox();
  await using gateway = await startGateway(codex.sandbox);
  const created = await codex.sandbox.run(["create", "--cli", "codex", "-q"]);
  strictEqual(created.code, 0, created.stderr);
  const id = created.stdout.trim();
  const [server] = await codex.servers();
  ok(server !== undefined);
  signal(server, "SIGSTOP");
  // What was asked before is under way once this is answered.
  const under = async () => await (await gateway.fetch("/health")).text();
  const stop = new AbortController();
  const first = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 }, { signal: stop.signal })
    .then((stream) => stream.rest());
  await under();
  const second = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 }).then((stream) => stream.rest());
  const third = gateway.ask("status", { id });
  await under();
  stop.abort();
  await first.catch(() => {});
  await eventually(() => gateway.log.some(({ end }) => end === "hung_up"), {
    what: "the first one has gone",
  });
  signal(server, "SIGCONT");
  strictEqual((await second)[0].item.outcome.outcome, "idle");
  strictEqual((await third).json.result.state, "idle");
});

Deno.test("a Codex server that dies is found again, started again and asked again", async () => {
  await using codex = await createStubCodexSandbox();
  await using gateway = await startGateway(codex.sandbox);
  const { session: { id } } = await gateway.result("create", {
    path: codex.sandbox.workspace,
    agent: "codex",
  });
  strictEqual((await gateway.result("send", { id, text: "hello" })).receipt.result, "submitted");
  for (const round of [1, 2]) {
    const [server] = await codex.servers();
    ok(server !== undefined, `round ${round}`);
    signal(server, "SIGKILL");
    await eventually(async () => !(await codex.servers()).includes(server), {
      what: "its end",
    });
    await eventually(async () => (await gateway.result("status", { id })).state === "idle", {
      what: "it is there again",
    });
    strictEqual((await gateway.result("send", { id, text: `round ${round}` })).receipt.result, "submitted");
  }
  strictEqual((await gateway.stop()).code, 0);
  strictEqual((await codex.servers()).length, 1, "it stays for its session");
});
