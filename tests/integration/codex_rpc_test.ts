/** The client against a stub app-server on real sockets: every answer finds its question, every loss is told. */

import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import type { Endpoint } from "../../backends/codex/endpoint.ts";
import { trustedSocket } from "../../backends/codex/endpoint.ts";
import { type Connection, type Incoming, type Listener, openConnection } from "../../backends/codex/rpc.ts";
import {
  ConnectionLost,
  type Loss,
  NoAnswer,
  RpcError,
  UnexpectedFrame,
} from "../../backends/codex/rpc_errors.ts";
import { controlSocket } from "../../lib/paths.ts";
import { realClock as clock } from "../../lib/real_deps.ts";
import { type CodexSandbox, createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { hearUntil, methodOf, replyOf, startThread, textInput } from "../support/codex_turns.ts";

function endpointOf(codex: CodexSandbox): Endpoint {
  const endpoint = trustedSocket(controlSocket(codex.codexHome), Deno.uid());
  ok(endpoint !== null);
  return endpoint;
}
const open = (codex: CodexSandbox) => openConnection(endpointOf(codex), { clock });
const start = (connection: Connection) => startThread(connection, { cwd: "/" });

/** What comes in until one of these notifications, that one included. */
function until(listener: Listener, method: string): Promise<Incoming[]> {
  return hearUntil(listener, (incoming) => methodOf(incoming) === method);
}
const lost = (loss: Loss, sent: boolean) => (error: unknown) => {
  ok(error instanceof ConnectionLost, String(error));
  deepStrictEqual({ loss: error.loss, sent: error.sent }, { loss, sent });
  return true;
};

Deno.test("a turn through the connection: answers, and what comes by itself in its order", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  strictEqual(connection.version, "0.169.0");
  strictEqual(connection.codexHome, codex.codexHome);
  using listener = connection.listen();
  const threadId = await start(connection);
  const { turn } = await connection.call("turn/start", { threadId, input: textInput("hello") });
  strictEqual(turn.status, "inProgress");
  const heard = await until(listener, "turn/completed");
  deepStrictEqual(heard.map(methodOf), [
    "thread/started",
    "thread/status/changed",
    "turn/started",
    "item/started",
    "item/completed",
    "item/started",
    "item/completed",
    "thread/status/changed",
    "turn/completed",
  ]);
  const { data } = await connection.call("thread/turns/list", { threadId });
  strictEqual(replyOf(data[0]), "REPLY: hello");
});

Deno.test("calls at the same time get each its own answer", async () => {
  await using codex = await createStubCodexSandbox("slow=5");
  await codex.serve();
  await using connection = await open(codex);
  const threads = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const { thread } = await connection.call("thread/start", { cwd: `/w${i}` });
      return [thread.cwd, thread.id] as const;
    }),
  );
  deepStrictEqual(threads.map(([cwd]) => cwd), Array.from({ length: 50 }, (_, i) => `/w${i}`));
  strictEqual(new Set(threads.map(([, id]) => id)).size, 50);
});

Deno.test("an answer of 300 KB comes whole", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  using listener = connection.listen();
  const threadId = await start(connection);
  await connection.call("turn/start", { threadId, input: textInput("STUB:long 300000") });
  const last = (await until(listener, "turn/completed")).at(-1);
  ok(last?.kind === "notification" && last.notification.method === "turn/completed");
  strictEqual(replyOf(last.notification.params.turn)?.length, 300_000);
});

Deno.test("the server's errors keep their words", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  const missing = crypto.randomUUID();
  await rejects(connection.call("thread/read", { threadId: missing }), (error) => {
    ok(error instanceof RpcError);
    deepStrictEqual([error.method, error.code, error.message], [
      "thread/read",
      -32600,
      `thread not loaded: ${missing}`,
    ]);
    return true;
  });
  deepStrictEqual((await connection.call("thread/loaded/list", {})).data, [], "it goes on after that");
});

Deno.test("a deadline ends one call and leaves the others alone", async () => {
  await using codex = await createStubCodexSandbox("slow=300");
  await codex.serve();
  await using connection = await open(codex);
  const slow = connection.call("thread/loaded/list", {});
  await rejects(connection.call("thread/start", { cwd: "/" }, { timeoutMs: 20 }), NoAnswer);
  deepStrictEqual((await slow).data, []);
  const abort = new AbortController();
  const aborted = connection.call("thread/loaded/list", {}, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await rejects(aborted, /enough/);
  await rejects(connection.call("thread/loaded/list", {}, { signal: abort.signal }), /enough/);
  strictEqual((await connection.call("thread/loaded/list", {})).data.length, 1, "it was done all the same");
});

Deno.test("a broken connection is told to everybody who waits, as what it is", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  using listener = connection.listen();
  const threadId = await start(connection);
  const ended = connection.ended;
  await connection.call("turn/start", { threadId, input: textInput("STUB:hold later") });
  const waiting = rejects(until(listener, "turn/completed"), lost("closed", true));
  await codex.control("stub/drop");
  await waiting;
  strictEqual((await ended)?.loss, "closed");
  await rejects(connection.call("thread/loaded/list", {}), lost("closed", false));
  throws(
    () => connection.answer("item/fileChange/requestApproval", 0, { decision: "accept" }),
    lost("closed", false),
  );
  using late = connection.listen();
  await rejects(late.next(), lost("closed", true));

  // The turn goes on, and another connection finds it.
  await using again = await open(codex);
  strictEqual((await again.call("thread/turns/list", { threadId })).data[0]?.status, "inProgress");
  using hears = again.listen();
  await again.call("thread/resume", { threadId, excludeTurns: true });
  await codex.control("stub/open", { gate: "later" });
  await until(hears, "turn/completed");
});

Deno.test("a server that is killed mid-turn is noticed at once, and its turn reads as interrupted", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  const threadId = await start(connection);
  await connection.call("turn/start", { threadId, input: textInput("STUB:hold later") });
  const [pid] = await codex.servers();
  Deno.kill(pid!, "SIGSTOP");
  const unanswered = rejects(connection.call("thread/loaded/list", {}), lost("closed", true));
  Deno.kill(pid!, "SIGKILL");
  await unanswered;
  strictEqual((await connection.ended)?.loss, "closed");
  await rejects(open(codex), lost("absent", false));
  await codex.serve();
  await using again = await open(codex);
  const { thread } = await again.call("thread/read", { threadId });
  deepStrictEqual(thread.status, { type: "notLoaded" });
  strictEqual((await again.call("thread/turns/list", { threadId })).data[0]?.status, "interrupted");
  await rejects(again.call("turn/start", { threadId, input: textInput("x") }), /thread not found/);
});

Deno.test("a pending approval comes again on resume and is answered by another connection", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using first = await open(codex);
  using asked = first.listen();
  const threadId = await start(first);
  await first.call("turn/start", { threadId, input: textInput("STUB:approve rm -r x") });
  const once = (await until(asked, "item/commandExecution/requestApproval")).at(-1);
  await using second = await open(codex);
  using askedAgain = second.listen();
  await second.call("thread/resume", { threadId, excludeTurns: true });
  const again = (await until(askedAgain, "item/commandExecution/requestApproval")).at(-1);
  deepStrictEqual(again, once);
  ok(again?.kind === "request" && again.request.method === "item/commandExecution/requestApproval");
  strictEqual(again.request.params.command, "rm -r x");
  await using third = await open(codex);
  third.answer("item/commandExecution/requestApproval", again.request.id, { decision: "decline" });
  deepStrictEqual((await until(asked, "serverRequest/resolved")).map(methodOf), ["serverRequest/resolved"]);
  const end = (await until(asked, "turn/completed")).at(-1);
  ok(end?.kind === "notification" && end.notification.method === "turn/completed");
  strictEqual(replyOf(end.notification.params.turn), "REPLY: decline");
});

Deno.test("close() ends listeners without an error, and may be repeated", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  const connection = await open(codex);
  const listener = connection.listen();
  const next = listener.next();
  const call = connection.call("thread/loaded/list", {}).catch((error) => error);
  await connection.close();
  deepStrictEqual(await next, { done: true, value: undefined });
  ok(!(await call instanceof Error) || await call instanceof ConnectionLost);
  strictEqual(await connection.ended, null);
  await connection.close();
  await rejects(connection.call("thread/loaded/list", {}), lost("closed", false));
  using late = connection.listen();
  deepStrictEqual(await late.next(), { done: true, value: undefined });
});

Deno.test("the stub can lag as the real server does: a turn that was started does not count as running yet", async () => {
  await using codex = await createStubCodexSandbox("lag=300");
  await codex.serve();
  await using connection = await open(codex);
  using listener = connection.listen();
  const threadId = await start(connection);
  const { turn } = await connection.call("turn/start", { threadId, input: textInput("STUB:hold never") });
  strictEqual(turn.status, "inProgress");
  deepStrictEqual((await connection.call("thread/read", { threadId })).thread.status, { type: "idle" });
  const interrupt = () => connection.call("turn/interrupt", { threadId, turnId: turn.id });
  await rejects(interrupt(), /no active turn to interrupt/);
  await until(listener, "turn/started");
  await interrupt();
  await until(listener, "turn/completed");
});

Deno.test("a listener that nobody reads any more hears nothing more", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  await using connection = await open(codex);
  const listener = connection.listen();
  listener[Symbol.dispose]();
  await start(connection);
  deepStrictEqual(await listener.next(), { done: true, value: undefined });
});

for (
  const [switches, loss, sent] of [
    ["silent", "timeout", true],
    ["garbled", "garbled", true],
  ] as const
) {
  Deno.test(`a server that is ${switches} is told as ${loss}`, async () => {
    await using codex = await createStubCodexSandbox(switches);
    await codex.serve();
    await rejects(openConnection(endpointOf(codex), { clock, timeoutMs: 300 }), lost(loss, sent));
  });
}

Deno.test("a server that refuses initialize, or answers it strangely, is told by its words", async () => {
  await using codex = await createStubCodexSandbox("refuse");
  const server = await codex.serve();
  await rejects(open(codex), (error) => error instanceof RpcError && error.message === "stub refuses");
  await server.end();
  await codex.serve(undefined, { env: { STUB_CODEX: "odd" } });
  await rejects(
    open(codex),
    (error) => error instanceof UnexpectedFrame && /initialize.*userAgent/.test(error.message),
  );
});

Deno.test("a frozen server costs the time limit and no more", async () => {
  await using codex = await createStubCodexSandbox();
  const server = await codex.serve();
  const connection = await open(codex);
  server.kill("SIGSTOP");
  try {
    await rejects(connection.call("thread/loaded/list", {}, { timeoutMs: 100 }), NoAnswer);
    await rejects(openConnection(endpointOf(codex), { clock, timeoutMs: 100 }), (error) => {
      return error instanceof ConnectionLost && error.loss === "timeout";
    });
    await connection.close();
    const abort = new AbortController();
    const opening = openConnection(endpointOf(codex), { clock, timeoutMs: 60_000, signal: abort.signal });
    abort.abort(new Error("enough"));
    await rejects(opening, /enough/);
  } finally {
    server.kill("SIGCONT");
  }
  await using again = await open(codex);
  deepStrictEqual((await again.call("thread/loaded/list", {})).data, []);
});

Deno.test("nobody there: told as absent, whatever is missing", async () => {
  await using codex = await createStubCodexSandbox();
  const server = await codex.serve();
  const endpoint = endpointOf(codex);
  server.kill("SIGKILL");
  await server.done();
  await rejects(openConnection(endpoint, { clock }), lost("absent", false));
  const missing: Endpoint = { kind: "unix", path: join(codex.sandbox.root, "none.sock") };
  await rejects(openConnection(missing, { clock }), lost("absent", false));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const free: Endpoint = { kind: "ws", url: `ws://127.0.0.1:${port}/`, token: null };
  await rejects(openConnection(free, { clock }), lost("absent", false));
});

Deno.test("a server on a port takes the token from the header, and refuses another", async () => {
  await using codex = await createStubCodexSandbox();
  const file = join(codex.sandbox.root, "token");
  await Deno.writeTextFile(file, "s3cret\n", { mode: 0o600 });
  const server = await codex.serve(["--listen", "ws://127.0.0.1:0", "--ws-token-file", file]);
  const url = /ws:\/\/\S+/.exec(server.stdout)![0] + "/";
  await using connection = await openConnection({ kind: "ws", url, token: "s3cret" }, { clock });
  deepStrictEqual((await connection.call("thread/loaded/list", {})).data, []);
  for (const token of [null, "other"]) {
    await rejects(openConnection({ kind: "ws", url, token }, { clock }), lost("rejected", false));
  }
});
