/** `respond` where no hook waits (one key, if that), where a person is faster, and where nothing proves an answer. */

import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { handleOf } from "../../backends/claude/handle.ts";
import { Observer } from "../../backends/claude/observe.ts";
import { Requests } from "../../backends/claude/requests.ts";
import { Tmux } from "../../backends/claude/tmux.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { openStore } from "../../lib/store.ts";
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

Deno.test("Requests.deny() with interrupt ends the turn, too, without a key", () =>
  withSession({}, async (session, sandbox) => {
    await asking(session, "SCRIPT:permission touch refused");
    const deps = { ...realDeps(), env: sandbox.env };
    const paths = pathsFrom(sandbox.env);
    const store = openStore(paths, {
      now: Date.now,
      randomUuid: () => crypto.randomUUID(),
      warn: () => {},
    });
    const row = store.find(session.id)!;
    store.close();
    const tmux = new Tmux(deps, handleOf(row).socket);
    const requests = new Requests(deps, paths, row, new Observer(deps, paths, row), tmux);
    const before = (await session.keys()).length;
    const [open] = await requests.open();
    const { signal } = new AbortController();
    const proof = await requests.deny(open!, { message: "stop", interrupt: true }, signal);
    strictEqual(proof.by, "direct");
    strictEqual((await session.run("wait")).stdout, "interrupted\n");
    deepStrictEqual((await session.keys()).length, before);
    await rejects(requests.deny(open!, { message: "stop", interrupt: true }, signal), /not pending any more/);
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
