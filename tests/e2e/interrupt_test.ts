/** `interrupt` and the modes of `send` with the real Claude Code: what they say is what its record and its model say. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  fileAppears,
  type LiveSession,
  modelOf,
  step,
} from "../support/live_session.ts";

interface Interrupted {
  readonly result: string;
  readonly interrupted: number;
  readonly stopped: readonly string[];
  readonly queued: readonly string[];
  readonly background: readonly { readonly type: string }[];
  readonly reason: string | null;
}

async function interrupt(session: LiveSession, ...flags: string[]): Promise<Interrupted> {
  return JSON.parse(await session.expect(0, "interrupt", [...flags, "--json"]));
}

/** The receipt of a message that the agent's record has. */
async function sent(
  session: LiveSession,
  text: string,
  ...flags: string[]
): Promise<{ result: string; receipt: string; reason: string | null }> {
  return JSON.parse(await session.expect(0, "send", [...flags, "--json", "--", text]));
}

async function outcome(session: LiveSession, receipt: string): Promise<string> {
  return (await session.run("wait", ["--message", receipt, "-t", "30"])).stdout.trim();
}

let tools = 0;
/** Starts a turn whose tool runs until it is stopped; returns its receipt. */
async function runTool(sandbox: Sandbox, session: LiveSession): Promise<string> {
  const started = join(sandbox.root, `tool-${++tools}`);
  const { receipt } = await sent(session, `SCRIPT:bash touch ${started}; sleep 120`);
  await fileAppears(sandbox, started);
  return receipt;
}

Deno.test("interrupt", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const session = await createSession(sandbox);

  await step(t, "at rest does nothing", async () => {
    const before = await session.screen();
    strictEqual(
      await session.expect(0, "interrupt"),
      `Nothing to interrupt: no turn of ${session.id} runs`,
    );
    strictEqual((await interrupt(session, "--all-queued")).result, "not_running");
    strictEqual(await session.screen(), before);
  });

  await step(t, "during a tool", async () => {
    const receipt = await runTool(sandbox, session);
    const { result, interrupted, stopped, queued } = await interrupt(session);
    deepStrictEqual([result, interrupted, queued], ["interrupted", 1, []]);
    match(stopped[0] ?? "", /^SCRIPT:bash touch /);
    strictEqual(await session.expect(0, "status"), "idle");
    strictEqual(await outcome(session, receipt), "interrupted");
  });

  await step(t, "while it answers, in copy mode and with a person's draft in the box", async () => {
    const { receipt } = await sent(session, "SCRIPT:streamgate streaming");
    await model.reached("streaming");
    await session.type("half a thought");
    await session.shows("half a thought");
    await sandbox.tmux("copy-mode", "-t", session.pane);
    strictEqual((await interrupt(session)).result, "interrupted");
    strictEqual(await outcome(session, receipt), "interrupted");
    match(await session.screen(), /❯\u00a0half a thought/);
    await session.clearDraft("❯\u00a0half a thought");
  });

  await step(t, "before the first word of an answer, and the message does not stay in the box", async () => {
    const text = "SCRIPT:gate silent\nwith a second line\n\n" + "and many words ".repeat(40);
    const { receipt } = await sent(session, text);
    await model.reached("silent");
    const { result, reason } = await interrupt(session);
    strictEqual(result, "interrupted");
    strictEqual(reason, "nothing had been answered; its message was taken out of the input box");
    strictEqual(await outcome(session, receipt), "interrupted");
    strictEqual(await session.turn("SCRIPT:plain after"), "REPLY: after [length 18]");
    strictEqual(await outcome(session, receipt), "interrupted");
  });

  await step(t, "while the API is asked again and again", async () => {
    const { receipt } = await sent(session, "SCRIPT:err529");
    await session.shows("retrying in");
    strictEqual((await interrupt(session)).result, "interrupted");
    strictEqual(await outcome(session, receipt), "interrupted");
    strictEqual(await session.turn("SCRIPT:plain and on"), "REPLY: and on [length 19]");
  });

  await step(t, "one stops one turn: what is queued behind it begins and completes", async () => {
    const first = await runTool(sandbox, session);
    const second = await sent(session, "SCRIPT:gate behind");
    strictEqual(second.result, "queued");
    const { result, interrupted, queued } = await interrupt(session);
    deepStrictEqual([result, interrupted, queued], ["interrupted", 1, ["SCRIPT:gate behind"]]);
    strictEqual(await outcome(session, first), "interrupted");
    await model.reached("behind");
    const wait = session.wait("--message", second.receipt);
    await session.stillWaiting(wait, "working");
    model.open("behind");
    strictEqual((await session.over(wait, 0)).stdout, "completed\n");
  });

  await step(t, "--all-queued stops that, too", async () => {
    const first = await runTool(sandbox, session);
    const second = await sent(session, "SCRIPT:streamgate never one");
    const third = await sent(session, "SCRIPT:streamgate never");
    const { result, interrupted, queued } = await interrupt(session, "--all-queued");
    deepStrictEqual([result, interrupted, queued], ["interrupted", 2, []]);
    strictEqual(await session.expect(0, "status"), "idle");
    for (const receipt of [first, second.receipt, third.receipt]) {
      strictEqual(await outcome(session, receipt), "interrupted");
    }
    strictEqual(await session.turn("SCRIPT:plain quiet"), "REPLY: quiet [length 18]");
  });

  await step(t, "a background shell and a sub-agent are no turn: they go on, and are named", async () => {
    const flag = join(sandbox.root, "background-may-end");
    await sent(session, `SCRIPT:bgbash while ! test -e ${flag}; do sleep 0.1; done`);
    await session.completed();
    await runTool(sandbox, session);
    const stopped = await interrupt(session);
    deepStrictEqual([stopped.result, stopped.background.map(({ type }) => type)], ["interrupted", ["shell"]]);
    await Deno.writeTextFile(flag, "");
    await session.reaches("idle");

    await sent(session, "SCRIPT:bgagent gate delegated");
    await model.reached("delegated");
    await session.shows("Waiting for 1 background agent");
    const none = await interrupt(session);
    deepStrictEqual([none.result, none.background.map(({ type }) => type)], ["not_running", ["subagent"]]);
    model.open("delegated");
    await session.completed();
  });

  await step(t, "a turn that asks is stopped through its request", async () => {
    const { receipt } = await sent(session, "SCRIPT:ask");
    await session.reaches("waiting");
    const { result, stopped } = await interrupt(session);
    deepStrictEqual([result, stopped], ["interrupted", ["SCRIPT:ask"]]);
    strictEqual(await session.expect(0, "status"), "idle");
    strictEqual(await outcome(session, receipt), "interrupted");

    await sent(session, "SCRIPT:ask");
    await session.reaches("waiting");
    const instead = await sent(session, "SCRIPT:plain not asked any more", "--interrupt");
    strictEqual(instead.result, "submitted");
    strictEqual(await outcome(session, instead.receipt), "completed");
  });

  await step(t, "an open dialog that is no turn's is refused, and no key is pressed", async () => {
    await session.type("/model");
    await session.press("Enter");
    await session.reaches("waiting");
    const before = await session.screen();
    const refused = await session.run("interrupt");
    await session.assertCode(refused, 5, "interrupt");
    match(refused.stderr, /^Cannot interrupt ".*": it waits for the answer to a dialog/);
    strictEqual(await session.screen(), before);
    await session.press("Escape");
    await session.reaches("idle");
  });

  await session.expect(0, "kill");
  await session.assertCode(await session.run("interrupt"), 7, "interrupt");
  await assertNothingLeft(sandbox);
});

Deno.test("send --interrupt and send --steer", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const session = await createSession(sandbox);

  await step(t, "at rest they are plain sends", async () => {
    for (const flag of ["--interrupt", "--steer", "--queue"]) {
      const { result, reason } = await sent(session, `SCRIPT:plain ${flag}`, flag);
      deepStrictEqual([result, reason], ["submitted", null], flag);
      await session.completed();
    }
  });

  await step(t, "send --interrupt stops the turn first", async () => {
    const stopped = await runTool(sandbox, session);
    const { result, receipt, reason } = await sent(session, "SCRIPT:plain instead", "--interrupt");
    deepStrictEqual([result, reason], ["submitted", "the running turn was interrupted"]);
    strictEqual(await outcome(session, receipt), "completed");
    strictEqual(await outcome(session, stopped), "interrupted");
    strictEqual(await session.lastMessage(), "REPLY: instead [length 20]");
  });

  await step(t, "also where nothing had been answered yet", async () => {
    const { receipt: stopped } = await sent(session, "SCRIPT:gate unanswered");
    await model.reached("unanswered");
    const { result, receipt } = await sent(session, "SCRIPT:plain instead of it", "--interrupt");
    strictEqual(result, "submitted");
    strictEqual(await outcome(session, receipt), "completed");
    strictEqual(await outcome(session, stopped), "interrupted");
  });

  await step(t, "behind a message that was queued before it", async () => {
    const stopped = await runTool(sandbox, session);
    const queued = await sent(session, "SCRIPT:gate earlier");
    const { result, receipt, reason } = await sent(session, "SCRIPT:plain last", "--interrupt");
    strictEqual(result, "queued");
    match(
      reason ?? "",
      /^the running turn was interrupted; 1 message\(s\) that were queued before it run first$/,
    );
    await model.reached("earlier");
    model.open("earlier");
    strictEqual(await outcome(session, stopped), "interrupted");
    strictEqual(await outcome(session, queued.receipt), "completed");
    strictEqual(await outcome(session, receipt), "completed");
  });

  await step(t, "send --steer is taken up by the running turn when a step is left", async () => {
    await sent(session, "SCRIPT:gatetool steering true");
    await model.reached("steering");
    const { result, receipt, reason } = await sent(session, "SCRIPT:gate steered", "--steer");
    strictEqual(result, "queued");
    match(
      reason ?? "",
      /takes it up after its current step if another one follows, else it is the next turn/,
    );
    model.open("steering");
    await model.reached("steered");
    model.open("steered");
    strictEqual(await outcome(session, receipt), "completed");
    strictEqual(await session.lastMessage(), "REPLY: gate steered opened");
    const absorbed = model.requests().filter(({ texts }) => texts.includes("SCRIPT:gate steered"));
    ok(absorbed.some(({ messages }) => JSON.stringify(messages).includes("while you were working")));
  });

  await step(t, "and is the next turn when none is left", async () => {
    await sent(session, "SCRIPT:gate no step left");
    await model.reached("no");
    const { result, receipt } = await sent(session, "SCRIPT:plain next turn", "--steer");
    strictEqual(result, "queued");
    model.open("no");
    strictEqual(await outcome(session, receipt), "completed");
    strictEqual(await session.lastMessage(), "REPLY: next turn [length 22]");
  });

  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});
