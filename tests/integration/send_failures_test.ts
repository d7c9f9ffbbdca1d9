/** `send` when something is in the way: it types only where that is safe, and never calls delivered what is not. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { signal } from "../support/processes.ts";
import { runJson, type StubSession, withSession } from "../support/stub_session.ts";
import { gateTmux } from "../support/tmux_gate.ts";

/** Asserts that nothing at all reached the agent's terminal meanwhile. */
async function nothingTyped<T>(session: StubSession, body: () => Promise<T>): Promise<T> {
  const before = { keys: await session.keys(), screen: await session.screen() };
  const result = await body();
  deepStrictEqual({ keys: await session.keys(), screen: await session.screen() }, before);
  return result;
}

/** The text was pasted once, whatever happened to its Enter; no other key than Enter was pressed. */
async function typedOnce(session: StubSession, text: string): Promise<void> {
  strictEqual((await session.pasted()).trimEnd(), text);
  deepStrictEqual(Object.keys(await session.pressed()), ["enter"]);
}

const PENDING = [
  ["SCRIPT:permission touch granted", /it waits for a permission \(Bash: touch granted\)/, "permission"],
  [
    "SCRIPT:ask",
    /it waits for the answer to a question \(Which colour\?\)[\s\S]*1\. Red \(warm\)\n2\. Blue \(cold\)/,
    "question",
  ],
  ["SCRIPT:plan", /it waits for the approval of a plan/, "plan"],
  ["SCRIPT:dialog", /it waits for the answer to a dialog/, "dialog"],
] as const;

Deno.test("send is refused while the agent waits for input, and nothing is typed", () =>
  withSession({}, async (session) => {
    for (const [script, error, kind] of PENDING) {
      await session.sent(script);
      await session.becomes("waiting_for_input");
      const refused = await nothingTyped(session, () => session.send("meanwhile"));
      deepStrictEqual([refused.code, refused.json.result], [5, "refused"], script);
      match(refused.error, error);
      ok(refused.error.includes(`Cannot send to "${session.id}"`));
      const status = await session.json("status");
      strictEqual(status.json.pending.kind, kind);
      await session.type("1");
      strictEqual((await session.run("wait")).stdout, "completed\n");
    }
    await session.sent("now it works");
    deepStrictEqual(await session.prompts(), [...PENDING.map(([script]) => script), "now it works"]);
  }));

Deno.test("send is refused while a person has a dialog open", () =>
  withSession({}, async (session) => {
    await session.type("/model");
    await session.type("Enter");
    await session.shows("Select model");
    const refused = await nothingTyped(session, () => session.send("meanwhile"));
    strictEqual(refused.code, 5);
    match(refused.error, /a dialog is open in its terminal/);
    await session.type("Escape");
    await session.becomes("idle");
    await session.sent("now it works");
  }));

for (
  const [name, stub] of [["no live registry", ["no-registry"]], ["neither hooks nor registry", [
    "no-registry",
    "no-hooks",
  ]]] as const
) {
  Deno.test(`send types nothing into a permission dialog with ${name}`, () =>
    withSession({ stub }, async (session) => {
      await session.sent("SCRIPT:permission touch granted");
      await session.shows("Do you want to proceed?");
      const refused = await nothingTyped(session, () => session.send("meanwhile"));
      deepStrictEqual(
        [refused.code, refused.json.result],
        [stub.length === 1 ? 5 : 4, "refused"],
        refused.stderr,
      );
      await session.type("1");
      await session.shows("DONE after tool");
      await session.sent("now it works");
    }));
}

Deno.test("send is refused while a person's draft is in the box, and the draft stays", () =>
  withSession({}, async (session) => {
    for (const draft of ["half a thought", "x", "sent to nobody ".repeat(12).trim()]) {
      await session.type("-l", draft);
      await session.shows(`❯\u00a0${draft}`);
      const refused = await nothingTyped(session, () => session.send("meanwhile"));
      deepStrictEqual([refused.code, refused.json.result], [4, "refused"]);
      match(refused.error, /its input box holds text that was not sent: ".+\. Nothing was delivered$/);
      ok(refused.error.includes(draft.slice(0, 40)));
      await session.type("C-u");
    }
    await session.type("!");
    await session.shows("!\u00a0");
    const bash = await nothingTyped(session, () => session.send("meanwhile"));
    strictEqual(bash.code, 4);
    match(bash.error, /bash mode/);
    await session.type("BSpace");
    await session.shows("❯\u00a0");
    await session.sent("now it works");
    deepStrictEqual(await session.prompts(), ["now it works"]);
  }));

Deno.test("send leaves tmux's copy mode first", () =>
  withSession({}, async (session, sandbox) => {
    await sandbox.tmux("copy-mode", "-t", session.pane);
    await session.sent("line one\nline two q");
    deepStrictEqual(await session.prompts(), ["line one\nline two q"]);
    const mode = await sandbox.tmux("display-message", "-p", "-t", session.pane, "#{pane_in_mode}");
    strictEqual(mode.stdout, "0\n");
  }));

Deno.test("send works in both of vim's modes", () =>
  withSession({ stub: ["vim"] }, async (session) => {
    await session.shows("-- INSERT --");
    await session.sent("iaIA dd :q");
    await session.type("Escape");
    await session.sandbox.eventually(async () => !(await session.screen()).includes("INSERT"), {
      what: "NORMAL",
    });
    await session.sent("iaIA dd :q!");
    deepStrictEqual(await session.prompts(), ["iaIA dd :q", "iaIA dd :q!"]);
  }));

Deno.test("send sees through a placeholder in the box", () =>
  withSession({ stub: ["placeholder"] }, async (session) => {
    await session.shows('Try "how does');
    await session.sent("hello");
    deepStrictEqual(await session.prompts(), ["hello"]);
  }));

for (const times of [1, 2]) {
  Deno.test(`send presses Enter again when it was swallowed, ${times}x`, () =>
    withSession({ stub: [`swallow-enter=${times}`] }, async (session) => {
      const text = "first\nsecond";
      strictEqual((await session.send(text)).json.result, "submitted");
      deepStrictEqual(await session.prompts(), [text]);
      await typedOnce(session, text);
      deepStrictEqual(await session.pressed(), { enter: times + 1 });
    }));
}

Deno.test("send presses Enter again under a text that is taller than the screen", () =>
  withSession({ stub: ["swallow-enter=1"] }, async (session) => {
    const text = Array.from({ length: 300 }, (_, i) => `${i} ${"word ".repeat(20)}.`).join("\n");
    strictEqual((await session.send(text)).json.result, "submitted");
    deepStrictEqual(await session.prompts(), [text]);
    await typedOnce(session, text);
  }));

Deno.test("send says refused, and why, when a hook of the user's own blocks the prompt", () =>
  withSession({ stub: ["block-prompt"] }, async (session) => {
    const sent = await session.send("unwanted");
    deepStrictEqual([sent.code, sent.json.result], [4, "refused"]);
    match(sent.error, /operation blocked by hook:\s+not now\. Nothing was delivered$/);
    await typedOnce(session, "unwanted");
    // It is no delivery to wait for, but the last thing that happened here.
    const waited = await session.run("wait");
    deepStrictEqual([waited.code, waited.stdout], [6, "failed\n"]);
    match(waited.stderr, /operation blocked by hook: not now/);
  }));

Deno.test("send to an agent that crashes over the message is proven by what it wrote before", () =>
  withSession({}, async (session) => {
    const sent = await session.send("SCRIPT:crash 4");
    deepStrictEqual([sent.code, sent.json.result], [0, "submitted"]);
    const waited = await session.run("wait");
    strictEqual(waited.code, 7);
    match(waited.stderr, /is gone: exit 4/);
  }));

Deno.test("send says indeterminate when the agent dies while the message is being typed", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "source-file", "before");
    const sending = sandbox.start(["send", session.id, "--json", "never read"]);
    await gate.reached();
    await session.killAgent();
    await gate.open();
    const { code, stdout } = await sending.doneWithin(20_000, "send");
    deepStrictEqual([code, JSON.parse(stdout).result], [9, "indeterminate"]);
    match(JSON.parse(stdout).reason, /the agent died/);
    strictEqual((await session.run("wait")).code, 7);
  }));

Deno.test("send that is stopped after it typed says that nothing is proven", () =>
  withSession({ stub: ["lose-enter"] }, async (session, sandbox) => {
    const sending = sandbox.start(["send", session.id, "--json", "half way"]);
    await session.shows("half way");
    sending.kill("SIGTERM");
    const { code, stdout } = await sending.doneWithin(20_000, "send");
    deepStrictEqual([code, JSON.parse(stdout).result], [9, "indeterminate"]);
    match(JSON.parse(stdout).reason, /interrupted/);
  }));

Deno.test("send to a tmux that does not answer types nothing, then or later", () =>
  withSession({}, async (session, sandbox) => {
    const pid = Number((await sandbox.tmux("display-message", "-p", "#{pid}")).stdout);
    signal(pid, "SIGSTOP");
    let sent;
    try {
      sent = await session.send("late");
    } finally {
      signal(pid, "SIGCONT");
    }
    deepStrictEqual([sent.code, sent.json.result], [4, "refused"]);
    match(sent.error, /tmux does not answer/);
    await session.sent("afterwards");
    deepStrictEqual(await session.prompts(), ["afterwards"]);
  }));

const PARTIAL = [
  ["no-hooks", 0, "submitted", /^transcript: user prompt$/],
  ["no-registry", 0, "submitted", /^(transcript: user prompt|hooks: UserPromptSubmit and Stop)$/],
  ["no-registry,no-hooks", 0, "submitted", /^transcript: user prompt$/],
  ["no-transcript", 0, "submitted", /^hooks: UserPromptSubmit and Stop$/],
  ["no-transcript,no-registry", 0, "submitted", /^hooks: UserPromptSubmit and Stop$/],
] as const;

for (const [stub, code, result, evidence] of PARTIAL) {
  Deno.test(`send with ${stub} says ${result}`, () =>
    withSession({ stub: stub.split(",") }, async (session) => {
      const sent = await session.send("hello");
      deepStrictEqual([sent.code, sent.json.result], [code, result], sent.stderr);
      match(String(sent.json.evidence), evidence);
      await typedOnce(session, "hello");
      deepStrictEqual(await session.prompts(), ["hello"]);
    }));
}

// Each takes the whole time that a proof may take, so they run side by side.
Deno.test("send that can't write what tmux is to type delivers nothing and says so", () =>
  withSession({}, async (session) => {
    await Deno.remove(`${session.sandbox.home}/.dev-sessions/sessions`, { recursive: true });
    const refused = await nothingTyped(session, () => session.send("lost?"));
    strictEqual(refused.code, 4);
    match(refused.error, /^Cannot send to ".*": its folder ".*" can't be used: .*Nothing was typed/);
    strictEqual((await session.run("kill")).code, 0);
  }));

Deno.test("send never calls delivered what no record shows", () =>
  Promise.all([textStays(), textVanishes(), noRecords(), onlyHooks()]).then(() => {}));

function textStays(): Promise<void> {
  return withSession({ stub: ["lose-enter"] }, async (session) => {
    const sent = await session.send("stuck");
    deepStrictEqual([sent.code, sent.json.result], [9, "typed_not_submitted"]);
    match(sent.error, /the text stands in its input box/);
    await typedOnce(session, "stuck");
    const again = await nothingTyped(session, () => session.send("stuck"));
    deepStrictEqual([again.code, again.json.result], [4, "refused"]);
    deepStrictEqual(await session.prompts(), []);
    strictEqual((await session.run("wait", "-t", "30")).stdout, "idle\n");
  });
}

function textVanishes(): Promise<void> {
  return withSession({ stub: ["lost-paste"] }, async (session) => {
    const sent = await session.send("lost");
    deepStrictEqual([sent.code, sent.json.result], [9, "indeterminate"]);
    match(sent.error, /it may have been delivered, but nothing proves it: .*status .* --explain/);
    await typedOnce(session, "lost");
    strictEqual((await session.run("wait", "-t", "30")).stdout, "idle\n");
  });
}

function noRecords(): Promise<void> {
  return withSession({ stub: ["no-transcript", "no-hooks"] }, async (session) => {
    const sent = await session.send("hello");
    deepStrictEqual([sent.code, sent.json.result], [9, "indeterminate"], sent.stderr);
    strictEqual(sent.json.evidence, null);
    await typedOnce(session, "hello");
    deepStrictEqual(await session.prompts(), ["hello"]);
  });
}

function onlyHooks(): Promise<void> {
  return withSession({ stub: ["no-transcript"] }, async (session, sandbox) => {
    const gate = session.gate();
    const sent = await session.send(`SCRIPT:gate ${gate.path}`);
    deepStrictEqual([sent.code, sent.json.result], [9, "indeterminate"]);
    match(sent.error, /the agent saw it \(hook UserPromptSubmit\)/);
    await gate.open();
    const waited = await runJson(sandbox, ["wait", session.id, "-t", "20"]);
    strictEqual(waited.json.outcome, "completed");
  });
}
