/** The real Codex through the CLI, from a session's creation to its end. */

import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { connectServer } from "../../backends/codex/server.ts";
import { type CodexSandbox, createCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession, crash } from "../support/codex_session.ts";
import { passModelOffer } from "../support/codex_terminal.ts";
import { turnOf } from "../support/codex_turns.ts";
import { cliCommand, eventually } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";
import { parseOutput } from "../support/stub_session.ts";

async function connected(codex: CodexSandbox) {
  return (await connectServer({ deps: codex.deps(), signal: new AbortController().signal })).connection;
}

Deno.test("yolo: create, send, wait, read, kill", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  strictEqual(await session.said("status"), "idle");
  strictEqual(await session.said("wait"), "idle");
  const sent = await session.send("hello");
  strictEqual(sent.json.result, "submitted");
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("last-message"), "REPLY: hello");
  // Nothing is asked, and the agent knows which session it is.
  const file = join(codex.sandbox.home, "outside.txt");
  await session.send(`SCRIPT:shell env | grep ^DEV_SESSIONS_ | sort > ${file}`);
  strictEqual(await session.said("wait"), "completed");
  strictEqual(
    await Deno.readTextFile(file),
    `DEV_SESSIONS_ID=${session.id}\nDEV_SESSIONS_SANDBOX=0\n`,
  );
  const { json: [usage] } = parseOutput(await codex.sandbox.run(["usage", session.id, "--json"]));
  ok(usage.usage.total > 0, JSON.stringify(usage));
  const events = (await codex.sandbox.run(["events", session.id])).stdout.trim().split("\n").map((line) =>
    JSON.parse(line).type
  );
  deepStrictEqual(events.slice(0, 4), ["session_created", "turn_started", "message", "turn_completed"]);
  strictEqual((await session.run("kill")).code, 0);
  await eventually(async () => (await codex.servers()).length === 0, { what: "the server's end" });
  strictEqual((await session.json("status")).json.state, "gone");
  match(await session.said("logs"), /\[HUMAN\]\nhello\n\n\[ASSISTANT\]\nREPLY: hello/);
  deepStrictEqual(await codex.servers(), [], "reading an ended session leaves no server");
});

Deno.test("native: requests are answered by another process", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex, ["-m", "native"]);
  const file = join(codex.sandbox.home, "escaped.txt");
  await session.send(`SCRIPT:escalate touch ${file}`);
  strictEqual((await session.run("wait")).code, 5);
  strictEqual((await session.run("send", "meanwhile")).code, 5);
  strictEqual((await session.json("respond", "--approve")).code, 0);
  strictEqual(await session.said("wait"), "completed");
  strictEqual((await Deno.stat(file)).isFile, true);

  await session.send("SCRIPT:escalate echo no");
  strictEqual((await session.run("wait")).code, 5);
  strictEqual((await session.json("respond", "--deny", "--message", "use the other one")).code, 0);
  strictEqual(await session.said("wait"), "completed");
  strictEqual(codex.model!.prompts(session.threadId).at(-1), "use the other one");

  // Without an escalation, the sandbox holds.
  const outside = await Deno.makeTempDir({ dir: "/var/tmp" });
  await session.send(`SCRIPT:shell touch inside.txt; touch ${outside}/not.txt`);
  strictEqual(await session.said("wait"), "completed");
  strictEqual((await Deno.stat(join(codex.sandbox.workspace, "inside.txt"))).isFile, true);
  deepStrictEqual([...Deno.readDirSync(outside)], []);
  await Deno.remove(outside);

  const reader = await CodexSession.create(codex, ["-m", "native", "--sandbox", "read-only"]);
  await reader.send("SCRIPT:patch new.txt some words");
  strictEqual((await reader.run("wait")).code, 5);
  const { pending } = (await reader.json("status")).json;
  match(pending.detail, /add .*new\.txt\nsome words/);
  strictEqual((await reader.json("respond", "--approve")).code, 0);
  strictEqual(await reader.said("wait"), "completed");
  strictEqual(await Deno.readTextFile(join(codex.sandbox.workspace, "new.txt")), "some words\n");
});

Deno.test("a queue of three, a message into the running turn, and an interrupt with what it stopped", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  await session.send("SCRIPT:gate one");
  await codex.model!.reached("one");
  const queued = [await session.send("first"), await session.send("second"), await session.send("third")];
  deepStrictEqual(queued.map(({ json }) => json.result), ["queued", "queued", "queued"]);
  strictEqual((await session.send("--steer", "SCRIPT:plain into it")).json.result, "queued");
  const waiting = session.start("wait", "--message", queued[2]!.json.receipt);
  codex.model!.open("one");
  strictEqual((await waiting.done()).stdout, "completed\n");
  deepStrictEqual(codex.model!.prompts(session.threadId), [
    "SCRIPT:gate one",
    "SCRIPT:plain into it",
    "first",
    "second",
    "third",
  ]);

  const pidFile = join(codex.sandbox.home, "pid");
  await session.send(`SCRIPT:shell echo $$ > ${pidFile}; exec sleep 300`);
  const pid = await eventually(async () => Number(await Deno.readTextFile(pidFile).catch(() => "")), {
    what: "the command",
  });
  const behind = await session.send("behind");
  const stopped = await session.json("interrupt");
  deepStrictEqual([stopped.code, stopped.json.result, stopped.json.queued], [0, "interrupted", ["behind"]]);
  strictEqual(await session.said("wait", "--message", behind.json.receipt), "completed");
  await eventually(async () => !await isRunning(pid), { what: "the end of the command" });
  strictEqual((await session.json("interrupt")).json.result, "not_running");

  await session.send("SCRIPT:hang");
  const urgent = await session.send("urgent", "--interrupt");
  strictEqual(urgent.json.result, "submitted");
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("last-message"), "REPLY: urgent");
});

Deno.test("a thread at rest is not loaded anew: what its agent runs in the background goes on", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  await using connection = await connected(codex);
  using listener = connection.listen();
  const pidFile = join(codex.sandbox.home, "pid");
  const job = { cmd: `echo $$ > ${pidFile}; exec sleep 300`, yield_time_ms: 250 };
  await session.send(`SCRIPT:tool exec_command ${JSON.stringify(job)}`);
  strictEqual(await session.said("wait"), "completed");
  const pid = Number(await Deno.readTextFile(pidFile));
  await session.send("hello");
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("ask", "and again"), "REPLY: and again");
  strictEqual(await session.said("status"), "idle");
  strictEqual(await isRunning(pid), true);
  const last = await connection.call("thread/read", { threadId: session.threadId });
  strictEqual(last.thread.status.type, "idle");
  await connection.close();
  for await (const incoming of listener) {
    if (incoming.kind !== "notification" || incoming.notification.method !== "thread/status/changed") {
      continue;
    }
    notStrictEqual(incoming.notification.params.status.type, "notLoaded");
  }
});

Deno.test("a server that dies in a turn, and one that dies before the first", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex, ["--sandbox", "workspace"]);
  await crash(codex);
  await session.send("survives");
  strictEqual(await session.said("wait"), "completed");
  {
    await using connection = await connected(codex);
    const opened = await connection.call("thread/resume", { threadId: session.threadId, excludeTurns: true });
    deepStrictEqual([opened.approvalPolicy, opened.sandbox.type], ["never", "workspaceWrite"]);
  }

  await session.send("SCRIPT:gate one");
  await codex.model!.reached("one");
  const waiting = session.start("wait", "--json");
  await session.becomes("working");
  await crash(codex);
  const { code, json } = parseOutput(await waiting.done());
  deepStrictEqual([code, json.outcome], [6, "failed"]);
  const { json: status } = await session.json("status");
  deepStrictEqual([status.state, status.lastTurn.kind], ["idle", "failed"]);

  await session.send("SCRIPT:gate two");
  await codex.model!.reached("two");
  await crash(codex);
  const { json: listed } = parseOutput(await codex.sandbox.run(["list", "--json"]));
  deepStrictEqual(listed.map(({ state }: { state: string }) => state), ["idle"]);
  strictEqual((await session.run("wait")).code, 6);
  await session.send("after");
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await session.said("last-message"), "REPLY: after");
});

Deno.test("concurrent cold creates, and parallel sends to all of them", async () => {
  await using codex = await createCodexSandbox();
  const sessions = await Promise.all(Array.from({ length: 6 }, () => CodexSession.create(codex)));
  strictEqual((await codex.servers()).length, 1);
  await Promise.all(sessions.map((session, index) => session.send(`task ${index}`)));
  const waited = await codex.sandbox.run(["wait", ...sessions.map(({ id }) => id)]);
  strictEqual(waited.code, 0, waited.stdout);
  for (const [index, session] of sessions.entries()) {
    deepStrictEqual(codex.model!.prompts(session.threadId), [`task ${index}`]);
  }
  strictEqual((await codex.sandbox.run(["kill", "--all"])).code, 0);
  await eventually(async () => (await codex.servers()).length === 0, { what: "the server's end" });
});

Deno.test("resume: the conversation and the settings of before", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex, ["-m", "native"]);
  await session.send("before");
  await session.run("wait");
  await session.run("kill");
  strictEqual((await session.run("send", "too late")).code, 7);
  const resumed = await session.run("resume");
  strictEqual(resumed.code, 0, resumed.stderr);
  {
    await using connection = await connected(codex);
    const opened = await connection.call("thread/resume", { threadId: session.threadId, excludeTurns: true });
    deepStrictEqual([opened.approvalPolicy, opened.sandbox.type], ["on-request", "workspaceWrite"]);
  }
  const asked = await session.run("ask", "after");
  deepStrictEqual([asked.code, asked.stdout], [0, "REPLY: after\n"]);
  deepStrictEqual(codex.model!.prompts(session.threadId), ["before", "after"]);
  // One that was never given a task, too.
  const fresh = await CodexSession.create(codex);
  await fresh.run("kill");
  strictEqual((await fresh.run("resume")).code, 0);
  strictEqual(await fresh.said("ask", "the first"), "REPLY: the first");
});

Deno.test("failures of the model, and a provider that can't be reached", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  for (
    const [script, words] of [["err400", /./], ["usagelimit", /usage limit/], [
      "context",
      /context window/,
    ]] as const
  ) {
    await session.send(`SCRIPT:${script}`);
    const waited = await session.json("wait");
    deepStrictEqual([script, waited.code, waited.json.outcome], [script, 6, "failed"]);
    match(waited.json.error, words);
    strictEqual((await session.json("status")).json.lastError, waited.json.error);
  }
  const away = await CodexSession.create(codex, [
    "--agent-arg",
    "model_providers.scripted.base_url=http://127.0.0.1:9/v1",
  ]);
  await away.send("hello");
  const waiting = away.start("wait", "--timeout", "30");
  const { json } = await eventually(async () => {
    const status = await away.json("status");
    return status.json.retrying === undefined ? null : status;
  }, { what: "the retries in status --json", timeoutMs: 25_000 });
  strictEqual(json.state, "working");
  match(json.retrying.message, /Reconnecting/);
  waiting.kill("SIGINT");
  strictEqual((await waiting.done()).code, 130);
  strictEqual((await away.run("wait", "--timeout", "1")).code, 124);
  strictEqual((await away.json("interrupt")).json.result, "interrupted");
});

Deno.test("a long reply, and a thread of 200 turns", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  const first = await session.send("SCRIPT:long 200000");
  strictEqual(await session.said("wait"), "completed");
  strictEqual((await session.said("last-message")).length, "REPLY: ".length + 200_000);
  {
    await using connection = await connected(codex);
    await connection.call("thread/resume", { threadId: session.threadId, excludeTurns: true });
    for (let turn = 1; turn <= 200; turn++) await turnOf(connection, session.threadId, `turn ${turn}`);
  }
  strictEqual(await session.said("wait", "--message", first.json.receipt), "completed");
  strictEqual(await session.said("last-message", "-n", "2"), "REPLY: turn 199\n\nREPLY: turn 200");
  const { json } = await session.json("logs");
  strictEqual(json.length, 402);
  const sent = await session.send("one more");
  strictEqual(await session.said("wait", "--message", sent.json.receipt), "completed");
});

Deno.test("attach: a person types on the same thread", async () => {
  await using codex = await createCodexSandbox();
  const session = await CodexSession.create(codex);
  const pidFile = join(codex.sandbox.home, "pid");
  const job = { cmd: `echo $$ > ${pidFile}; exec sleep 300`, yield_time_ms: 250 };
  await session.send(`SCRIPT:tool exec_command ${JSON.stringify(job)}`);
  await session.run("wait");
  const pid = Number(await Deno.readTextFile(pidFile));
  await session.send("from the command line");
  await session.run("wait");
  const { sandbox } = codex;
  const attach = [...cliCommand(), "attach", session.id].map((word) => `'${word}'`).join(" ");
  await sandbox.tmux("new-session", "-d", "-s", "person", "-x", "120", "-y", "40", attach);
  await passModelOffer(sandbox, "person", "REPLY: from the command line");
  await sandbox.tmux("send-keys", "-t", "person", "-l", "typed by a person");
  await eventually(async () => (await sandbox.screen("person")).includes("typed by a person"), {
    what: "the text",
  });
  await eventually(async () => {
    await sandbox.tmux("send-keys", "-t", "person", "Enter");
    return codex.model!.prompts(session.threadId).includes("typed by a person");
  }, { what: "the person's turn" });
  await eventually(async () => await session.said("last-message") === "REPLY: typed by a person", {
    what: "the reply to the person",
  });
  await session.send("and from the command line again");
  await eventually(
    async () => (await sandbox.screen("person")).includes("REPLY: and from the command line"),
    {
      what: "the reply on the person's screen",
    },
  );
  strictEqual(await isRunning(pid), true, "what runs in the background outlives the attaching");
  const file = join(codex.sandbox.home, "id");
  await session.send(`SCRIPT:shell echo $DEV_SESSIONS_ID > ${file}`);
  strictEqual(await session.said("wait"), "completed");
  strictEqual(await Deno.readTextFile(file), `${session.id}\n`);
  await sandbox.tmux("kill-session", "-t", "person");
  await session.becomes("idle");
});
