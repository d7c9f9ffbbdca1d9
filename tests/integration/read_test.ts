/** `last-message`, `logs`, `ask` and `status` tell what the agent's own records say, also where one is missing. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { parseOutput, runJson, type StubSession, withSession } from "../support/stub_session.ts";

async function turn(session: StubSession, text: string): Promise<void> {
  await session.sent(text);
  const waited = await session.run("wait", "-t", "20");
  strictEqual(waited.code, 0, waited.stderr);
}

const reply = (text: string) => `REPLY: ${text} [length ${text.length}]`;

Deno.test("last-message before the first turn is empty", () =>
  withSession({}, async (session) => {
    for (
      const [verb, args, stdout] of [
        ["last-message", [], ""],
        ["last-message", ["--json"], "[]\n"],
        ["logs", [], "No conversation history available\n"],
        ["logs", ["--json"], "[]\n"],
      ] as const
    ) {
      const output = await session.run(verb, ...args);
      deepStrictEqual([output.code, output.stdout, output.stderr], [0, stdout, ""], verb);
    }
  }));

Deno.test("last-message is complete as soon as wait has returned", () =>
  withSession({}, async (session) => {
    for (let round = 0; round < 8; round++) {
      const text = `round ${round}${"x".repeat(round * 20)}`;
      await turn(session, text);
      strictEqual((await session.run("last-message")).stdout, `${reply(text)}\n`);
    }
    await turn(session, "SCRIPT:long 20000");
    const long = (await session.run("last-message")).stdout;
    ok(long.startsWith("REPLY: word0 word1 ") && long.endsWith(" word19999\n"));
  }));

Deno.test("last-message prints the last n, as text, as JSON, or into a file", () =>
  withSession({}, async (session, sandbox) => {
    for (const text of ["one", "two", "three"]) await turn(session, text);
    const texts = ["one", "two", "three"].map(reply);
    strictEqual((await session.run("last-message", "-n", "2")).stdout, `${texts.slice(1).join("\n\n")}\n`);
    deepStrictEqual((await session.json("last-message", "--count", "9")).json, texts);
    deepStrictEqual((await session.json("last-message")).json, texts.slice(2));
    for (const bad of ["0", "-1", "x"]) strictEqual((await session.run("last-message", "-n", bad)).code, 2);

    const written = await session.run("last-message", "--output", "out.md");
    deepStrictEqual([written.code, written.stdout], [0, ""]);
    strictEqual(await Deno.readTextFile(join(sandbox.workspace, "out.md")), `${texts[2]}\n`);
    await session.run("last-message", "-n", "3", "--json", "--output", "out.json");
    deepStrictEqual(JSON.parse(await Deno.readTextFile(join(sandbox.workspace, "out.json"))), texts);
    // The file that a link leads to, with its own mode.
    const kept = join(await sandbox.folder("notes"), "kept.md");
    await Deno.writeTextFile(kept, "old", { mode: 0o600 });
    const link = join(await sandbox.folder("links"), "link.md");
    await Deno.symlink(kept, link);
    strictEqual((await session.run("last-message", "--output", link)).code, 0);
    strictEqual(await Deno.readTextFile(kept), `${texts[2]}\n`);
    deepStrictEqual([(await Deno.lstat(link)).isSymlink, (await Deno.stat(kept)).mode! & 0o777], [
      true,
      0o600,
    ]);
    // Also one that is not there yet.
    await Deno.remove(kept);
    await Deno.symlink("../notes/kept.md", `${link}2`);
    for (const dangling of [link, `${link}2`]) {
      strictEqual((await session.run("last-message", "--output", dangling)).code, 0);
      ok((await Deno.lstat(dangling)).isSymlink);
      strictEqual(await Deno.readTextFile(kept), `${texts[2]}\n`);
      await Deno.remove(kept);
    }
    const circle = `${link}3`;
    await Deno.symlink(circle, circle);
    match((await session.run("last-message", "--output", circle)).stderr, /^Cannot write to /);
    // A pipe stays one.
    const pipe = join(sandbox.root, "pipe");
    strictEqual((await sandbox.spawn("mkfifo", [pipe]).done()).code, 0);
    const reading = sandbox.spawn("cat", [pipe]);
    strictEqual((await session.run("last-message", "--output", pipe)).code, 0);
    strictEqual((await reading.doneWithin(10_000, "cat")).stdout, `${texts[2]}\n`);
    ok((await Deno.lstat(pipe)).isFifo);
    match((await session.run("last-message", "--output", sandbox.workspace)).stderr, /^Cannot write to /);
    const nowhere = await session.run("last-message", "--output", "no/such/folder.md");
    strictEqual(nowhere.code, 1);
    match(nowhere.stderr, /^Cannot write to ".*no\/such\/folder.md": /);
    deepStrictEqual([...Deno.readDirSync(sandbox.workspace)].map(({ name }) => name).sort(), [
      "out.json",
      "out.md",
    ]);
    strictEqual((await sandbox.run(["last-message", "nobody-top"])).code, 3);
  }));

Deno.test("last-message is the main conversation's text: no tool result, no subagent, no error", () =>
  withSession({}, async (session) => {
    await turn(session, "SCRIPT:bash echo from the tool");
    strictEqual((await session.run("last-message")).stdout, "DONE after tool: from the tool\n");
    const lines = [
      {
        type: "assistant",
        isSidechain: true,
        message: { id: "m1", content: [{ type: "text", text: "of a subagent" }] },
      },
      {
        type: "user",
        message: { content: [{ type: "tool_result", tool_use_id: "t", content: "of a tool" }] },
      },
    ];
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    await Deno.writeTextFile(session.transcript, `${text}\n{"type":"assist`, { append: true });
    strictEqual((await session.run("last-message")).stdout, "DONE after tool: from the tool\n");
    deepStrictEqual((await session.json("logs")).json.map(({ role }: { role: string }) => role), [
      "human",
      "assistant",
    ]);
  }));

Deno.test("last-message works after the agent has ended", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "hello");
    await session.killAgent();
    strictEqual((await session.run("last-message")).stdout, `${reply("hello")}\n`);
    await sandbox.run(["kill", session.id]);
    strictEqual((await session.run("last-message")).stdout, `${reply("hello")}\n`);
    match((await session.run("logs")).stdout, /^\[HUMAN\]\nhello\n\n\[ASSISTANT\]\nREPLY/);
  }));

for (const stub of ["no-hooks", "no-transcript"]) {
  Deno.test(`last-message with ${stub}`, () =>
    withSession({ stub: [stub] }, async (session) => {
      await turn(session, "hello");
      strictEqual((await session.run("last-message")).stdout, `${reply("hello")}\n`);
    }));
}

Deno.test("logs print the conversation as text and as JSON, tools on demand", () =>
  withSession({}, async (session) => {
    await turn(session, "hello");
    await turn(session, "SCRIPT:bash echo out; echo err >&2");
    const text = await session.run("logs");
    strictEqual(
      text.stdout,
      `[HUMAN]\nhello\n\n[ASSISTANT]\n${reply("hello")}\n\n` +
        "[HUMAN]\nSCRIPT:bash echo out; echo err >&2\n\n[ASSISTANT]\nDONE after tool: out\nerr\n",
    );
    const tools = await session.run("logs", "--tools");
    match(
      tools.stdout,
      /\n\n\[TOOL\] Bash\n\{"command":"echo out; echo err >&2",.*\}\n-> out\nerr\n\n\[ASSISTANT\]/,
    );
    const entries = (await session.json("logs", "--tools")).json;
    deepStrictEqual(entries.map(({ role }: { role: string }) => role), [
      "human",
      "assistant",
      "human",
      "tool",
      "assistant",
    ]);
    deepStrictEqual([entries[3].tool.name, entries[3].tool.result], ["Bash", "out\nerr"]);
    for (const { at } of entries) ok(!Number.isNaN(Date.parse(at)));
    strictEqual((await session.json("logs")).json.length, 4);
    strictEqual((await session.sandbox.run(["logs", "nobody-top"])).code, 3);
  }));

Deno.test("logs and last-message follow the conversation over /clear", () =>
  withSession({}, async (session) => {
    await turn(session, "before");
    await session.type("/clear");
    await session.type("Enter");
    await session.sandbox.eventually(async () => (await session.prompts()).includes("/clear"), {
      what: "/clear",
    });
    await session.becomes("idle");
    await turn(session, "after");
    strictEqual((await session.run("last-message")).stdout, `${reply("after")}\n`);
    match((await session.run("logs")).stdout, /before[\s\S]*after/);
  }));

Deno.test("ask prints the reply, its receipt first and elsewhere", () =>
  withSession({}, async (session, sandbox) => {
    const asked = await session.run("ask", "which port?");
    deepStrictEqual([asked.code, asked.stdout], [0, `${reply("which port?")}\n`]);
    match(asked.stderr, /^receipt r-[0-9a-f]{16}\n$/);
    const { json } = await session.json("ask", "and the host?");
    deepStrictEqual({ ...json, receipt: "" }, {
      id: session.id,
      receipt: "",
      outcome: "completed",
      reply: reply("and the host?"),
    });
    const piped = await sandbox.run(["ask", session.id, "-f", "-"], { stdin: "from stdin\n" });
    strictEqual(piped.stdout, `${reply("from stdin")}\n`);
    for (let i = 0; i < 5; i++) {
      strictEqual((await session.run("ask", `quick ${i}`)).stdout, `${reply(`quick ${i}`)}\n`);
    }
    strictEqual((await session.run("ask", "")).code, 2);
  }));

Deno.test("ask returns the reply to its own message, also when others follow", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    const asking = session.sandbox.start(["ask", session.id, `SCRIPT:gate ${gate.path}`]);
    await session.sandbox.eventually(() => asking.stderr.startsWith("receipt "), { what: "the receipt" });
    strictEqual((await session.send("SCRIPT:plain later")).json.result, "queued");
    await gate.open();
    const { code, stdout } = await asking.doneWithin(20_000, "ask");
    deepStrictEqual([code, stdout], [0, `REPLY: gate ${gate.path} opened\n`]);
    await session.becomes("idle");
  }));

Deno.test("five concurrent asks each get a reply", () =>
  withSession({}, async (session) => {
    // Those that queue up become one turn, so that a reply may be that to another of them.
    const names = ["a", "b", "c", "d", "e"];
    const asked = await Promise.all(names.map((name) => session.json("ask", `question ${name}`)));
    deepStrictEqual(asked.map(({ code }) => code), [0, 0, 0, 0, 0]);
    const replies = asked.map(({ json }) => json.reply as string);
    ok(replies.every((text) => /^REPLY: question [a-e] /.test(text)), replies.join("\n"));
  }));

Deno.test("ask that times out says how to go on, and can be taken up", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    const asked = await session.run("ask", "-t", "0.3", `SCRIPT:gate ${gate.path}`);
    deepStrictEqual([asked.code, asked.stdout], [124, ""]);
    const [receipt, error] = asked.stderr.split("\n");
    strictEqual(
      error,
      `Timed out waiting for ${session.id} after 0.3s (the agent keeps working; ` +
        `use 'wait ${session.id}' then 'last-message ${session.id}' to pick up the reply)`,
    );
    const waiting = session.sandbox.start(["wait", session.id, "--message", receipt!.split(" ")[1]!]);
    await gate.open();
    strictEqual((await waiting.doneWithin(20_000, "wait")).stdout, "completed\n");
    strictEqual((await session.run("last-message")).stdout, `REPLY: gate ${gate.path} opened\n`);
  }));

Deno.test("ask tells what kept it from a reply", () =>
  withSession({}, async (session) => {
    const failed = await session.run("ask", "SCRIPT:err500");
    deepStrictEqual([failed.code, failed.stdout], [6, ""]);
    match(failed.stderr, /^receipt .*\nThe turn of ".*" failed: API Error: 500 scripted error\n$/);
    const question = await session.json("ask", "SCRIPT:ask");
    deepStrictEqual([question.code, question.json.outcome, question.json.reply], [
      5,
      "waiting_for_input",
      null,
    ]);
    const refused = await session.run("ask", "meanwhile");
    deepStrictEqual([refused.code, refused.stdout], [5, ""]);
    ok(!refused.stderr.includes("receipt"));
    await session.type("1");
    await session.becomes("idle");
    const gate = session.gate();
    const asking = session.sandbox.start(["ask", session.id, `SCRIPT:gate ${gate.path}`]);
    await session.sandbox.eventually(() => asking.stderr.startsWith("receipt "), { what: "the receipt" });
    asking.kill("SIGTERM");
    const stopped = await asking.doneWithin(10_000, "ask");
    strictEqual(stopped.code, 130);
    match(
      stopped.stderr,
      /\nInterrupted: still waiting for .*: dev-sessions wait \S+ --message r-[0-9a-f]{16}\n$/,
    );
    const dying = session.sandbox.start(["ask", session.id, "queued"]);
    await session.sandbox.eventually(() => dying.stderr.startsWith("receipt "), { what: "the receipt" });
    await session.killAgent();
    const dead = await dying.doneWithin(10_000, "ask");
    deepStrictEqual([dead.code, dead.stdout], [7, ""]);
    strictEqual((await session.run("ask", "anyone there?")).code, 7);
  }));

Deno.test("status tells each state, with --json and the evidence with --explain", () =>
  withSession({}, async (session, sandbox) => {
    const status = async () => (await session.json("status")).json;
    const fresh = await status();
    deepStrictEqual({ ...fresh, since: "" }, {
      id: session.id,
      state: "idle",
      since: "",
      pending: null,
      others: [],
      reason: null,
      lastError: null,
      lastTurn: null,
      background: [],
    });
    const explained = await session.run("status", "--explain");
    match(
      explained.stdout,
      /^idle\nprocess: alive\nlive registry: idle since \S+\nhooks: SessionStart at \S+\ntranscript: none yet: no prompt was recorded\n$/,
    );
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    strictEqual((await session.run("status")).stdout, "working\n");
    await gate.open();
    strictEqual((await session.run("wait")).code, 0);
    strictEqual((await status()).lastTurn.kind, "completed");

    await session.sent("SCRIPT:ask");
    await session.becomes("waiting_for_input");
    const { pending } = await status();
    deepStrictEqual([pending.kind, pending.tool, pending.summary, pending.options], [
      "question",
      "AskUserQuestion",
      "Which colour?",
      ["Red", "Blue"],
    ]);
    await session.type("Escape");
    await session.becomes("idle");
    strictEqual((await status()).lastTurn.kind, "interrupted");

    strictEqual((await session.run("ask", "SCRIPT:err529")).code, 6);
    strictEqual((await status()).lastError, "API Error: 529 scripted error");
    const evidence = parseOutput(await session.run("status", "--explain", "--json")).json.evidence;
    deepStrictEqual(evidence.map(({ source }: { source: string }) => source), [
      "process",
      "live registry",
      "hooks",
      "transcript",
    ]);
    await session.killAgent();
    const gone = await status();
    deepStrictEqual([gone.state, gone.reason], ["gone", "signal 9"]);
    strictEqual((await runJson(sandbox, ["status", "nobody-top"])).code, 3);
  }));

for (
  const [stub, says] of [
    [
      "no-hooks",
      /hooks: no event was ever written: hooks are off, falling back to live registry and transcript/,
    ],
    ["no-registry", /live registry: none for this process: falling back to hooks and transcript/],
    ["no-registry,no-hooks", /live registry: none[\s\S]*hooks: no event was ever written/],
  ] as const
) {
  Deno.test(`status with ${stub} says what it goes by`, () =>
    withSession({ stub: stub.split(",") }, async (session) => {
      strictEqual((await session.run("status")).stdout, "idle\n");
      const gate = session.gate();
      await session.sent(`SCRIPT:gate ${gate.path}`);
      const working = await session.run("status", "--explain");
      match(working.stdout, /^working\n/);
      match(working.stdout, says);
      await gate.open();
      await session.becomes("idle");
      await session.sent("SCRIPT:slow 60");
      await session.becomes("working");
      await session.shows("esc to interrupt");
      await session.type("Escape");
      await session.becomes("idle");
      strictEqual((await session.run("wait")).code, 6);
    }));
}
