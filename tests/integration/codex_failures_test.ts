/** What breaks between a command and the Codex server: nothing is lost, nothing is sent twice, nothing is guessed. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession, crash, stubThreads } from "../support/codex_session.ts";
import { eventually } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { parseOutput } from "../support/stub_session.ts";

Deno.test("a wait outlives a dropped connection", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:hold one");
  const waiting = session.start("wait");
  await codex.control("stub/drop");
  strictEqual(await session.said("status"), "working");
  await session.open("one");
  strictEqual((await waiting.done()).stdout, "completed\n");
});

Deno.test("a receipt is found in the record when its answer is lost", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  // Breaks all connections as soon as the turn begins.
  const sent = await session.send("STUB:drop one");
  strictEqual(sent.json.result, "submitted");
  await session.open("one");
  strictEqual(await session.said("wait"), "completed");
  deepStrictEqual(await session.prompts(), ["STUB:drop one"]);
});

Deno.test("a server that dies in a turn is noticed by the wait and by the next command; the session goes on", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:hold one");
  const waiting = session.start("wait", "--json");
  await session.becomes("working");
  await crash(codex);
  const { code, json } = parseOutput(await waiting.done());
  deepStrictEqual([code, json.outcome], [6, "failed"]);
  match(json.error, /app-server ended before the turn was over/);
  deepStrictEqual((await session.json("status")).json.lastTurn.kind, "failed");

  await session.send("STUB:hold two");
  await crash(codex);
  // Asks only servers that run.
  const listed = parseOutput(await codex.sandbox.run(["list", "--json"]));
  deepStrictEqual(listed.json.map(({ state }: { state: string }) => state), ["idle"]);
  deepStrictEqual(await codex.servers(), []);
  strictEqual((await session.run("wait")).code, 6);
  await session.send("after");
  strictEqual(await session.said("wait"), "completed");
  deepStrictEqual(await session.prompts(), ["STUB:hold one", "STUB:hold two", "after"]);
});

Deno.test("a server that dies while it takes a message leaves it unproven, never sent again", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  const sent = await session.json("send", "STUB:exit");
  ok([0, 9].includes(sent.code), sent.stderr);
  const prompts = await session.prompts();
  ok(prompts.filter((text) => text === "STUB:exit").length <= 1);
  strictEqual(sent.code === 0, prompts.includes("STUB:exit"));
});

Deno.test("a frozen server is unknown, and nothing is changed for it", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  const [pid = 0] = await codex.servers();
  signal(pid, "SIGSTOP");
  try {
    const { json } = await session.json("status");
    strictEqual(json.state, "unknown");
    const waited = await session.json("wait", "--timeout", "2");
    deepStrictEqual([waited.code, waited.json.outcome], [124, "timed_out"]);
    const sent = await session.run("send", "hello");
    ok(sent.code !== 0);
    match(sent.stderr, /Cannot reach the Codex server/);
  } finally {
    signal(pid, "SIGCONT");
  }
  await session.becomes("idle");
  deepStrictEqual(await session.prompts(), []);
});

Deno.test("the same key sends once, also where the first sender was killed", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  const first = await session.send("once", "--key", "k1");
  const again = await session.send("once", "--key", "k1");
  deepStrictEqual([again.json.repeated, again.json.receipt], [true, first.json.receipt]);
  await session.run("wait");

  const killed = session.start("send", "STUB:hold one", "--key", "k2");
  await eventually(async () => (await session.prompts()).includes("STUB:hold one"), { what: "the message" });
  killed.kill("SIGKILL");
  await killed.done();
  const repeated = await session.send("STUB:hold one", "--key", "k2");
  strictEqual(repeated.json.result, "submitted");
  await session.open("one");
  strictEqual(await session.said("wait"), "completed");
  deepStrictEqual(await session.prompts(), ["once", "STUB:hold one"]);
});

for (const lost of ["thread/name/set", "thread/start"]) {
  Deno.test(`a create whose connection breaks in ${lost} leaves one thread with a name, and takes that one`, async () => {
    await using codex = await createStubCodexSandbox(`lose=${lost}`);
    const session = await CodexSession.create(codex);
    const threads = await stubThreads(codex);
    deepStrictEqual(
      threads.filter(({ name }) => name !== null).map(({ id, name }) => [id, name]),
      [[session.threadId, `dev-${session.id}`]],
    );
    // One that has no name ends with its server, or a minute later.
    strictEqual(threads.length, lost === "thread/start" ? 2 : 1);
    await session.send("hello");
    strictEqual(await session.said("wait"), "completed");
    deepStrictEqual(await session.prompts(), ["hello"]);
  });
}

Deno.test("what a killed create leaves is archived by the next command", async () => {
  await using codex = await createStubCodexSandbox("slow=400");
  const creating = codex.sandbox.start(["create", "--cli", "codex", "-q"]);
  // Its thread is there; its name, and the registry's word, are not yet.
  await eventually(async () => (await stubThreads(codex)).length === 1, { what: "the thread" });
  creating.kill("SIGKILL");
  await creating.done();
  const { code, stdout } = await codex.sandbox.run(["list", "--all", "--json"]);
  deepStrictEqual([code, stdout.trim()], [0, "[]"]);
  const threads = await stubThreads(codex);
  ok(threads.every(({ archived, name }) => archived || name === null), JSON.stringify(threads));
});

Deno.test("a turn that does not get on is told as such, also by commands that come later", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:hold one");
  await session.send("STUB:retry two");
  const waiting = session.start("wait", "--timeout", "60");
  await session.becomes("working");
  await session.open("one");
  await eventually(async () => (await session.json("status")).json.retrying !== undefined, {
    what: "the retries in status --json",
  });
  const late = await session.run("wait", "--timeout", "1");
  strictEqual(late.code, 124);
  const { json } = await session.json("status", "--explain");
  strictEqual(json.state, "working");
  match(json.retrying.message, /serverOverloaded/);
  await session.open("two");
  strictEqual((await waiting.done()).stdout, "completed\n");
  strictEqual((await session.json("status")).json.retrying, undefined);
});

Deno.test("a failed turn has the agent's error", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:fail usageLimitExceeded");
  const waited = await session.json("wait");
  deepStrictEqual([waited.code, waited.json.outcome], [6, "failed"]);
  match(waited.json.error, /usageLimitExceeded/);
  const { json } = await session.json("status");
  deepStrictEqual([json.state, json.lastError], ["idle", waited.json.error]);
});

Deno.test("idle comes before a turn's end: no wait and no status takes it for the end", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:flicker one");
  const waiting = session.start("wait");
  await session.open("one");
  strictEqual((await waiting.done()).stdout, "completed\n");
});
