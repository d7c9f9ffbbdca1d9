/** The real Claude Code comes back with its conversation after every kind of end, and only where it lives nowhere. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  type LiveSession,
  modelOf,
  openSession,
  step,
} from "../support/live_session.ts";
import { signal } from "../support/processes.ts";
import { sql } from "../support/sandbox_state.ts";

/** Ends tmux, agents and all that they started at one blow, as a crash of the machine does. */
async function crash(sandbox: Sandbox): Promise<void> {
  for (const { pid } of await sandbox.processesOf()) signal(pid, "SIGKILL");
  await sandbox.eventually(async () => (await sandbox.processesOf()).length === 0, { what: "all is dead" });
}

async function resume(session: LiveSession, ...flags: string[]): Promise<LiveSession> {
  const output = await session.run("resume", flags);
  strictEqual(output.stdout, `Resumed session ${session.id}\n`, output.stderr);
  const resumed = await openSession(session.sandbox, session.id);
  strictEqual(resumed.claudeId, session.claudeId);
  strictEqual(await resumed.expect(0, "status"), "idle");
  return resumed;
}

/** As if nobody had used it for an hour, and its state were as old. */
async function age(session: LiveSession): Promise<void> {
  const at = Date.now() - 3_600_000;
  const file = join(session.sandbox.claudeConfig, "sessions", `${session.pid}.json`);
  const entry = await session.reaches("idle");
  await Deno.writeTextFile(file, JSON.stringify({ ...entry, updatedAt: at, statusUpdatedAt: at }));
  sql(
    session.sandbox,
    "UPDATE sessions SET last_used_at = ? WHERE id = ?",
    new Date(at).toISOString(),
    session.id,
  );
}

/** Whether the model was shown each of these texts with the request for this prompt, in their order. */
function shown(sandbox: Sandbox, prompt: string, texts: readonly string[]): boolean {
  const request = modelOf(sandbox).requests().map(({ messages }) => JSON.stringify(messages))
    .findLast((messages) => messages.includes(prompt));
  const places = [...texts, prompt].map((text) => request?.indexOf(text) ?? -1);
  return places.every((place, index) => place > (places[index - 1] ?? -1));
}

/** Whether the model was shown a text with the request for this prompt. */
function saw(sandbox: Sandbox, prompt: string, text: string): boolean {
  return shown(sandbox, prompt, [text]);
}

Deno.test("sessions come back after the death of everything", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  let idle = await createSession(sandbox);
  let working = await createSession(sandbox);
  let fresh = await createSession(sandbox);
  let receipt = "";

  await step(t, "while one rests, one works with a message in its queue, and one never got any", async () => {
    await idle.turn("SCRIPT:plain first thing");
    ({ receipt } = JSON.parse(await working.expect(0, "send", ["--json", "--", "SCRIPT:gate never-opened"])));
    await model.reached("never-opened");
    strictEqual(await working.send("SCRIPT:plain in the queue"), "queued");
    await crash(sandbox);
    strictEqual((await sandbox.run(["list"])).stdout, "No active sessions\n");
    const all = JSON.parse((await sandbox.run(["list", "--all", "--json"])).stdout);
    deepStrictEqual(all.map((row: { resumable: boolean }) => row.resumable), [true, true, true]);
    const sent = await idle.run("send", ["SCRIPT:plain nobody is there"]);
    await idle.assertCode(sent, 7, "send");
    match(sent.stderr, new RegExp(`Bring it back with: dev-sessions resume ${idle.id}\n$`));
  });

  await step(t, "the model sees the conversation of before", async () => {
    idle = await resume(idle);
    strictEqual(await idle.lastMessage(), "REPLY: first thing [length 24]");
    strictEqual(await idle.expect(0, "wait"), "completed");
    strictEqual(await idle.turn("SCRIPT:plain second thing"), "REPLY: second thing [length 25]");
    ok(shown(sandbox, "SCRIPT:plain second thing", ["SCRIPT:plain first thing", "REPLY: first thing"]));
    match(await idle.expect(0, "logs"), /first thing[\s\S]*second thing/);
  });

  await step(t, "what was under way is told to have failed, and is not taken up by itself", async () => {
    working = await resume(working);
    const cutOff = await working.run("wait", ["--message", receipt]);
    await working.assertCode(cutOff, 6, "wait");
    match(cutOff.stderr, /its agent ended before the turn was over/);
    strictEqual((await working.run("wait")).code, 6);
    strictEqual(await working.turn("SCRIPT:plain go on"), "REPLY: go on [length 18]");
    ok(saw(sandbox, "SCRIPT:plain go on", "SCRIPT:gate never-opened"));
    ok(!model.prompts().includes("SCRIPT:plain in the queue"));
    strictEqual((await working.run("wait", ["--message", receipt])).code, 6);
  });

  await step(t, "a conversation that never began begins", async () => {
    fresh = await resume(fresh);
    strictEqual(await fresh.turn("SCRIPT:plain hello"), "REPLY: hello [length 18]");
  });

  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await assertNothingLeft(sandbox);
});

Deno.test("a session that was killed comes back again and again", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  let session = await createSession(sandbox, ["--mode", "native", "--trust"]);

  await step(t, "with its mode, and as itself", async () => {
    await session.turn("SCRIPT:plain one");
    for (const [text, before] of [["two", ["one"]], ["three", ["one", "two"]]] as const) {
      await session.expect(0, "kill");
      session = await resume(session);
      await session.turn(`SCRIPT:plain ${text}`);
      ok(shown(sandbox, `SCRIPT:plain ${text}`, before.map((part) => `SCRIPT:plain ${part}`)));
    }
    await session.send(`SCRIPT:bash touch ${join(sandbox.workspace, "file")}`);
    const asked = await session.run("wait");
    await session.assertCode(asked, 5, "wait");
    await session.answerDialog("1");
    await session.completed();
  });

  await step(t, "refused while it is live", async () => {
    const again = await session.run("resume");
    await session.assertCode(again, 1, "resume");
    match(again.stderr, /^Cannot resume "[a-z-]+": it is live already\. /);
  });

  await step(t, "refused while a person has the conversation open", async () => {
    await session.expect(0, "kill");
    const claude = `CLAUDE_CODE_SANDBOXED=1 IS_SANDBOX=1 exec claude --resume ${session.claudeId}`;
    const opened = await sandbox.tmux("new-session", "-d", "-P", "-F", "#{pane_pid}", "-s", "mine", claude);
    const pid = Number(opened.stdout);
    const file = join(sandbox.claudeConfig, "sessions", `${pid}.json`);
    await sandbox.eventually(async () => (await Deno.readTextFile(file)).includes('"idle"'), {
      what: "the person's own Claude",
    });
    const refused = await session.run("resume");
    strictEqual(refused.code, 1, refused.stdout);
    match(
      refused.stderr,
      new RegExp(`: its conversation is live in another Claude \\(process ${pid}\\)\\. `),
    );
    // Killed so, it leaves its record behind.
    signal(pid, "SIGKILL");
    await sandbox.eventually(async () => (await sandbox.processesOf()).every((one) => one.pid !== pid), {
      what: "the person's Claude is dead",
    });
    ok((await Deno.stat(file)).isFile);
    await sandbox.tmux("kill-server");
    session = await resume(session);
    await session.turn("SCRIPT:plain four");
  });

  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

Deno.test("after /clear the newer conversation comes back", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  let session = await createSession(sandbox);
  await session.turn("SCRIPT:plain before");
  await session.type("/clear");
  await session.shows("/clear");
  await session.press("Enter");
  await sandbox.eventually(async () => {
    const entry = await session.live();
    return entry?.status === "idle" && entry.sessionId !== session.claudeId;
  }, { what: "another conversation" });
  // Before its first prompt, and after it.
  for (const text of ["anew", "once more"]) {
    await session.expect(0, "kill");
    session = await resume(session);
    await session.turn(`SCRIPT:plain ${text}`);
  }
  ok(saw(sandbox, "SCRIPT:plain once more", "SCRIPT:plain anew"));
  ok(!saw(sandbox, "SCRIPT:plain once more", "SCRIPT:plain before"));
  match(await session.expect(0, "logs"), /before[\s\S]*anew[\s\S]*once more/);
  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

Deno.test("endIdleAfter ends a Claude that rests, not one with a draft, and it comes back", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  let [resting, draft] = [await createSession(sandbox), await createSession(sandbox)];
  await resting.turn("SCRIPT:plain hello");
  await draft.turn("SCRIPT:plain hello");
  await draft.type("half a thought");
  await draft.shows("half a thought");
  const config = join(sandbox.home, ".dev-sessions", "config.json");
  await Deno.writeTextFile(config, JSON.stringify({ endIdleAfter: "1m" }));
  strictEqual((await sandbox.run(["list"])).stderr, "");
  await age(resting);
  await age(draft);
  sql(sandbox, "DELETE FROM meta WHERE key = 'last_idle_check'");
  const ended = (await sandbox.run(["list"])).stderr;
  match(ended, new RegExp(`^\\[dev-sessions\\] ended ${resting.id}: idle for 1m\\. .*\n$`));
  match(await draft.screen(), /half a thought/);
  strictEqual(await draft.expect(0, "status"), "idle");
  resting = await resume(resting);
  strictEqual(await resting.turn("SCRIPT:plain again"), "REPLY: again [length 18]");
  ok(saw(sandbox, "SCRIPT:plain again", "SCRIPT:plain hello"));
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await assertNothingLeft(sandbox);
});
