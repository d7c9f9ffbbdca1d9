/** `respond` where no hook waits (one key, if that), where a person is faster, and where nothing proves an answer. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { type StubSession, withSession } from "../support/stub_session.ts";

const asking = async (session: StubSession, script: string) => {
  await session.sent(script);
  await session.becomes("waiting_for_input");
  return (await session.json("status")).json.pending;
};

/** Presses nothing before the command, so that whatever was pressed is its own. */
async function pressedBy(session: StubSession, ...args: string[]) {
  const before = (await session.keys()).length;
  const output = await session.json("respond", ...args);
  return { ...output, keys: (await session.keys()).slice(before) };
}

Deno.test("with its hook, an answer presses no key", () =>
  withSession({}, async (session) => {
    const pending = await asking(session, "SCRIPT:permission touch granted");
    deepStrictEqual([pending.answerable, pending.always], ["direct", "accept edits of files without asking"]);
    const approved = await pressedBy(session, "--approve");
    deepStrictEqual([approved.code, approved.json.by, approved.keys], [0, "direct", []]);
    strictEqual((await session.run("wait")).stdout, "completed\n");

    await asking(session, "SCRIPT:permission touch refused");
    const denied = await pressedBy(session, "--deny", "--message", "not there");
    deepStrictEqual([denied.code, denied.keys], [0, []]);
    strictEqual((await session.run("wait")).stdout, "completed\n");
    strictEqual((await session.run("last-message")).stdout, "DONE after tool: not there\n");

    await asking(session, "SCRIPT:ask");
    strictEqual((await pressedBy(session, "Mauve")).code, 0);
    strictEqual((await session.run("wait")).stdout, "completed\n");
    match((await session.run("last-message")).stdout, /"Which colour\?"="Mauve"/);
  }));

Deno.test("without hooks one key answers what the screen shows, and only what a key can say", () =>
  withSession({ stub: ["no-hooks"] }, async (session) => {
    const pending = await asking(session, "SCRIPT:permission touch granted");
    deepStrictEqual([pending.answerable, pending.options], ["keys", ["approve", "deny"]]);
    await session.shows("Do you want to proceed?");
    const worded = await pressedBy(session, "--deny", "--message", "not there");
    deepStrictEqual([worded.code, worded.keys], [1, []]);
    match(worded.error, /no key says as much.*dev-sessions attach/);
    const approved = await pressedBy(session, "--approve");
    deepStrictEqual(
      [approved.code, approved.json?.by, approved.keys.length],
      [0, "keys", 1],
      approved.stderr,
    );
    strictEqual((await session.run("wait")).stdout, "completed\n");

    await asking(session, "SCRIPT:permission touch refused");
    await session.shows(/touch refused[\s\S]*Do you want to proceed/);
    const denied = await pressedBy(session, "--deny");
    deepStrictEqual([denied.code, denied.keys.map((record) => record.kind === "key" && record.key)], [0, [
      "escape",
    ]]);
    match(denied.json.note, /also ends the turn/);
    strictEqual((await session.run("wait")).stdout, "interrupted\n");

    await asking(session, "SCRIPT:ask");
    await session.shows("Which colour?");
    strictEqual((await pressedBy(session, "Mauve")).code, 1);
    deepStrictEqual((await pressedBy(session, "--option", "Blue")).keys.length, 1);
    strictEqual((await session.run("wait")).stdout, "completed\n");
    match((await session.run("last-message")).stdout, /"Which colour\?"="Blue"/);
  }));

Deno.test("interrupt stops a turn that asks, without a key, and send --interrupt goes on from there", () =>
  withSession({}, async (session) => {
    await asking(session, "SCRIPT:permission touch refused");
    const before = (await session.keys()).length;
    const stopped = await session.json("interrupt");
    deepStrictEqual([stopped.code, stopped.json.result, stopped.json.interrupted], [0, "interrupted", 1]);
    strictEqual((await session.run("wait")).stdout, "interrupted\n");
    deepStrictEqual((await session.keys()).length, before);
    strictEqual((await session.run("respond", "--approve")).code, 1);

    await asking(session, "SCRIPT:ask");
    const instead = await session.json("send", "--interrupt", "instead");
    deepStrictEqual([instead.code, instead.json.result], [0, "submitted"]);
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("a dialog that is not the request's own gets no key", () =>
  withSession({}, async (session) => {
    await session.type("/model");
    await session.type("Enter");
    await session.shows("Select model");
    const { code, error, keys } = await pressedBy(session, "--approve");
    deepStrictEqual([code, keys], [2, []]);
    match(error, /dev-sessions attach/);
  }));

Deno.test("a hook that never takes its answer: it is withdrawn, and nothing was answered", () =>
  withSession({}, async (session, sandbox) => {
    const { requestId } = await asking(session, "SCRIPT:permission touch granted");
    const pid = Number(/-(\d+)\./.exec(requestId)?.[1]);
    Deno.kill(pid, "SIGSTOP");
    try {
      const { code, error, keys } = await pressedBy(session, "--approve");
      deepStrictEqual([code, keys], [1, []]);
      match(error, /Nothing was answered/);
      const folder = join(sandbox.home, ".dev-sessions/sessions");
      const [token] = [...Deno.readDirSync(folder)];
      deepStrictEqual([...Deno.readDirSync(join(folder, token!.name, "answers"))], []);
    } finally {
      Deno.kill(pid, "SIGCONT");
    }
    strictEqual((await session.run("respond", "--approve")).code, 0);
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("a hook that can't be reached: its answer is withdrawn, and nothing was answered", () =>
  withSession({}, async (session, sandbox) => {
    const { requestId } = await asking(session, "SCRIPT:permission touch granted");
    const sessions = join(sandbox.home, ".dev-sessions", "sessions");
    const [token = ""] = [...Deno.readDirSync(sessions)].map(({ name }) => name);
    const fifo = join(sessions, token, "requests", requestId);
    await Deno.rename(fifo, `${fifo}.aside`);
    await Deno.mkdir(fifo);
    const { code, error } = await pressedBy(session, "--approve");
    strictEqual(code, 4, error);
    match(error, /its hook can't be reached: .*Nothing was answered/);
    deepStrictEqual([...Deno.readDirSync(join(sessions, token, "answers"))], []);
    await Deno.remove(fifo);
    await Deno.rename(`${fifo}.aside`, fifo);
    strictEqual((await pressedBy(session, "--approve")).code, 0);
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));
