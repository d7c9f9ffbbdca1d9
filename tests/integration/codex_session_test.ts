/** A Codex session through the CLI: from its creation to its end, with a stub for the app-server. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession, stubThreads } from "../support/codex_session.ts";
import { eventually } from "../support/harness.ts";
import { parseOutput } from "../support/stub_session.ts";

Deno.test("create, send, wait, read, kill", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex, ["-d", "a task"]);
  const { name, approvalPolicy, sandbox, turns } = await session.thread();
  deepStrictEqual([name, approvalPolicy, sandbox, turns], [
    `dev-${session.id}`,
    "never",
    { type: "dangerFullAccess" },
    [],
  ]);
  strictEqual(await session.said("status"), "idle");
  strictEqual(await session.said("wait"), "idle");

  const sent = await session.send("hello");
  match(sent.json.receipt, /^r-[0-9a-f]{16}$/);
  strictEqual(sent.json.result, "submitted");
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("last-message"), "REPLY: hello");
  strictEqual(await session.said("logs"), "[HUMAN]\nhello\n\n[ASSISTANT]\nREPLY: hello");
  const [item] = (await session.thread()).turns[0]?.items ?? [];
  strictEqual(item?.clientId, sent.json.receipt);

  const listed = parseOutput(await codex.sandbox.run(["list", "--json"]));
  deepStrictEqual(
    listed.json.map((one: { id: string; cli: string; state: string }) => [one.cli, one.state]),
    [
      ["codex", "idle"],
    ],
  );
  strictEqual((await session.run("kill")).code, 0);
  strictEqual((await session.thread()).archived, true);
  await eventually(async () => (await codex.servers()).length === 0, {
    what: "the server that we started to end with its last session",
  });
  deepStrictEqual(parseOutput(await codex.sandbox.run(["list", "--json"])).json, []);
  strictEqual((await session.json("status")).json.state, "gone");
  // Its conversation can still be read.
  strictEqual(await session.said("last-message"), "REPLY: hello");
});

Deno.test("the server stays while another session lives, and while somebody else's thread is loaded", async () => {
  await using codex = await createStubCodexSandbox();
  const first = await CodexSession.create(codex);
  const second = await CodexSession.create(codex);
  strictEqual((await first.run("kill")).code, 0);
  strictEqual((await codex.servers()).length, 1);
  const { connectServer } = await import("../../backends/codex/server.ts");
  const signal = new AbortController().signal;
  await using person = (await connectServer({ deps: codex.deps(), signal })).connection;
  await person.call("thread/start", { cwd: codex.sandbox.workspace });
  strictEqual((await second.run("kill")).code, 0);
  strictEqual((await codex.servers()).length, 1);
});

Deno.test("eight creates at the same time share one server", async () => {
  await using codex = await createStubCodexSandbox();
  const sessions = await Promise.all(Array.from({ length: 8 }, () => CodexSession.create(codex)));
  strictEqual((await codex.servers()).length, 1);
  strictEqual(new Set(sessions.map(({ threadId }) => threadId)).size, 8);
  strictEqual((await stubThreads(codex)).length, 8);
  const killed = await codex.sandbox.run(["kill", ...sessions.map(({ id }) => id)]);
  strictEqual(killed.code, 0, killed.stderr);
  ok((await stubThreads(codex)).every(({ archived }) => archived));
});

Deno.test("modes and sandboxes", async () => {
  await using codex = await createStubCodexSandbox();
  const settings = async (...args: string[]) => {
    const { approvalPolicy, sandbox } = await (await CodexSession.create(codex, args)).thread();
    return [approvalPolicy, sandbox.type];
  };
  deepStrictEqual(await settings("-m", "native"), ["on-request", "workspaceWrite"]);
  deepStrictEqual(await settings("--sandbox", "workspace"), ["never", "workspaceWrite"]);
  deepStrictEqual(await settings("--sandbox", "full"), ["never", "dangerFullAccess"]);
  deepStrictEqual(await settings("-m", "native", "--sandbox", "read-only"), ["on-request", "readOnly"]);
  const refused = async (...args: string[]) => {
    const { code, stderr, stdout } = await codex.sandbox.run(["create", ...args]);
    deepStrictEqual([code, stdout], [2, ""]);
    return stderr;
  };
  match(
    await refused("--cli", "codex", "-m", "native", "--sandbox", "full"),
    /nothing would be left to ask for/,
  );
  match(await refused("--cli", "codex", "--agent-arg", "--add-dir"), /Cannot give "--add-dir" to Codex/);
  match(await refused("--sandbox", "full"), /Cannot create a Claude session with --sandbox/);
});

Deno.test("a queue of three, a message into the running turn, and what stands behind an interrupt", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("STUB:hold one");
  strictEqual(await session.said("status"), "working");
  const [second, third] = [await session.send("second"), await session.send("third")];
  deepStrictEqual([second.json.result, third.json.result], ["queued", "queued"]);
  strictEqual((await session.send("--steer", "into it")).json.result, "queued");
  const waiting = session.start("wait", "--message", third.json.receipt);
  await session.open("one");
  strictEqual((await waiting.done()).stdout, "completed\n");
  deepStrictEqual(await session.prompts(), ["STUB:hold one", "into it", "second", "third"]);

  await session.send("STUB:hold two");
  const behind = await session.send("behind");
  const stopped = await session.json("interrupt");
  strictEqual(stopped.code, 0, stopped.stderr);
  deepStrictEqual(
    [stopped.json.result, stopped.json.stopped, stopped.json.queued],
    ["interrupted", ["STUB:hold two"], ["behind"]],
  );
  strictEqual(await session.said("wait", "--message", behind.json.receipt), "completed");

  await session.send("STUB:hold three");
  await session.send("taken back");
  const all = await session.json("interrupt", "--all-queued");
  deepStrictEqual([all.json.result, all.json.stopped, all.json.queued], [
    "interrupted",
    ["STUB:hold three"],
    [],
  ]);
  strictEqual((await session.json("interrupt")).json.result, "not_running");

  await session.send("STUB:hold four");
  const urgent = await session.send("urgent", "--interrupt");
  strictEqual(urgent.json.result, "submitted");
  strictEqual(await session.said("wait"), "completed");
  strictEqual((await session.prompts()).at(-1), "urgent");
  ok(!(await session.prompts()).includes("taken back"));
});

for (const how of ["unloaded", "closing"]) {
  Deno.test(`a thread whose minute is over as a command comes (${how}) keeps its settings`, async () => {
    await using codex = await createStubCodexSandbox();
    const session = await CodexSession.create(codex);
    const { config } = await session.thread();
    strictEqual(config?.["shell_environment_policy.set.DEV_SESSIONS_ID"], session.id);
    await codex.control("stub/unload", { thread: session.threadId, how });
    strictEqual((await session.send("hello")).json.result, "submitted");
    strictEqual(await session.said("wait"), "completed");
    deepStrictEqual((await session.thread()).config, config);
    deepStrictEqual(await session.prompts(), ["hello"]);
  });
}

Deno.test("a request is answered by another command, and nothing is sent meanwhile", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex, ["-m", "native"]);
  await session.send("STUB:approve rm -rf dist");
  const waited = await session.json("wait");
  strictEqual(waited.code, 5);
  const { pending } = (await session.json("status")).json;
  deepStrictEqual([pending.kind, pending.summary, pending.options], [
    "permission",
    "shell: rm -rf dist",
    ["approve", "always", "deny"],
  ]);
  strictEqual((await session.run("send", "meanwhile")).code, 5);
  const listed = parseOutput(await codex.sandbox.run(["list", "--json"]));
  strictEqual(listed.json[0].state, "waiting_for_input");
  const answered = await session.json("respond", "--approve", "--request", pending.requestId);
  strictEqual(answered.code, 0, answered.stderr);
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("last-message"), "REPLY: accept");
  strictEqual((await session.run("respond", "--approve")).code, 1);
  deepStrictEqual(await session.prompts(), ["STUB:approve rm -rf dist"]);

  await session.send("STUB:approve again");
  await session.becomes("waiting_for_input");
  strictEqual((await session.json("interrupt")).json.result, "interrupted");
  strictEqual((await session.run("wait")).code, 6);
});

Deno.test("an ended session lives again with its conversation and its settings", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex, ["-m", "native", "--sandbox", "read-only"]);
  await session.send("before");
  await session.run("wait");
  await session.run("kill");
  strictEqual((await session.run("send", "too late")).code, 7);
  const resumed = await session.run("resume");
  strictEqual(resumed.code, 0, resumed.stderr);
  strictEqual((await session.thread()).archived, false);
  strictEqual(await session.said("status"), "idle");
  await session.send("after");
  strictEqual(await session.said("wait"), "completed");
  deepStrictEqual(await session.prompts(), ["before", "after"]);
  strictEqual((await session.thread()).sandbox.type, "readOnly");
});

Deno.test("a session whose thread was archived elsewhere is gone, and says why", async () => {
  await using codex = await createStubCodexSandbox();
  const session = await CodexSession.create(codex);
  const { connectServer } = await import("../../backends/codex/server.ts");
  const signal = new AbortController().signal;
  await using person = (await connectServer({ deps: codex.deps(), signal })).connection;
  await person.call("thread/archive", { threadId: session.threadId });
  deepStrictEqual(parseOutput(await codex.sandbox.run(["list", "--json"])).json, []);
  const { json } = await session.json("status");
  deepStrictEqual([json.state, json.reason], ["gone", "its thread was archived"]);
  strictEqual((await session.run("send", "hello")).code, 7);
});
