/** `send` from many processes, and from processes that are killed: every message goes in whole, once, or not at all. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Sandbox } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";
import { sql } from "../support/sandbox_state.ts";
import { parseOutput, type StubSession, withSession, withSessions } from "../support/stub_session.ts";
import { gateTmux } from "../support/tmux_gate.ts";

/** Of several pastes, so that two could interleave. */
function brief(name: string): string {
  return Array.from({ length: 12 }, (_, i) => `${name} line ${i} ${"~".repeat(i * 10)}`).join("\n");
}

/** Waits until the agent is at rest, so that its prompts are all there are. */
async function settled(session: StubSession): Promise<string[]> {
  const waited = await session.run("wait", "-t", "30");
  strictEqual(waited.code, 0, waited.stderr);
  return await session.prompts();
}

/** Sends as soon as the box is free: what a killed sender has typed may stand in it for a moment. */
async function sentWhenFree(session: StubSession, text: string): Promise<void> {
  await session.sandbox.eventually(async () => {
    const { code, json, stderr } = await session.send(text);
    if (code !== 0) deepStrictEqual([code, json?.result], [4, "refused"], stderr);
    return code === 0;
  }, { what: "the box is free" });
}

function holdsOpen(pid: number, file: string): boolean {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name }) =>
    Deno.readLinkSync(`/proc/${pid}/fd/${name}`).endsWith(`/${file}`)
  );
}

/** Makes room for another gate; a call that stands at the earlier one is not touched. */
async function removeGate(sandbox: Sandbox): Promise<void> {
  await Deno.remove(join(sandbox.root, "bin", "tmux"));
}

for (const count of [5, 20]) {
  Deno.test(`${count} concurrent sends to one session are delivered once each, none within another`, () =>
    withSession({}, async (session) => {
      const texts = Array.from({ length: count }, (_, i) => brief(`message ${i}`));
      const sent = await Promise.all(texts.map((text) => session.send(text)));
      deepStrictEqual(sent.map(({ code }) => code), texts.map(() => 0), sent.map((s) => s.stderr).join(""));
      strictEqual(new Set(sent.map(({ json }) => json.receipt)).size, count);
      deepStrictEqual((await settled(session)).toSorted(), texts.toSorted());
    }));
}

Deno.test("a send that takes long does not hold up another session", () =>
  withSessions(2, async ([held, free], sandbox) => {
    const gate = await gateTmux(sandbox, "source-file", "before");
    const first = sandbox.start(["send", held!.id, "--json", "held"]);
    await gate.reached();
    await free!.sent("free");
    deepStrictEqual(await free!.prompts(), ["free"]);
    deepStrictEqual(await held!.prompts(), []);
    const second = sandbox.start(["send", held!.id, "--json", "behind"]);
    await gate.open();
    for (const running of [first, second]) {
      strictEqual((await running.doneWithin(20_000, "send")).code, 0);
    }
    deepStrictEqual(await held!.prompts(), ["held", "behind"]);
  }));

Deno.test("a sender that is killed before it types leaves nothing", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "display-message", "before");
    const sending = sandbox.start(["send", session.id, "--key", "k", "lost"]);
    await gate.reached();
    await sending.end();
    deepStrictEqual(sql(sandbox, "SELECT receipt FROM sends"), []);
    await sentWhenFree(session, "next");
    await gate.open();
    const repeated = await session.json("send", "--key", "k", "lost");
    deepStrictEqual([repeated.code, repeated.json.result, repeated.json.repeated], [0, "submitted", false]);
    deepStrictEqual(await settled(session), ["next", "lost"]);
  }));

Deno.test("a send that is stopped before it types types nothing", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "display-message", "before");
    const sending = sandbox.start(["send", session.id, "stopped"]);
    await gate.reached();
    const behind = sandbox.start(["send", session.id, "stopped, too"]);
    // It stands before the lock once it has opened it.
    await sandbox.eventually(() => holdsOpen(behind.pid, "send.lock"), { what: "the second send waits" });
    for (const running of [sending, behind]) running.kill("SIGTERM");
    strictEqual((await behind.doneWithin(20_000, "send")).code, 130);
    await gate.open();
    const { code, stderr } = await sending.doneWithin(20_000, "send");
    strictEqual(code, 130);
    match(stderr, /^Cannot send to ".*": interrupted\. Nothing was typed\n$/);
    await session.sent("next");
    deepStrictEqual(await settled(session), ["next"]);
  }));

Deno.test("a sender that is killed before tmux has its commands leaves nothing, and frees the lock", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "source-file", "before");
    const sending = sandbox.start(["send", session.id, brief("killed")]);
    await gate.reached();
    await sending.end();
    await sentWhenFree(session, brief("next"));
    await gate.open();
    await sentWhenFree(session, brief("last"));
    deepStrictEqual(await settled(session), [brief("next"), brief("last")]);
  }));

Deno.test("the tmux call of a killed sender never carries out the commands of the next one", () =>
  withSession({}, async (session, sandbox) => {
    const orphan = await gateTmux(sandbox, "source-file", "before");
    const killed = sandbox.start(["send", session.id, brief("killed")]);
    await orphan.reached();
    const child = (await sandbox.processesOf()).find(({ command }) => command.includes(" source-file "));
    const orphanPid = child?.pid ?? 0;
    ok(orphanPid > 0);
    await killed.end();
    await removeGate(sandbox);
    const gate = await gateTmux(sandbox, "source-file", "after");
    const next = sandbox.start(["send", session.id, brief("next")]);
    await gate.reached();
    await orphan.open();
    await sandbox.eventually(async () => !await isRunning(orphanPid), { what: "the orphan has ended" });
    await gate.open();
    strictEqual((await next.doneWithin(20_000, "send")).code, 0);
    await sentWhenFree(session, "last");
    deepStrictEqual(await settled(session), [brief("next"), "last"]);
  }));

Deno.test("a sender that is killed after its message went in leaves all of it", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "source-file", "after");
    const sending = sandbox.start(["send", session.id, brief("killed")]);
    await gate.reached();
    await sending.end();
    await gate.open();
    await sentWhenFree(session, "next");
    deepStrictEqual(await settled(session), [brief("killed"), "next"]);
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("a send keeps off the text of a killed sender whose Enter was swallowed", () =>
  withSession({ stub: ["swallow-enter=1"] }, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "source-file", "after");
    const sending = sandbox.start(["send", session.id, brief("killed")]);
    await gate.reached();
    await session.shows("killed line 11");
    await sending.end();
    await gate.open();
    const refused = await session.send("next");
    deepStrictEqual([refused.code, refused.json.result], [4, "refused"]);
    await session.type("Enter");
    await session.sandbox.eventually(async () => (await session.prompts()).length > 0, {
      what: "the prompt",
    });
    await sentWhenFree(session, "next");
    deepStrictEqual(await settled(session), [brief("killed"), "next"]);
  }));

Deno.test("a sender that is killed at any moment leaves all of its message or nothing", () =>
  withSession({}, async (session, sandbox) => {
    const texts: string[] = [];
    for (let delay = 20; delay <= 200; delay += 9) {
      const text = brief(`killed after ${delay} ms`);
      texts.push(text);
      const sending = sandbox.start(["send", session.id, text]);
      await new Promise((resolve) => setTimeout(resolve, delay));
      await sending.end();
      const next = `after ${delay} ms`;
      texts.push(next);
      await sentWhenFree(session, next);
    }
    const prompts = await settled(session);
    deepStrictEqual(prompts, texts.filter((text) => prompts.includes(text)));
    ok(prompts.length >= texts.length / 2);
    deepStrictEqual(Object.keys(await session.pressed()), ["enter"]);
  }));

Deno.test("send --key delivers once, however often it is repeated", () =>
  withSession({}, async (session) => {
    const first = await session.json("send", "--key", "k1", "hello");
    const again = await session.json("send", "--key", "k1", "hello");
    deepStrictEqual([first.code, again.code], [0, 0]);
    deepStrictEqual({ ...again.json, repeated: false }, first.json);
    strictEqual(again.json.repeated, true);
    const other = await session.json("send", "--key", "k1", "something else");
    strictEqual(other.code, 2);
    match(other.error, /it was used for another request/);
    const same = await Promise.all(
      Array.from({ length: 5 }, () => session.json("send", "--key", "k2", "five")),
    );
    deepStrictEqual(same.map(({ code }) => code), [0, 0, 0, 0, 0]);
    strictEqual(new Set(same.map(({ json }) => json.receipt)).size, 1);
    strictEqual(same.filter(({ json }) => !json.repeated).length, 1);
    deepStrictEqual(await settled(session), ["hello", "five"]);
  }));

Deno.test("send --key repeated to a session that has ended since tells what the first one came to", () =>
  withSession({}, async (session, sandbox) => {
    const first = await session.json("send", "--key", "k", "hello");
    await sandbox.run(["kill", session.id]);
    const again = await session.json("send", "--key", "k", "hello");
    deepStrictEqual([again.code, again.json], [0, { ...first.json, repeated: true }]);
    const other = await session.json("send", "--key", "k2", "hello");
    strictEqual(other.code, 7);
    match(other.error, /its agent is gone \(killed\)/);
    // It was not sent, and so its key is free.
    strictEqual((await session.json("send", "--key", "k2", "another")).code, 7);
  }));

Deno.test("send --key repeated by five after its first sender was killed delivers once", () =>
  withSession({}, async (session, sandbox) => {
    const gate = await gateTmux(sandbox, "display-message", "before");
    const sending = sandbox.start(["send", session.id, "--key", "k", "hello"]);
    await gate.reached();
    await sending.end();
    await gate.open();
    const same = await Promise.all(
      Array.from({ length: 5 }, () => session.json("send", "--key", "k", "hello")),
    );
    deepStrictEqual(same.map(({ code }) => code), [0, 0, 0, 0, 0], same.map((s) => s.stderr).join(""));
    strictEqual(new Set(same.map(({ json }) => json.receipt)).size, 1);
    deepStrictEqual(await settled(session), ["hello"]);
  }));

Deno.test("send --key after a refusal delivers", () =>
  withSession({}, async (session) => {
    await session.type("draft");
    await session.shows("❯\u00a0draft");
    strictEqual((await session.json("send", "--key", "k", "hello")).code, 4);
    await session.type("C-u");
    const sent = await session.json("send", "--key", "k", "hello");
    deepStrictEqual([sent.code, sent.json.repeated], [0, false]);
    deepStrictEqual(await settled(session), ["hello"]);
  }));

for (const when of ["before", "after"] as const) {
  Deno.test(`send --key of a sender that was killed ${when} tmux had its commands is not typed again`, () =>
    withSession({}, async (session, sandbox) => {
      const gate = await gateTmux(sandbox, "source-file", when);
      const sending = sandbox.start(["send", session.id, "--key", "k", "hello"]);
      await gate.reached();
      await sending.end();
      const [row] = sql(sandbox, "SELECT receipt, result FROM sends");
      strictEqual(row?.["result"], "typing");
      const repeat = async () => parseOutput(await session.run("send", "--json", "--key", "k", "hello"));
      if (when === "before") {
        const unproven = await repeat();
        deepStrictEqual([unproven.code, unproven.json.result], [9, "indeterminate"]);
        strictEqual(unproven.json.receipt, row["receipt"]);
      }
      await gate.open();
      const proven = await sandbox.eventually(async () => {
        const found = await repeat();
        return found.code === 0 ? found : null;
      }, { what: "the repeated send is proven" });
      deepStrictEqual(
        { receipt: proven.json.receipt, result: proven.json.result, repeated: proven.json.repeated },
        { receipt: row["receipt"], result: "submitted", repeated: true },
      );
      deepStrictEqual(await settled(session), ["hello"]);
    }));
}
