/** `wait` and `status` tell the truth about every way in which a turn of the real Claude Code goes on or ends. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox } from "../support/harness.ts";
import {
  assertDeliveredOnce,
  assertNothingLeft,
  createSession,
  fileAppears,
  modelOf,
  step,
} from "../support/live_session.ts";

/** Claude is killed or its tmux goes: a wait ends within this time. */
const DEATH_NOTICED_MS = 3_000;

Deno.test("turns of one yolo session", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const session = await createSession(sandbox, [], { env: { CLAUDE_CODE_MAX_RETRIES: "0" } });

  await step(t, "a plain one, and one with a tool", async () => {
    strictEqual(await session.turn("SCRIPT:plain hello"), "REPLY: hello [length 18]");
    match(await session.turn("SCRIPT:bash echo from-the-tool"), /^DONE after tool: .*from-the-tool/);
  });

  await step(t, "a reply of 20 000 words comes back complete", async () => {
    const words = Array.from({ length: 20_000 }, (_, i) => `word${i}`).join(" ");
    strictEqual(await session.turn("SCRIPT:long 20000"), `REPLY: ${words}`);
  });

  await step(t, "two sends while it works: wait returns after the turn that took them up", async () => {
    strictEqual(await session.send("SCRIPT:gate first"), "submitted");
    await model.reached("first");
    strictEqual(await session.send("SCRIPT:plain second"), "queued");
    strictEqual(await session.send("SCRIPT:gate third"), "queued");
    const wait = session.wait();
    model.open("first");
    await model.reached("third");
    await session.stillWaiting(wait, "working");
    model.open("third");
    strictEqual((await session.over(wait, 0)).stdout, "completed\n");
    strictEqual(await session.lastMessage(), "REPLY: gate third opened");
    assertDeliveredOnce(model, ["SCRIPT:gate first", "SCRIPT:plain second", "SCRIPT:gate third"]);
  });

  await step(t, "a send that is absorbed into the running turn ends with it", async () => {
    strictEqual(await session.send("SCRIPT:gatetool absorbing true"), "submitted");
    await model.reached("absorbing");
    strictEqual(await session.send("SCRIPT:gate absorbed"), "queued");
    const wait = session.wait();
    model.open("absorbing");
    await model.reached("absorbed");
    await session.stillWaiting(wait, "working");
    model.open("absorbed");
    await session.over(wait, 0);
    strictEqual(await session.lastMessage(), "REPLY: gate absorbed opened");
    assertDeliveredOnce(model, ["SCRIPT:gatetool absorbing true", "SCRIPT:gate absorbed"]);
  });

  await step(t, "five concurrent sends are each delivered once", async () => {
    const texts = Array.from({ length: 5 }, (_, i) => `SCRIPT:plain concurrent ${i}\nwith a second line`);
    const results = await Promise.all(texts.map((text) => session.send(text)));
    ok(results.every((result) => result === "submitted" || result === "queued"), results.join());
    await session.completed();
    await session.reaches("idle");
    assertDeliveredOnce(model, texts);
  });

  await step(t, "an answer that hits max_tokens goes on by itself", async () => {
    await session.send("SCRIPT:maxtok");
    await session.completed();
    match(await session.lastMessage(), /^REPLY: (?!cut off)/);
  });

  await step(t, "an API error fails the turn with its text, and the next message is taken", async () => {
    await session.send("SCRIPT:err400");
    const failed = await session.run("wait");
    await session.assertCode(failed, 6, "wait");
    strictEqual(failed.stdout, "failed\n");
    match(failed.stderr, /API Error: 400 .*scripted invalid_request_error/);
    match((await session.status()).lastError ?? "", /scripted invalid_request_error/);
    await session.send("SCRIPT:err401");
    const unknown = await session.run("wait");
    await session.assertCode(unknown, 6, "wait");
    match(unknown.stderr, /401 .*scripted authentication_error/);
    strictEqual(await session.turn("SCRIPT:plain after"), "REPLY: after [length 18]");
  });

  await step(t, "a person's Escape, while it answers and while a tool runs", async () => {
    await session.send("SCRIPT:streamgate never");
    await model.reached("never");
    const streaming = session.wait();
    await session.stillWaiting(streaming, "working");
    await session.press("Escape");
    strictEqual((await session.over(streaming, 6)).stdout, "interrupted\n");

    const started = join(sandbox.root, "tool-started");
    await session.send(`SCRIPT:bash touch ${started}; sleep 60`);
    await fileAppears(sandbox, started);
    const running = session.wait();
    await session.stillWaiting(running, "working");
    await session.press("Escape");
    match((await session.over(running, 6)).stderr, /interrupted/);
    strictEqual(await session.expect(0, "status"), "idle");
    strictEqual(await session.turn("SCRIPT:plain after"), "REPLY: after [length 18]");
  });

  await step(t, "a background shell prolongs only a wait --background", async () => {
    const flag = join(sandbox.root, "background-may-end");
    await session.send(`SCRIPT:bgbash while ! test -e ${flag}; do sleep 0.1; done`);
    await session.completed();
    strictEqual(await session.expect(0, "status"), "idle");
    deepStrictEqual((await session.status()).background.map(({ type }) => type), ["shell"]);
    const wait = session.wait("--background");
    await session.stillWaiting(wait, "idle");
    await Deno.writeTextFile(flag, "");
    strictEqual((await session.over(wait, 0)).stdout, "completed\n");
    await session.reaches("idle");
  });

  await step(t, "a subagent prolongs its turn to the end of what it brings about", async () => {
    await session.send("SCRIPT:agent gate subagent");
    const wait = session.wait();
    await model.reached("subagent");
    await session.shows("DONE after tool");
    await session.stillWaiting(wait, "working");
    model.open("subagent");
    await session.over(wait, 0);
    match(await session.lastMessage(), /^DONE after tool: .*SYSTEM NOTIFICATION/);
  });

  await step(t, "a question waits for input, and nothing is typed into it", async () => {
    await session.send("SCRIPT:ask");
    const asked = await session.run("wait");
    await session.assertCode(asked, 5, "wait");
    strictEqual(asked.stdout, "waiting_for_input\n");
    match(
      asked.stderr,
      /waits for the answer to a question \(Which colour\?\)\n *1\. Red \(warm\)\n *2\. Blue \(cold\)\n/,
    );
    const { state, pending } = await session.status();
    strictEqual(state, "waiting_for_input");
    strictEqual(pending?.kind, "question");
    deepStrictEqual(pending?.options, ["Red", "Blue"]);
    const refused = await session.run("send", ["SCRIPT:plain not now"]);
    await session.assertCode(refused, 5, "send");
    doesNotMatch(await session.screen(), /not now/);
  });

  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

Deno.test("permissions and plans in native mode wait for input", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const native = ["--mode", "native", "--trust"];
  const session = await createSession(sandbox, native);

  await step(t, "a permission names tool and input; send is refused and types nothing", async () => {
    const file = join(sandbox.workspace, "made-by-the-tool");
    await session.send(`SCRIPT:bash touch ${file}`);
    const asked = await session.run("wait");
    await session.assertCode(asked, 5, "wait");
    match(asked.stderr, /waits for a permission \(Bash: touch .*made-by-the-tool\)/);
    const { pending } = await session.status();
    strictEqual(pending?.kind, "permission");
    strictEqual(pending?.tool, "Bash");
    strictEqual((pending?.input as { command: string }).command, `touch ${file}`);
    match(await session.expect(0, "status"), /^waiting_for_input\n/);

    await session.shows("Do you want to proceed?");
    const before = await session.screen();
    const refused = await session.run("send", ["SCRIPT:plain not now"]);
    await session.assertCode(refused, 5, "send");
    match(refused.stderr, /^Cannot send to ".*": it waits for a permission \(Bash: touch/);
    strictEqual(await session.screen(), before);
    strictEqual((await session.live())?.status, "waiting");

    await session.answerDialog("1");
    await session.completed();
    ok((await Deno.stat(file)).isFile);
    ok(!model.prompts().includes("SCRIPT:plain not now"));
  });

  await step(t, "a plan waits for its approval", async () => {
    const planner = await createSession(sandbox, [
      ...native,
      "--agent-arg=--permission-mode",
      "--agent-arg=plan",
    ]);
    await planner.send("SCRIPT:plan");
    const asked = await planner.run("wait");
    await planner.assertCode(asked, 5, "wait");
    match(asked.stderr, /waits for the approval of a plan/);
    strictEqual((await planner.status()).pending?.kind, "plan");
    await planner.assertCode(await planner.run("send", ["not now"]), 5, "send");
  });

  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await assertNothingLeft(sandbox);
});

Deno.test("two sessions: wait --any and --all, and an agent or a tmux that dies in the middle", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const [one, two] = await Promise.all([createSession(sandbox), createSession(sandbox)]);

  await step(t, "--any returns with the first, --all with the last", async () => {
    await Promise.all([one.send("SCRIPT:gate one"), two.send("SCRIPT:gate two")]);
    await Promise.all([model.reached("one"), model.reached("two")]);
    const any = sandbox.start(["wait", "--any", one.id, two.id]);
    const all = sandbox.start(["wait", one.id, two.id, "--json"]);
    model.open("two");
    strictEqual((await two.over(any, 0)).stdout, `${two.id}\tcompleted\n`);
    await one.stillWaiting(all, "working");
    model.open("one");
    const { stdout } = await one.over(all, 0);
    deepStrictEqual(stdout.trim().split("\n").map((line) => JSON.parse(line)), [
      { id: two.id, outcome: "completed" },
      { id: one.id, outcome: "completed" },
    ]);
  });

  await step(t, "kill -9 of the agent ends a wait with exit code 7", async () => {
    await one.send("SCRIPT:gate killed");
    await model.reached("killed");
    const wait = one.wait();
    await one.stillWaiting(wait, "working");
    Deno.kill(one.pid, "SIGKILL");
    const begin = performance.now();
    const { stdout, stderr } = await one.over(wait, 7);
    const ms = performance.now() - begin;
    ok(ms < DEATH_NOTICED_MS, `noticed after ${Math.round(ms)} ms`);
    strictEqual(stdout, "gone\n");
    match(stderr, /is gone: signal 9/);
    strictEqual(await one.expect(0, "status"), "gone");
    await one.assertCode(await one.run("send", ["x"]), 7, "send");
    strictEqual(await one.lastMessage(), "REPLY: gate one opened");
  });

  await step(t, "so does the end of its tmux server", async () => {
    await two.send("SCRIPT:gate orphaned");
    await model.reached("orphaned");
    const wait = two.wait();
    await two.stillWaiting(wait, "working");
    const begin = performance.now();
    await sandbox.tmux("kill-server");
    strictEqual((await two.over(wait, 7)).stdout, "gone\n");
    const ms = performance.now() - begin;
    ok(ms < DEATH_NOTICED_MS, `noticed after ${Math.round(ms)} ms`);
  });

  await assertNothingLeft(sandbox);
});

Deno.test("a user's own hooks and a person's /clear", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const log = join(sandbox.root, "user-hooks.log");
  await writeUserHooks(sandbox.claudeConfig, log);
  const session = await createSession(sandbox);

  await step(t, "hooks in the user's settings run beside ours", async () => {
    match(await session.turn("SCRIPT:bash true"), /^DONE after tool/);
    strictEqual(await Deno.readTextFile(log), "UserPromptSubmit\nPostToolUse\nStop\n");
  });

  await step(t, "a Stop hook that makes it go on is no end", async () => {
    const flag = join(sandbox.root, "block-stop");
    await Deno.writeTextFile(flag, "");
    await session.send("SCRIPT:plain go on");
    await session.completed();
    match(await session.lastMessage(), /^REPLY: .*once more/s);
    strictEqual(await Deno.stat(flag).then(() => true, () => false), false);
  });

  await step(t, "a UserPromptSubmit hook that blocks is a refusal", async () => {
    const refused = await session.run("send", ["SCRIPT:plain forbidden word"]);
    await session.assertCode(refused, 4, "send");
    match(refused.stderr, /blocked by hook/);
    strictEqual(await session.expect(0, "status"), "idle");
    const draft = await session.run("send", ["SCRIPT:plain next"]);
    await session.assertCode(draft, 4, "send");
    match(draft.stderr, /its input box holds text that was not sent: "SCRIPT:plain forbidden word"/);
    await session.clearDraft("❯\u00a0SCRIPT:plain forbidden");
    strictEqual(await session.turn("SCRIPT:plain allowed"), "REPLY: allowed [length 20]");
  });

  await step(t, "so is one of a long text, whose notice has it whole", async () => {
    const lines = Array.from(
      { length: 400 },
      (_, i) => `line ${i}: äöü 漢字 forbidden  ${"0123456789".repeat(4)}`,
    );
    const other = await createSession(sandbox);
    const refused = await other.run("send", [`/x\n\n${lines.join("\n")}`]);
    await other.assertCode(refused, 4, "send");
    match(refused.stderr, /blocked by hook/);
    await other.expect(0, "kill");
  });

  await step(t, "after /clear the session goes on with its new conversation", async () => {
    const before = (await session.live())?.sessionId;
    await session.type("/clear");
    await session.shows("/clear");
    await session.press("Enter");
    await sandbox.eventually(async () => {
      const entry = await session.live();
      return entry?.status === "idle" && entry.sessionId !== before;
    }, { what: "a new session id" });
    strictEqual(await session.expect(0, "status"), "idle");
    strictEqual(await session.turn("SCRIPT:plain anew"), "REPLY: anew [length 17]");
    const log = await session.expect(0, "logs");
    match(log, /allowed[\s\S]*anew/);
  });

  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

/** A user's settings: hooks that log, block one Stop when `block-stop` is there, and refuse the word `forbidden`. */
async function writeUserHooks(config: string, log: string): Promise<void> {
  const hook = (command: string) => [{ hooks: [{ type: "command", command }] }];
  const flag = join(log, "..", "block-stop");
  const prompt = `grep -q forbidden && { echo not allowed >&2; exit 2; }; echo UserPromptSubmit >>${log}`;
  const stop = `echo Stop >>${log}; rm ${flag} 2>/dev/null || exit 0; echo once more >&2; exit 2`;
  await Deno.mkdir(config, { recursive: true });
  await Deno.writeTextFile(
    join(config, "settings.json"),
    JSON.stringify({
      hooks: {
        UserPromptSubmit: hook(prompt),
        PostToolUse: hook(`echo PostToolUse >>${log}`),
        Stop: hook(stop),
      },
    }),
  );
}
