/** `events` tells what happened once, in one order for every reader, whoever is killed in between. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { sql } from "../support/sandbox_state.ts";
import { type StubSession, StubSession as Stub, withSession, withSessions } from "../support/stub_session.ts";

const END_MS = 30_000;
const READER_KILLS = 20;
const MAX_READER_MS = 1_500;

interface Event {
  readonly cursor: string;
  readonly at: string;
  readonly id: string;
  readonly type: string;
  readonly text?: string | null;
  readonly [key: string]: unknown;
}

/** Only whole lines: a reader that was killed may have left a part of one. */
function parse(stdout: string): Event[] {
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

async function events(sandbox: Sandbox, ...args: string[]): Promise<Event[]> {
  const { code, stdout, stderr } = await sandbox.run(["events", ...args]);
  deepStrictEqual([code, stderr], [0, ""]);
  return parse(stdout);
}

async function turn(session: StubSession, text: string): Promise<void> {
  await session.sent(text);
  await session.run("wait", "-t", "20");
}

/** Type and what matters of it. */
function told(found: readonly Event[]): unknown[] {
  return found.map(({ type, text, error, summary, reason }) => {
    const more = text ?? error ?? summary ?? reason;
    return more === undefined ? type : [type, more];
  });
}

const reply = (text: string) => `REPLY: ${text} [length ${text.length}]`;

Deno.test("events of every kind of turn, in order, each once", () =>
  withSession({}, async (session, sandbox) => {
    const { id } = session;
    deepStrictEqual(told(await events(sandbox, id)), ["session_created"]);
    await turn(session, "hello");
    // What wait has told of is there.
    deepStrictEqual(told(await events(sandbox, id)).slice(1), [
      ["turn_started", "hello"],
      ["message", reply("hello")],
      "turn_completed",
    ]);
    await turn(session, "SCRIPT:bash echo out");
    await turn(session, "SCRIPT:err500");
    await session.sent("SCRIPT:ask");
    await session.becomes("waiting_for_input");
    const asked = await events(sandbox, id);
    deepStrictEqual(told(asked).slice(4), [
      ["turn_started", "SCRIPT:bash echo out"],
      ["message", "DONE after tool: out"],
      "turn_completed",
      ["turn_started", "SCRIPT:err500"],
      ["turn_failed", "API Error: 500 scripted error"],
      ["turn_started", "SCRIPT:ask"],
      ["input_requested", "Which colour?"],
    ]);
    const request = asked.at(-1)!;
    const { pending } = (await session.json("status")).json;
    deepStrictEqual(
      [request.kind, request.tool, request.options, request.requestId],
      [pending.kind, pending.tool, ["Red", "Blue"], pending.requestId],
    );
    const cursor = request.cursor;
    await session.type("Escape");
    await session.becomes("idle");
    strictEqual((await sandbox.run(["kill", id])).code, 0);
    const rest = await events(sandbox, id, "--since", cursor);
    deepStrictEqual(told(rest), ["input_resolved", "turn_interrupted", ["session_ended", "killed"]]);
    strictEqual(rest[0]!.requestId, request.requestId);
    const all = await events(sandbox);
    deepStrictEqual(all, [...asked, ...rest]);
    ok(all.every((event) => event.id === id && !Number.isNaN(Date.parse(event.at))));
    deepStrictEqual(await events(sandbox, "--since", "now"), []);
    deepStrictEqual(await events(sandbox, "--since", all.at(-1)!.cursor), []);
  }));

Deno.test("messages that were queued join a turn or start the next one together", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    await session.sent("second");
    await session.sent("third");
    await gate.open();
    strictEqual((await session.run("wait")).code, 0);
    const tool = session.gate("tool");
    await session.sent(`SCRIPT:gatetool ${tool.path}`);
    await session.sent("absorbed");
    await tool.open();
    strictEqual((await session.run("wait")).code, 0);
    deepStrictEqual(told(await events(sandbox, session.id)).slice(1), [
      ["turn_started", `SCRIPT:gate ${gate.path}`],
      ["message", `REPLY: gate ${gate.path} opened`],
      "turn_completed",
      ["turn_started", "second"],
      ["turn_joined", "third"],
      ["message", reply("third")],
      "turn_completed",
      ["turn_started", `SCRIPT:gatetool ${tool.path}`],
      ["turn_joined", "absorbed"],
      ["message", "DONE after tool: the gate is open"],
      "turn_completed",
    ]);
  }));

Deno.test("a turn that is stopped before its first word, or that the queue overtakes, is told as interrupted", () =>
  withSession({ stub: ["rewind"] }, async (session, sandbox) => {
    const silent = `SCRIPT:gate ${session.gate().path}`;
    await session.sent(silent);
    await session.becomes("working");
    strictEqual((await session.run("interrupt")).code, 0);
    await turn(session, "after");
    const flag = join(sandbox.root, "tool-started");
    const tool = `SCRIPT:bash touch ${flag}; sleep 60`;
    await session.sent(tool);
    await sandbox.eventually(() => Deno.stat(flag).then(() => true, () => false), { what: "the tool" });
    await session.sent("behind");
    strictEqual((await session.run("interrupt")).code, 0);
    strictEqual((await session.run("wait")).code, 0);
    deepStrictEqual(told(await events(sandbox, session.id)).slice(1), [
      ["turn_started", silent],
      "turn_interrupted",
      ["turn_started", "after"],
      ["message", reply("after")],
      "turn_completed",
      ["turn_started", tool],
      "turn_interrupted",
      ["turn_started", "behind"],
      ["message", reply("behind")],
      "turn_completed",
    ]);
  }));

Deno.test("sub-agents prolong a turn, background shells start one of their own", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:subagent ${gate.path}`);
    await session.sandbox.eventually(
      async () => (await events(sandbox, session.id)).some(({ type }) => type === "message"),
      { what: "the sub-agent's launch" },
    );
    ok(!(await events(sandbox, session.id)).some(({ type }) => type === "turn_completed"));
    await gate.open();
    strictEqual((await session.run("wait")).code, 0);
    await session.sent("SCRIPT:bgshell true");
    await session.sandbox.eventually(
      async () =>
        (await events(sandbox, session.id)).filter(({ type }) => type === "turn_completed").length === 3,
      { what: "the turn of the background shell's report" },
    );
    const found = await events(sandbox, session.id);
    deepStrictEqual(found.flatMap(({ type, source }) => type === "turn_started" ? [source] : []), [
      "message",
      "message",
      "background_task",
    ]);
  }));

Deno.test("a follower is told of everything as it happens, of new sessions, too", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "before");
    await using follower = sandbox.start(["events", "--follow", "--since", "now"]);
    await using named = sandbox.start(["events", session.id, "--follow"]);
    await sandbox.eventually(() => named.stdout.includes("turn_completed"), { what: "what happened before" });
    // "now" is when the follower looks first, which it does before it watches long.
    await sandbox.eventually(async () => {
      await turn(session, "probe");
      return follower.stdout.includes("probe");
    }, { what: "the follower at work" });
    const other = await Stub.create(sandbox);
    await turn(other, "elsewhere");
    await turn(session, "after");
    strictEqual((await sandbox.run(["kill", session.id])).code, 0);
    const ended = await named.doneWithin(END_MS, "events --follow");
    deepStrictEqual([ended.code, ended.stderr], [0, ""]);
    const all = await events(sandbox);
    deepStrictEqual(parse(ended.stdout), all.filter(({ id }) => id === session.id));
    await sandbox.eventually(() => follower.stdout.includes("session_ended"), { what: "the end" });
    follower.kill("SIGTERM");
    const stopped = await follower.doneWithin(END_MS, "events --follow");
    const last = all.at(-1)!.cursor;
    deepStrictEqual([stopped.code, stopped.stderr], [130, `Interrupted: go on with --since ${last}\n`]);
    const followed = parse(stopped.stdout);
    ok(!told(followed).some((entry) => Array.isArray(entry) && entry[1] === "before"));
    deepStrictEqual(followed, all.slice(all.length - followed.length));
    ok(followed.some(({ id, text }) => id === other.id && text === "elsewhere"));
  }));

Deno.test("a follower notices an agent that dies, and ends with it", () =>
  withSession({}, async (session, sandbox) => {
    await using follower = sandbox.start(["events", session.id, "--follow"]);
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    await sandbox.eventually(() => follower.stdout.includes("turn_started"), { what: "the turn" });
    await session.killAgent();
    const { code, stdout } = await follower.doneWithin(END_MS, "events --follow");
    strictEqual(code, 0);
    deepStrictEqual(told(parse(stdout)), [
      "session_created",
      ["turn_started", `SCRIPT:gate ${gate.path}`],
      ["session_ended", "signal 9"],
    ]);
  }));

Deno.test("readers that are killed at any point lose and repeat nothing", () =>
  withSessions(2, async ([one, two], sandbox) => {
    let working = true;
    const work = (async () => {
      for (let round = 0; working; round++) {
        await Promise.all([turn(one!, `one ${round}`), turn(two!, `SCRIPT:multi 2`)]);
      }
    })();
    /** Follows from where it was, is killed, and goes on with what it has whole. */
    const reader = async (): Promise<Event[]> => {
      const seen: Event[] = [];
      for (let kills = 0; kills < READER_KILLS; kills++) {
        const last = seen.at(-1)?.cursor;
        const since = last === undefined ? [] : ["--since", last];
        const follower = sandbox.start(["events", ...kills % 3 === 0 ? [] : ["--follow"], ...since]);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_READER_MS));
        follower.kill("SIGKILL");
        seen.push(...parse((await follower.done()).stdout));
      }
      return seen;
    };
    const readers = [await Promise.all([reader(), reader()])].flat();
    working = false;
    await work;
    strictEqual((await sandbox.run(["kill", one!.id, two!.id])).code, 0);
    const all = await events(sandbox);
    for (const seen of readers) {
      ok(seen.length > 0);
      deepStrictEqual(seen, all.slice(0, seen.length));
      deepStrictEqual(await events(sandbox, "--since", seen.at(-1)!.cursor), all.slice(seen.length));
    }
    for (const session of [one!, two!]) {
      const prompts = await session.prompts();
      const own = all.filter(({ id }) => id === session.id);
      deepStrictEqual(own.flatMap(({ type, text }) => type === "turn_started" ? [text] : []), prompts);
      strictEqual(own.filter(({ type }) => type === "turn_completed").length, prompts.length);
      strictEqual(own.filter(({ type }) => type === "message").length, prompts.length);
      deepStrictEqual(told([own[0]!, own.at(-1)!]), ["session_created", ["session_ended", "killed"]]);
    }
  }));

for (const stub of ["no-hooks", "no-registry", "no-registry,no-hooks"]) {
  Deno.test(`events of turns with ${stub}`, () =>
    withSession({ stub: stub.split(",") }, async (session, sandbox) => {
      await turn(session, "hello");
      await turn(session, "SCRIPT:err500");
      await session.sandbox.eventually(
        async () => (await events(sandbox)).some(({ type }) => type === "turn_failed"),
        { what: "the failure" },
      );
      deepStrictEqual(told(await events(sandbox, session.id)).slice(1), [
        ["turn_started", "hello"],
        ["message", reply("hello")],
        "turn_completed",
        ["turn_started", "SCRIPT:err500"],
        ["turn_failed", "API Error: 500 scripted error"],
      ]);
    }));
}

Deno.test("events go on over /clear, and over a line that is half written", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "before");
    const [half, whole] = ['{"type":"system","subtype":"compact_bou', 'ndary","content":"x"}\n'];
    await Deno.writeTextFile(session.transcript, half, { append: true });
    const first = await events(sandbox);
    strictEqual(first.at(-1)!.type, "turn_completed");
    await Deno.writeTextFile(session.transcript, whole, { append: true });
    await session.type("/clear");
    await session.type("Enter");
    await sandbox.eventually(async () => (await session.prompts()).includes("/clear"), { what: "/clear" });
    await session.becomes("idle");
    await turn(session, "after");
    deepStrictEqual(told(await events(sandbox, "--since", first.at(-1)!.cursor)), [
      ["turn_started", "after"],
      ["message", reply("after")],
      "turn_completed",
    ]);
    deepStrictEqual((await events(sandbox)).length, first.length + 3);
  }));

Deno.test("a long transcript is read in parts, complete and once", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "hello");
    const lines: string[] = [];
    for (let i = 0; i < 5_000; i++) {
      const timestamp = new Date(Date.now() + i).toISOString();
      const user = { type: "user", message: { content: `question ${i}` }, origin: { kind: "human" } };
      const said = {
        type: "assistant",
        message: { id: `m${i}`, content: [{ type: "text", text: `answer ${i}` }] },
      };
      const end = { type: "system", subtype: "turn_duration" };
      for (const line of [{ ...user, promptSource: "typed" }, said, end]) {
        lines.push(JSON.stringify({ ...line, timestamp }));
      }
    }
    await Deno.writeTextFile(session.transcript, lines.join("\n") + "\n", { append: true });
    const found = (await events(sandbox)).slice(4);
    strictEqual(found.length, 15_000);
    found.forEach(({ type, text }, index) => {
      const i = Math.floor(index / 3);
      const expected = [["turn_started", `question ${i}`], ["message", `answer ${i}`], [
        "turn_completed",
        undefined,
      ]];
      deepStrictEqual([type, text], expected[index % 3]);
    });
  }));

Deno.test("a cursor that is none, or not of this log, is a usage error", () =>
  withSession({}, async (session, sandbox) => {
    const { cursor } = (await events(sandbox)).at(-1)!;
    const [, log, seq] = cursor.split("-");
    const refused = async (given: string) => {
      const { code, stdout, stderr } = await sandbox.run(["events", "--since", given]);
      deepStrictEqual([code, stdout], [2, ""]);
      return stderr;
    };
    match(await refused("42"), /^--since must be the cursor of an event, or "now": "42"\n/);
    match(await refused(`e2-${log}-${seq}`), /^--since must be/);
    match(await refused(`e1-${log}-${Number(seq) + 1}`), /^Cannot go on from .* beyond the newest event/);
    match(await refused("e1-00000000-0"), /^Cannot go on from .* started anew/);
    strictEqual((await sandbox.run(["events", "nobody-top"])).code, 3);
    strictEqual((await session.run("events")).code, 0);
  }));

Deno.test("a damaged event log is one clear error, left as it is, and moved away it is built again", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "hello");
    const before = await events(sandbox);
    const path = join(sandbox.home, ".dev-sessions", "events.db");
    strictEqual((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    const damaged = new TextEncoder().encode("this is no database ".repeat(500));
    await Deno.writeFile(path, damaged);
    for (const name of ["-wal", "-shm"]) await Deno.remove(`${path}${name}`).catch(() => {});
    const { code, stdout, stderr } = await sandbox.run(["events"]);
    deepStrictEqual([code, stdout], [1, ""]);
    match(
      stderr,
      /^Cannot read the event log ".*events\.db": it is damaged .* Nothing was changed.* mv .* built again/,
    );
    deepStrictEqual(await Deno.readFile(path), damaged);
    strictEqual((await sandbox.run(["list"])).code, 0);
    await Deno.rename(path, join(sandbox.root, "damaged.db"));
    const after = await events(sandbox);
    deepStrictEqual(told(after), told(before));
    const old = await sandbox.run(["events", "--since", before.at(-1)!.cursor]);
    strictEqual(old.code, 2);
    match(old.stderr, /started anew/);
  }));

Deno.test("a reader of events that goes away ends them quietly", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const session = await Stub.create(sandbox);
  await turn(session, "hello");
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const piped = `'${Deno.execPath()}' run -A --quiet '${main}' events --follow 2>err | head -n 1; cat err`;
  const running = sandbox.spawn("sh", ["-c", piped]);
  // It is noticed by the next event.
  await sandbox.eventually(() => running.stdout !== "", { what: "the first event" });
  await turn(session, "again");
  const { stdout } = await running.doneWithin(END_MS, "events | head");
  strictEqual(parse(stdout).length, 1);
});

Deno.test("a session that can't be read keeps none of the others from their reader, unless it was named", () =>
  withSessions(2, async ([one, other], sandbox) => {
    if (one === undefined || other === undefined) throw new Error("two sessions");
    await turn(one, "hello");
    await turn(other, "hello");
    strictEqual((await sandbox.run(["kill", one.id, other.id])).code, 0);
    // As a newer version might keep it.
    sql(sandbox, "UPDATE sessions SET launch = '{' WHERE id = ?", one.id);
    const all = await sandbox.run(["events"]);
    strictEqual(all.code, 0, all.stderr);
    deepStrictEqual(new Set(parse(all.stdout).map(({ id }) => id)), new Set([other.id]));
    match(
      all.stderr,
      new RegExp(
        `^\\[dev-sessions\\] events of "${one.id}" can't be read now, and are left out: Cannot read session`,
        "m",
      ),
    );
    const named = await sandbox.run(["events", one.id]);
    strictEqual(named.code, 1, named.stdout);
    match(named.stderr, /^Cannot read session/);
  }));
