/** Where a Codex session's server is: the user's own, one of an earlier version, another CODEX_HOME. And what follows it. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { connectServer } from "../../backends/codex/server.ts";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession, stubThreads } from "../support/codex_session.ts";
import { eventually } from "../support/harness.ts";
import { sql } from "../support/sandbox_state.ts";
import { parseOutput } from "../support/stub_session.ts";

Deno.test("a session stays with the user's own server, whatever later commands' environment says", async () => {
  await using codex = await createStubCodexSandbox();
  const token = join(codex.sandbox.root, "token");
  await Deno.writeTextFile(token, "secret-of-the-user", { mode: 0o600 });
  const own = await codex.serve(["--listen", "ws://127.0.0.1:0", "--ws-token-file", token]);
  const url = /ws:\/\/127\.0\.0\.1:\d+/.exec(own.stdout)?.[0] ?? "";
  const session = await CodexSession.create(codex, [], {
    env: { DEV_SESSIONS_CODEX_URL: url, DEV_SESSIONS_CODEX_TOKEN_FILE: token },
  });
  await session.send("hello");
  strictEqual(await session.said("wait"), "completed");
  const inspected = (await session.run("inspect")).stdout;
  match(inspected, new RegExp(url));
  ok(!inspected.includes("secret-of-the-user"));
  // None was started beside it, and it is not ours to stop.
  strictEqual((await codex.servers()).length, 1);
  strictEqual((await session.run("kill")).code, 0);
  strictEqual((await codex.servers()).length, 1);
});

Deno.test("a session stays with its CODEX_HOME", async () => {
  await using codex = await createStubCodexSandbox();
  const other = await codex.sandbox.folder("other");
  const session = await CodexSession.create(codex, [], { env: { CODEX_HOME: other } });
  await session.send("hello");
  strictEqual(await session.said("wait"), "completed");
  deepStrictEqual(await stubThreads(codex), [], "nothing in the usual folder");
  strictEqual((await session.run("kill")).code, 0);
  await eventually(async () => (await codex.servers()).length === 0, { what: "the server's end" });
});

Deno.test("a session of 0.4.4 is taken over with its thread", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  const signal = new AbortController().signal;
  const { connection } = await connectServer({ deps: codex.deps(), signal });
  const { thread } = await connection.call("thread/start", { cwd: codex.sandbox.workspace });
  await connection.close();
  await Deno.mkdir(codex.state, { recursive: true, mode: 0o700 });
  const record = (championId: string, internalId: string) => ({
    championId,
    internalId,
    cli: "codex",
    mode: "native",
    path: codex.sandbox.workspace,
    status: "active",
    createdAt: "2026-01-01T00:00:00.000Z",
    lastUsed: "2026-01-01T00:00:00.000Z",
  });
  const sessions = [
    record("fizz-top", thread.id),
    record("riven-jg", "01a201d3-1378-7b20-bad0-0dbdf2234bb5"),
  ];
  await Deno.writeTextFile(join(codex.state, "sessions.json"), JSON.stringify({ sessions }));
  const { json } = parseOutput(await codex.sandbox.run(["list", "--json"]));
  deepStrictEqual(
    json.map(({ id, state }: { id: string; state: string }) => [id, state]).sort(),
    [["fizz-top", "idle"], ["riven-jg", "unknown"]],
  );
  strictEqual((await codex.sandbox.run(["send", "fizz-top", "hello"])).code, 0);
  strictEqual((await codex.sandbox.run(["wait", "fizz-top"])).stdout, "completed\n");
  strictEqual((await codex.sandbox.run(["last-message", "fizz-top"])).stdout, "REPLY: hello\n");
  strictEqual((await codex.sandbox.run(["kill", "fizz-top", "riven-jg"])).code, 0);
  ok((await stubThreads(codex)).every(({ archived }) => archived));
  strictEqual((await codex.servers()).length, 1, "somebody else has started it");
});

Deno.test("without Codex, create says how to get it, and leaves nothing", async () => {
  await using codex = await createStubCodexSandbox();
  await Deno.remove(join(codex.sandbox.root, "bin", "codex"));
  const env = { PATH: join(codex.sandbox.root, "bin") + ":/usr/bin:/bin" };
  const { code, stderr } = await codex.sandbox.run(["create", "--cli", "codex"], { env });
  strictEqual(code, 1);
  match(stderr, /"codex" was not found on PATH\. Install it with: npm install -g @openai\/codex/);
  deepStrictEqual(parseOutput(await codex.sandbox.run(["list", "--all", "--json"])).json, []);
});

Deno.test("logs and events follow a session to its end", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("first");
  const [logs, events] = [session.start("logs", "--follow"), session.start("events", "--follow")];
  await eventually(() => logs.stdout.includes("REPLY: first") && events.stdout.includes("turn_completed"), {
    what: "what was there",
  });
  await session.send("second");
  await eventually(() => logs.stdout.includes("REPLY: second"), { what: "the new turn in the log" });
  await session.run("wait");
  await session.run("kill");
  await logs.doneWithin(20_000, "logs --follow");
  const ended = await events.doneWithin(20_000, "events --follow");
  const types = ended.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
  deepStrictEqual(types, [
    "session_created",
    "turn_started",
    "message",
    "turn_completed",
    "turn_started",
    "message",
    "turn_completed",
    "session_ended",
  ]);
});

Deno.test("endIdleAfter ends a thread that rests and is not loaded; one that somebody has loaded stays", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("hello");
  await session.run("wait");
  await Deno.writeTextFile(join(codex.state, "config.json"), JSON.stringify({ endIdleAfter: "2h" }));
  const at = new Date(Date.now() - 3 * 3_600_000).toISOString();
  const look = async () => {
    sql(codex.sandbox, "UPDATE sessions SET last_used_at = ?", at);
    sql(codex.sandbox, "DELETE FROM meta WHERE key = 'last_idle_check'");
    return parseOutput(await codex.sandbox.run(["list", "--json"])).json.length;
  };
  strictEqual(await look(), 1);
  const { crash } = await import("../support/codex_session.ts");
  await crash(codex);
  // As old as the registry says.
  const file = join(codex.codexHome, "stub-threads.json");
  const threads = JSON.parse(await Deno.readTextFile(file));
  await Deno.writeTextFile(
    file,
    JSON.stringify(threads.map((one: object) => ({ ...one, createdAt: Math.floor(Date.parse(at) / 1000) }))),
  );
  strictEqual(await session.said("last-message"), "REPLY: hello");
  strictEqual(await look(), 0);
  strictEqual((await session.thread()).archived, true);
});
