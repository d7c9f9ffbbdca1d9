/** `interrupt` stops the turn it was asked to stop, once, or nothing; what it can't prove it does not call stopped. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { RunningCommand } from "../support/running_command.ts";
import { parseOutput, type StubSession, withSession, withSessions } from "../support/stub_session.ts";
import { gateTmux } from "../support/tmux_gate.ts";

const END_MS = 30_000;

/** How often Escape reached the agent. */
async function escapes(session: StubSession): Promise<number> {
  return (await session.pressed())["escape"] ?? 0;
}

async function nothingPressed<T>(session: StubSession, body: () => Promise<T>): Promise<T> {
  const before = { keys: await session.keys(), screen: await session.screen() };
  const result = await body();
  deepStrictEqual({ keys: await session.keys(), screen: await session.screen() }, before);
  return result;
}

/** Sends what makes a turn that goes on, and waits until its work is on the screen. */
async function works(session: StubSession, script: string): Promise<string> {
  const receipt = await session.sent(script);
  await session.shows("esc to interrupt");
  return receipt;
}

async function outcome(session: StubSession, receipt: string): Promise<string> {
  return (await session.run("wait", "-t", "20", "--message", receipt)).stdout.trim();
}

async function ended(running: RunningCommand) {
  return parseOutput(await running.doneWithin(END_MS, "interrupt"));
}

function waitsForLock(session: StubSession, running: RunningCommand): Promise<unknown> {
  return session.sandbox.eventually(
    () =>
      [...Deno.readDirSync(`/proc/${running.pid}/fd`)].some(({ name }) =>
        Deno.readLinkSync(`/proc/${running.pid}/fd/${name}`).endsWith("/send.lock")
      ),
    { what: "it waits for the lock" },
  );
}

Deno.test("interrupt at rest presses nothing", () =>
  withSession({}, async (session) => {
    for (const flags of [[], ["--all-queued"]]) {
      const none = await nothingPressed(session, () => session.json("interrupt", ...flags));
      deepStrictEqual([none.code, none.json.result, none.json.interrupted], [0, "not_running", 0]);
    }
    strictEqual(
      (await session.run("interrupt")).stdout,
      `Nothing to interrupt: no turn of ${session.id} runs\n`,
    );
  }));

for (const stub of [[], ["no-registry"], ["no-hooks"]]) {
  Deno.test(`interrupt stops a turn with one Escape, ${stub[0] ?? "all records there"}`, () =>
    withSession({ stub }, async (session, sandbox) => {
      const scripts = ["SCRIPT:slow 60", "SCRIPT:bash sleep 60", `SCRIPT:gate ${session.gate().path}`];
      for (const [index, script] of scripts.entries()) {
        const receipt = await works(session, script);
        if (index === 1) await sandbox.tmux("copy-mode", "-t", session.pane);
        const { code, json, stderr } = await session.json("interrupt");
        deepStrictEqual([code, json?.result, json?.stopped], [0, "interrupted", [script]], stderr);
        strictEqual(await escapes(session), index + 1);
        strictEqual(await outcome(session, receipt), "interrupted");
      }
      await session.sent("and on");
      strictEqual((await session.run("wait")).stdout, "completed\n");
    }));
}

Deno.test("a message without an answer goes back into the box, and is taken out of it", () =>
  withSession({ stub: ["rewind"] }, async (session) => {
    const text = `first line\nsecond line\n\nSCRIPT:gate ${session.gate().path}`;
    const receipt = await works(session, text);
    const { code, json, stderr } = await session.json("interrupt");
    deepStrictEqual([code, json?.result], [0, "interrupted"], stderr);
    match(json.reason, /its message was taken out of the input box/);
    strictEqual(await outcome(session, receipt), "interrupted");
    await session.sent("and on");
    strictEqual((await session.run("wait")).stdout, "completed\n");
    strictEqual(await outcome(session, receipt), "interrupted");
  }));

Deno.test("a draft in the box stays while the turn is stopped", () =>
  withSession({ stub: ["rewind"] }, async (session) => {
    await works(session, `SCRIPT:gate ${session.gate().path}`);
    await session.type("-l", "half a thought");
    await session.shows("half a thought");
    strictEqual((await session.json("interrupt")).json.result, "interrupted");
    await session.shows("❯\u00a0half a thought");
    strictEqual((await session.pressed())["ctrl-u"], undefined);
  }));

Deno.test("one interrupt stops one turn: the queue begins, and completes", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    const first = await works(session, "SCRIPT:bash sleep 60");
    const behind = [
      await session.sent("SCRIPT:plain before it"),
      await session.sent(`SCRIPT:gate ${gate.path}`),
    ];
    const { json } = await session.json("interrupt");
    deepStrictEqual([json.result, json.interrupted, json.queued], [
      "interrupted",
      1,
      ["SCRIPT:plain before it", `SCRIPT:gate ${gate.path}`],
    ]);
    strictEqual(await outcome(session, first), "interrupted");
    strictEqual((await session.run("status")).stdout, "working\n");
    await gate.open();
    for (const receipt of behind) strictEqual(await outcome(session, receipt), "completed");
    strictEqual(await escapes(session), 1);
  }));

Deno.test("interrupt --all-queued stops the queue, too, each turn with one Escape", () =>
  withSession({}, async (session) => {
    const receipts = [
      await works(session, "SCRIPT:bash sleep 60"),
      await session.sent("SCRIPT:plain queued"),
      await session.sent("SCRIPT:slow 60"),
    ];
    const { code, json, stderr } = await session.json("interrupt", "--all-queued");
    deepStrictEqual([code, json?.result, json?.interrupted, json?.queued], [0, "interrupted", 2, []], stderr);
    strictEqual(await escapes(session), 2);
    for (const receipt of receipts) strictEqual(await outcome(session, receipt), "interrupted");
    strictEqual((await session.run("status")).stdout, "idle\n");
  }));

Deno.test("interrupt --all-queued that is stopped itself says what it had stopped", () =>
  withSession({}, async (session, sandbox) => {
    const first = await works(session, "SCRIPT:bash sleep 60");
    await session.sent("SCRIPT:slow 60");
    const running = sandbox.start(["interrupt", session.id, "--all-queued", "--json"]);
    await sandbox.eventually(async () => await escapes(session) === 1, { what: "the first turn's key" });
    const look = await gateTmux(sandbox, "display-message", "after");
    await look.reached();
    strictEqual(await outcome(session, first), "interrupted");
    running.kill("SIGINT");
    await look.open();
    const { code, json, stderr } = await ended(running);
    deepStrictEqual([code, json?.result, json?.interrupted], [9, "unproven", 1], stderr);
    strictEqual(await escapes(session), 1);
  }));

Deno.test("two interrupts at once stop one turn, not the one that begins after it", () =>
  withSession({}, async (session, sandbox) => {
    await works(session, "SCRIPT:bash sleep 60");
    const gate = session.gate();
    const behind = await session.sent(`SCRIPT:gate ${gate.path}`);
    const key = await gateTmux(sandbox, "source-file", "before");
    const first = sandbox.start(["interrupt", session.id, "--json"]);
    await key.reached();
    const second = sandbox.start(["interrupt", session.id, "--json"]);
    await waitsForLock(session, second);
    await key.open();
    const [one, two] = [await ended(first), await ended(second)];
    deepStrictEqual([one.code, one.json.result], [0, "interrupted"], one.stderr);
    deepStrictEqual([two.code, two.json.result, two.json.interrupted], [0, "ended_by_itself", 0], two.stderr);
    deepStrictEqual(two.json.queued, [`SCRIPT:gate ${gate.path}`]);
    strictEqual(await escapes(session), 1);
    await gate.open();
    strictEqual(await outcome(session, behind), "completed");
  }));

Deno.test("a turn that ends as the key is pressed has ended by itself", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    const receipt = await works(session, `SCRIPT:gate ${gate.path}`);
    const key = await gateTmux(sandbox, "source-file", "before");
    const interrupting = sandbox.start(["interrupt", session.id, "--json"]);
    await key.reached();
    await gate.open();
    await session.becomes("idle");
    await key.open();
    const { code, json, stderr } = await ended(interrupting);
    deepStrictEqual([code, json?.result, json?.interrupted], [0, "ended_by_itself", 0], stderr);
    strictEqual(await outcome(session, receipt), "completed");
  }));

Deno.test("a key that meets the next turn is not hidden", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    const first = await works(session, `SCRIPT:gate ${gate.path}`);
    const second = await session.sent("SCRIPT:slow 60");
    const key = await gateTmux(sandbox, "source-file", "before");
    const interrupting = sandbox.start(["interrupt", session.id, "--json"]);
    await key.reached();
    await gate.open();
    strictEqual(await outcome(session, first), "completed");
    await key.open();
    const { code, json, stderr } = await ended(interrupting);
    deepStrictEqual([code, json?.result, json?.stopped], [0, "interrupted", ["SCRIPT:slow 60"]], stderr);
    match(json.reason, /the turn before it had just ended by itself/);
    strictEqual(await outcome(session, second), "interrupted");
  }));

Deno.test("an Escape that is lost is unproven, and is not pressed again", () =>
  withSession({ stub: ["swallow-escape=1"] }, async (session) => {
    await works(session, "SCRIPT:slow 60");
    const { code, json, error } = await session.json("interrupt");
    deepStrictEqual([code, json.result, json.interrupted], [9, "unproven", 0]);
    match(error, /^Cannot interrupt ".*": it may have stopped, but nothing proves it: it was asked to stop/);
    strictEqual(await escapes(session), 1);
    strictEqual((await session.run("status")).stdout, "working\n");
    strictEqual((await session.json("interrupt")).json.result, "interrupted");
  }));

Deno.test("vim's INSERT mode is left first", () =>
  withSession({ stub: ["vim"] }, async (session) => {
    const receipt = await works2(session);
    const { code, json, stderr } = await session.json("interrupt");
    deepStrictEqual([code, json?.result], [0, "interrupted"], stderr);
    strictEqual(await escapes(session), 2);
    strictEqual(await outcome(session, receipt), "interrupted");
  }));

/** In vim mode the footer has no hint. */
async function works2(session: StubSession): Promise<string> {
  const receipt = await session.sent("SCRIPT:slow 60");
  await session.becomes("working");
  return receipt;
}

Deno.test("interrupt killed before the key leaves no key behind; killed after it, the turn has stopped", () =>
  withSession({}, async (session, sandbox) => {
    await works(session, "SCRIPT:slow 60");
    const before = await gateTmux(sandbox, "source-file", "before");
    const killed = sandbox.start(["interrupt", session.id]);
    await before.reached();
    await killed.end();
    strictEqual((await session.run("status")).stdout, "working\n");
    strictEqual((await session.json("interrupt")).json.result, "interrupted");
    await before.open();
    await Deno.remove(`${sandbox.root}/bin/tmux`);
    strictEqual(await escapes(session), 1);

    const receipt = await works(session, "SCRIPT:slow 60");
    const after = await gateTmux(sandbox, "source-file", "after");
    const late = sandbox.start(["interrupt", session.id]);
    await after.reached();
    await late.end();
    await after.open();
    strictEqual(await outcome(session, receipt), "interrupted");
    strictEqual((await session.json("interrupt")).json.result, "not_running");
    strictEqual(await escapes(session), 2);
  }));

const PENDING = [
  ["no-hooks", "SCRIPT:permission touch granted", /it waits for a permission \(Bash: touch granted\)/],
  [
    "no-hooks",
    "SCRIPT:ask",
    /it waits for the answer to a question \(Which colour\?\)[\s\S]*1\. Red \(warm\)\n2\. Blue/,
  ],
  ["no-hooks", "SCRIPT:plan", /it waits for the approval of a plan/],
  ["hooks", "SCRIPT:dialog", /it waits for the answer to a dialog/],
] as const;

for (const [hooks, script, error] of PENDING) {
  Deno.test(`interrupt presses nothing into a dialog that no hook answers: ${script}`, () =>
    withSession({ stub: hooks === "hooks" ? [] : [hooks] }, async (session) => {
      await session.sent(script);
      await session.becomes("waiting_for_input");
      for (const flags of [[], ["--all-queued"]]) {
        const refused = await nothingPressed(session, () => session.json("interrupt", ...flags));
        deepStrictEqual([refused.code, refused.json.result], [5, "refused"]);
        match(refused.error, error);
      }
      const unsent = await nothingPressed(session, () => session.json("send", "--interrupt", "instead"));
      deepStrictEqual([unsent.code, unsent.json.result], [5, "refused"]);
      await session.type("1");
      await session.becomes("idle");
    }));
}

Deno.test("interrupt presses nothing into bash mode or a menu of commands", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await works(session, `SCRIPT:gate ${gate.path}`);
    for (const [draft, error] of [["!ls", /bash mode/], ["/mod", /a menu for "\/mod"/]] as const) {
      await session.type("-l", draft);
      await session.shows(draft === "!ls" ? "!\u00a0ls" : "❯\u00a0/mod");
      const refused = await nothingPressed(session, () => session.json("interrupt"));
      strictEqual(refused.code, 4);
      match(refused.error, error);
      await session.type("C-u");
    }
    await gate.open();
  }));

Deno.test("sub-agents that outlive their turn are no turn", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:subagent ${gate.path}`);
    await session.shows("DONE after tool");
    const none = await nothingPressed(session, () => session.json("interrupt"));
    deepStrictEqual([none.code, none.json.result], [0, "not_running"], none.stderr);
    deepStrictEqual(none.json.background.map(({ type }: { type: string }) => type), ["subagent"]);
    await gate.open();
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("an agent that is gone can't be interrupted", () =>
  withSession({}, async (session) => {
    await works(session, "SCRIPT:slow 60");
    await session.killAgent();
    strictEqual((await session.run("interrupt")).code, 7);
    const again = await session.run("interrupt");
    strictEqual(again.code, 7);
    match(again.stderr, /^Cannot interrupt ".*": its agent is gone/);
    strictEqual((await session.sandbox.run(["interrupt", "nobody-top"])).code, 3);
  }));

Deno.test("from inside: not itself, not whom it descends from; others it may", () =>
  withSessions(2, async ([parent, other], sandbox) => {
    const inside = (id: string) => ({ env: { DEV_SESSIONS_ID: id } });
    const created = await sandbox.run(["create", "-q"], inside(parent!.id));
    const child = created.stdout.trim();
    strictEqual((await sandbox.run(["interrupt", child], inside(child))).code, 2);
    for (const args of [["interrupt", parent!.id], ["send", parent!.id, "--interrupt", "stop"]]) {
      const refused = await sandbox.run(args, inside(child));
      strictEqual(refused.code, 8, refused.stderr);
      match(refused.stderr, /which runs this command, was started by it/);
    }
    for (const [target, by] of [[child, parent!.id], [other!.id, child]] as const) {
      strictEqual((await sandbox.run(["interrupt", target], inside(by))).code, 0);
    }
    strictEqual((await sandbox.run(["send", parent!.id, "--steer", "a hint"], inside(child))).code, 0);
  }));

Deno.test("send --interrupt sends after the turn has stopped, and nothing when that is not proven", () =>
  withSession({ stub: ["swallow-escape=1"] }, async (session) => {
    const stopped = await works(session, "SCRIPT:slow 60");
    const unproven = await session.json("send", "--interrupt", "instead");
    strictEqual(unproven.code, 9);
    match(unproven.error, /its turn is not proven to be stopped: .* The message was not sent/);
    deepStrictEqual(await session.prompts(), ["SCRIPT:slow 60"]);
    const sent = await session.json("send", "--interrupt", "instead");
    deepStrictEqual([sent.code, sent.json.result, sent.json.reason], [
      0,
      "submitted",
      "the running turn was interrupted",
    ]);
    match(sent.stderr, /: the running turn was interrupted\n$/);
    strictEqual(await outcome(session, sent.json.receipt), "completed");
    strictEqual(await outcome(session, stopped), "interrupted");
    strictEqual(await escapes(session), 2);
  }));

Deno.test("send --interrupt behind a queue is queued, and says what runs first", () =>
  withSession({}, async (session) => {
    await works(session, "SCRIPT:bash sleep 60");
    const gate = session.gate();
    const earlier = await session.sent(`SCRIPT:gate ${gate.path}`);
    const { code, json } = await session.json("send", "--interrupt", "last");
    deepStrictEqual([code, json.result], [0, "queued"]);
    strictEqual(
      json.reason,
      "the running turn was interrupted; 1 message(s) that were queued before it run first",
    );
    await gate.open();
    strictEqual(await outcome(session, earlier), "completed");
    strictEqual(await outcome(session, json.receipt), "completed");
  }));

Deno.test("send --steer says what the record proves of it, and ask takes the modes, too", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await works(session, `SCRIPT:gatetool ${gate.path}`);
    const steered = await session.json("send", "--steer", "a hint");
    deepStrictEqual([steered.code, steered.json.result], [0, "queued"]);
    match(steered.json.reason, /after its current step if another one follows, else it is the next turn/);
    await gate.open();
    strictEqual(await outcome(session, steered.json.receipt), "completed");
    await works(session, "SCRIPT:slow 60");
    const asked = await session.json("ask", "--interrupt", "SCRIPT:plain reply");
    deepStrictEqual([asked.code, asked.json.reply], [0, "REPLY: reply [length 18]"], asked.stderr);
    strictEqual(await escapes(session), 1);
  }));

Deno.test("--key binds the mode; without one it is what it was", () =>
  withSession({}, async (session) => {
    await works(session, "SCRIPT:slow 60");
    const first = await session.json("send", "--interrupt", "--key", "k", "instead");
    const again = await session.json("send", "--interrupt", "--key", "k", "instead");
    deepStrictEqual([again.code, again.json.repeated, again.json.receipt], [0, true, first.json.receipt]);
    strictEqual((await session.json("send", "--key", "k", "instead")).code, 2);
    strictEqual((await session.json("send", "--key", "q", "hello")).code, 0);
    const queue = await session.json("send", "--queue", "--key", "q", "hello");
    deepStrictEqual([queue.code, queue.json.repeated], [0, true]);
    ok(await escapes(session) <= 1);
  }));
