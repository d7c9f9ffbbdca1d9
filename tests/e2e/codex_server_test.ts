/** The real Codex: one server per CODEX_HOME, whoever comes first, and turns through it. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { dirname, join } from "node:path";
import type { Connection } from "../../backends/codex/rpc.ts";
import { ConnectionLost } from "../../backends/codex/rpc_errors.ts";
import { findServer } from "../../backends/codex/find_server.ts";
import { connectServer } from "../../backends/codex/server.ts";
import { stopIfOurs } from "../../backends/codex/stop_server.ts";
import { AppError } from "../../lib/errors.ts";
import { assertOneServer, type CodexSandbox, createCodexSandbox } from "../support/codex_sandbox.ts";
import { ensureCodex } from "../support/agent_install.ts";
import { endOfTurn, replyOf, requestOf, startThread, textInput, turnOf } from "../support/codex_turns.ts";
import { eventually } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";

const signal = new AbortController().signal;
const NOBODY = new Set<string>();
const APPROVAL = "item/commandExecution/requestApproval";

/** A connection to the server that runs already. */
async function joinServer(codex: CodexSandbox): Promise<Connection> {
  const server = await findServer({ deps: codex.deps(), signal });
  ok(server !== null);
  return server.connection;
}

Deno.test("a cold start, a second command, and a turn", async () => {
  await using codex = await createCodexSandbox();
  const started = await codex.connected();
  deepStrictEqual([started.origin, started.version, started.codexHome], [
    "started",
    "0.169.0",
    codex.codexHome,
  ]);
  deepStrictEqual(await codex.servers(), [started.pid]);
  const found = await codex.connected();
  deepStrictEqual([found.origin, found.pid], ["found", started.pid]);
  await using connection = await joinServer(codex);
  const threadId = await startThread(connection, { cwd: codex.sandbox.workspace });
  const { turn } = await turnOf(connection, threadId, "SCRIPT:plain hello", { clientUserMessageId: "mine" });
  deepStrictEqual([turn.status, replyOf(turn)], ["completed", "REPLY: hello"]);
  const { data } = await connection.call("thread/turns/list", { threadId, itemsView: "full" });
  const [message] = data[0]?.items ?? [];
  ok(message?.type === "userMessage");
  strictEqual(message.clientId, "mine");
  deepStrictEqual(codex.model!.prompts(threadId), ["SCRIPT:plain hello"]);
});

Deno.test("eight commands at the same time start one server, also where a killed one has left its socket", async () => {
  await using codex = await createCodexSandbox();
  await assertOneServer(codex);
});

Deno.test("a server that is killed in a turn is noticed at once and replaced; the thread goes on", async () => {
  await using codex = await createCodexSandbox();
  const first = await codex.connected();
  await using connection = await joinServer(codex);
  const threadId = await startThread(connection, { cwd: codex.sandbox.workspace });
  await turnOf(connection, threadId, "SCRIPT:plain before");
  using listener = connection.listen();
  await connection.call("turn/start", { threadId, input: textInput("SCRIPT:gate never") });
  await codex.model!.reached("never");
  const broken = rejects(endOfTurn(listener, threadId), ConnectionLost);
  Deno.kill(first.pid, "SIGKILL");
  await broken;
  await eventually(async () => !await isRunning(first.pid), { what: "the end of the server" });
  strictEqual(await findServer({ deps: codex.deps(), signal }), null);

  const second = await codex.connected();
  deepStrictEqual([second.origin, await codex.servers()], ["started", [second.pid]]);
  await using again = await joinServer(codex);
  await again.call("thread/resume", { threadId, excludeTurns: true });
  const { data } = await again.call("thread/turns/list", { threadId });
  deepStrictEqual(data.map(({ status }) => status), ["interrupted", "completed"]);
  strictEqual(replyOf((await turnOf(again, threadId, "SCRIPT:plain after")).turn), "REPLY: after");
});

Deno.test("an approval is answered by a connection that was not asked", async () => {
  await using codex = await createCodexSandbox();
  await codex.connected();
  await using asked = await joinServer(codex);
  using listener = asked.listen();
  const threadId = await startThread(asked, {
    cwd: codex.sandbox.workspace,
    approvalPolicy: "on-request",
    permissions: ":workspace",
  });
  const file = join(codex.sandbox.root, "outside");
  await asked.call("turn/start", { threadId, input: textInput(`SCRIPT:escalate echo yes > ${file}`) });
  const request = await requestOf(listener);
  ok(request.method === APPROVAL);
  match(request.params.command ?? "", /echo yes/);
  await using other = await joinServer(codex);
  deepStrictEqual((await other.call("thread/read", { threadId })).thread.status, {
    type: "active",
    activeFlags: ["waitingOnApproval"],
  });
  other.answer(APPROVAL, request.id, { decision: "accept" });
  const { turn, heard } = await endOfTurn(listener, threadId);
  strictEqual(turn.status, "completed");
  ok(heard.some(({ method }) => method === "serverRequest/resolved"));
  strictEqual(await Deno.readTextFile(file), "yes\n");
});

Deno.test("a frozen server is told as such: no second one, and it lives on", async () => {
  await using codex = await createCodexSandbox();
  const { pid } = await codex.connected();
  Deno.kill(pid, "SIGSTOP");
  try {
    await rejects(connectServer({ deps: codex.deps(), signal, connectTimeoutMs: 300 }), (error) => {
      return error instanceof AppError && /no answer within 300 ms/.test(error.message);
    });
    deepStrictEqual(await codex.servers(), [pid]);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  strictEqual((await codex.connected()).pid, pid);
});

Deno.test("stopIfOurs() leaves a server with a foreign thread, and stops it without", async () => {
  await using codex = await createCodexSandbox();
  const { pid } = await codex.connected();
  const options = { deps: codex.deps(), signal };
  await using connection = await joinServer(codex);
  const cwd = codex.sandbox.workspace;
  const [ours, theirs] = [await startThread(connection, { cwd }), await startThread(connection, { cwd })];
  deepStrictEqual(await stopIfOurs(options, new Set([ours])), { kind: "in_use", threads: [theirs] });
  deepStrictEqual(await codex.servers(), [pid]);
  await turnOf(connection, theirs, "SCRIPT:plain x");
  await connection.call("thread/archive", { threadId: theirs });
  deepStrictEqual(await stopIfOurs(options, new Set([ours])), { kind: "stopped" });
  deepStrictEqual(await codex.servers(), []);
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "not_ours" });
  strictEqual((await codex.connected()).origin, "started");
});

Deno.test("a server that a person has started is found, and not stopped", async () => {
  await using codex = await createCodexSandbox();
  await codex.serve();
  const found = await codex.connected();
  strictEqual(found.origin, "found");
  deepStrictEqual(await stopIfOurs({ deps: codex.deps(), signal }, NOBODY), { kind: "not_ours" });
  deepStrictEqual(await codex.servers(), [found.pid]);
});

Deno.test("0.4.4's server is taken while it lives; when it is dead, a new one is started", async () => {
  await using codex = await createCodexSandbox();
  const server = await codex.serve(["--listen", "ws://127.0.0.1:0"]);
  const url = /ws:\/\/127\.0\.0\.1:(\d+)/.exec(server.stdout + server.stderr)!;
  await Deno.mkdir(codex.state, { mode: 0o700 });
  const metadata = join(codex.state, "codex-appserver.json");
  const legacy = {
    version: 1,
    pid: server.pid,
    port: Number(url[1]),
    url: url[0],
    startedAt: "2026-01-01T00:00:00Z",
  };
  await Deno.writeTextFile(metadata, JSON.stringify(legacy));
  const found = await codex.connected();
  deepStrictEqual([found.origin, found.pid], ["found", server.pid]);
  deepStrictEqual(await codex.servers(), [server.pid]);
  deepStrictEqual(await stopIfOurs({ deps: codex.deps(), signal }, NOBODY), { kind: "not_ours" });
  deepStrictEqual(JSON.parse(await Deno.readTextFile(metadata)), legacy, "its record is left alone");

  // Another CODEX_HOME is none of its business.
  const other = await codex.sandbox.folder("other");
  const apart = await codex.connected({ env: { CODEX_HOME: other } });
  deepStrictEqual([apart.origin, apart.codexHome], ["started", other]);
  strictEqual((await codex.connected()).pid, server.pid);

  server.kill("SIGKILL");
  await server.done();
  const fresh = await codex.connected();
  strictEqual(fresh.origin, "started");
  deepStrictEqual((await codex.servers()).sort(), [apart.pid, fresh.pid].sort());
});

Deno.test("npm's wrapper on PATH is passed over for the program itself", async () => {
  await using codex = await createCodexSandbox();
  const scope = join(dirname(await ensureCodex()), "..", "..", "..", "..");
  const onPath = join(codex.sandbox.root, "bin", "codex");
  await Deno.remove(onPath);
  await Deno.symlink(join(scope, "codex", "bin", "codex.js"), onPath);
  const { pid } = await codex.connected();
  deepStrictEqual(await codex.servers(), [pid]);
  strictEqual(await Deno.readLink(`/proc/${pid}/exe`), await ensureCodex());
});

Deno.test("a thread without a name is there for the next connection, which can give it one", async () => {
  await using codex = await createCodexSandbox();
  await codex.connected();
  const first = await joinServer(codex);
  const threadId = await startThread(first, { cwd: codex.sandbox.workspace });
  await first.close();
  await using second = await joinServer(codex);
  strictEqual((await second.call("thread/read", { threadId })).thread.id, threadId);
  for (let time = 1; time <= 2; time++) await second.call("thread/name/set", { threadId, name: "dev-x" });
  await second.call("thread/resume", { threadId, excludeTurns: true });
  const { turn } = await turnOf(second, threadId, "SCRIPT:plain hello");
  deepStrictEqual([turn.status, replyOf(turn)], ["completed", "REPLY: hello"]);
});
