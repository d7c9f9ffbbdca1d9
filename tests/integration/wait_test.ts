/**
 * `wait` tells every way in which a turn can end, at once, by word and exit code; it types and changes nothing.
 *
 * Long, because it has one test for each way.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { RunningCommand } from "../support/running_command.ts";
import { type StubSession, withSession, withSessions } from "../support/stub_session.ts";

/** For what must not wait for a timeout (300 s); generous, since other tests may keep the machine busy. */
const SOON_MS = 5_000;
const END_MS = 25_000;

function startWait(session: StubSession, ...args: string[]): RunningCommand {
  return session.sandbox.start(["wait", session.id, ...args]);
}

/** The wait is under way: the session is still at work after a whole other command has run. */
async function stillWaits(session: StubSession, waiting: RunningCommand): Promise<void> {
  strictEqual((await session.run("status")).stdout, "working\n");
  deepStrictEqual([waiting.stdout, waiting.stderr], ["", ""]);
}

async function ends(waiting: RunningCommand, code: number, stdout: string): Promise<string> {
  const output = await waiting.doneWithin(END_MS, "wait");
  deepStrictEqual([output.code, output.stdout], [code, stdout], output.stderr);
  return output.stderr;
}

async function gated(session: StubSession, name = "gate"): Promise<() => Promise<void>> {
  const gate = session.gate(name);
  await session.sent(`SCRIPT:gate ${gate.path}`);
  return gate.open;
}

/** From the event to the end of the process. */
async function endsSoon(waiting: RunningCommand, code: number, stdout: string): Promise<string> {
  const began = performance.now();
  const stderr = await ends(waiting, code, stdout);
  const took = performance.now() - began;
  ok(took < SOON_MS, `took ${took} ms`);
  return stderr;
}

Deno.test("wait on a session that was never sent to says idle at once", () =>
  withSession({}, async (session) => {
    const { code, stdout, stderr } = await session.run("wait");
    deepStrictEqual([code, stdout, stderr], [0, "idle\n", ""]);
  }));

Deno.test("wait returns at the end of the turn, and at once when it is over already", () =>
  withSession({}, async (session) => {
    const open = await gated(session);
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await open();
    strictEqual(await endsSoon(waiting, 0, "completed\n"), "");
    strictEqual(await endsSoon(startWait(session), 0, "completed\n"), "");
    const { json } = await session.json("wait");
    deepStrictEqual(json, { id: session.id, outcome: "completed" });
    deepStrictEqual(Object.keys(await session.pressed()), ["enter"]);
  }));

Deno.test("wait on a session that was never sent to waits while a person works with it", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await session.type("-l", `SCRIPT:gate ${gate.path}`);
    await session.type("Enter");
    await session.becomes("working");
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await gate.open();
    await endsSoon(waiting, 0, "completed\n");
  }));

Deno.test("wait --message waits for an earlier delivery", () =>
  withSession({}, async (session) => {
    const first = await session.sent("first");
    strictEqual((await session.run("wait")).code, 0);
    const open = await gated(session);
    await endsSoon(startWait(session, "--message", first), 0, "completed\n");
    const other = await session.json("wait", "--message", "r-0000000000000000");
    strictEqual(other.code, 2);
    match(other.error, /has no such delivery/);
    await open();
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("wait for a queued message outlasts the turn before it", () =>
  withSession({}, async (session) => {
    const openFirst = await gated(session, "first");
    const openSecond = await gated(session, "second");
    const waiting = startWait(session);
    await openFirst();
    await session.shows(/gate \S*first opened/);
    await stillWaits(session, waiting);
    await openSecond();
    await ends(waiting, 0, "completed\n");
    deepStrictEqual(
      (await session.run("last-message")).stdout,
      `REPLY: gate ${session.gate("second").path} opened\n`,
    );
  }));

Deno.test("wait tells messages with the same text apart", () =>
  withSession({}, async (session) => {
    const text = `SCRIPT:gate ${session.gate().path}`;
    const first = await session.sent(text);
    const second = await session.sent(text);
    const waits = [
      startWait(session),
      startWait(session, "--message", first),
      startWait(session, "--message", second),
    ];
    for (const waiting of waits) await stillWaits(session, waiting);
    await session.type("Escape");
    await ends(waits[1]!, 6, "interrupted\n");
    await session.sandbox.eventually(
      async () => (await session.screen()).split("❯ SCRIPT:gate").length === 3,
      {
        what: "the second turn",
      },
    );
    await stillWaits(session, waits[0]!);
    await stillWaits(session, waits[2]!);
    await session.gate().open();
    await ends(waits[0]!, 0, "completed\n");
    await ends(waits[2]!, 0, "completed\n");
    await ends(startWait(session, "--message", first), 6, "interrupted\n");
  }));

Deno.test("wait after two sends ends with the turn that took up both", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:gatetool ${gate.path}`);
    await session.sent("absorbed into the running turn");
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await gate.open();
    await endsSoon(waiting, 0, "completed\n");
  }));

Deno.test("wait says interrupted when a person pressed Escape", () =>
  withSession({}, async (session) => {
    for (const script of ["SCRIPT:slow 60", "SCRIPT:bash sleep 60", `SCRIPT:gate ${session.gate().path}`]) {
      await session.sent(script);
      await session.shows("esc to interrupt");
      const waiting = startWait(session);
      await stillWaits(session, waiting);
      await session.type("Escape");
      match(await endsSoon(waiting, 6, "interrupted\n"), /^The turn of ".*" was interrupted\n$/);
      const { code, json } = await session.json("wait");
      deepStrictEqual([code, json], [6, { id: session.id, outcome: "interrupted" }]);
    }
    await session.sent("and on");
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("wait says failed, with the API's own words", () =>
  withSession({}, async (session) => {
    await session.sent("SCRIPT:err529 0.3");
    match(await endsSoon(startWait(session), 6, "failed\n"), /failed: API Error: 529 scripted error\n$/);
    const { code, json } = await session.json("wait");
    deepStrictEqual([code, json], [
      6,
      { id: session.id, outcome: "failed", error: "API Error: 529 scripted error" },
    ]);
    await session.sent("SCRIPT:err401");
    match(await ends(startWait(session), 6, "failed\n"), /Please run \/login/);
  }));

Deno.test("wait says waiting_for_input, and for what", () =>
  withSession({}, async (session) => {
    for (
      const [script, summary] of [
        ["SCRIPT:permission rm -rf dist", /waits for a permission \(Bash: rm -rf dist\)/],
        [
          "SCRIPT:ask",
          /the answer to a question \(Which colour\?\)\n {2}1\. Red \(warm\)\n {2}2\. Blue \(cold\)\n/,
        ],
        ["SCRIPT:plan", /the approval of a plan/],
        ["SCRIPT:dialog", /the answer to a dialog/],
      ] as const
    ) {
      await session.sent(script);
      match(await endsSoon(startWait(session), 5, "waiting_for_input\n"), summary);
      const { code, json } = await session.json("wait");
      deepStrictEqual([code, json.outcome], [5, "waiting_for_input"]);
      await session.type("1");
      await ends(startWait(session), 0, "completed\n");
    }
  }));

Deno.test("wait says gone, and how, when the agent is killed in the middle of a turn", () =>
  withSession({}, async (session) => {
    await gated(session);
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await session.killAgent();
    match(await endsSoon(waiting, 7, "gone\n"), /is gone: signal 9\. Bring it back with: .*\n$/);
    match(await endsSoon(startWait(session), 7, "gone\n"), /is gone: signal 9\. Bring it back with: .*\n$/);
    strictEqual((await session.json("wait")).json.reason, "signal 9");
    strictEqual((await session.run("status")).stdout, "gone\n");
  }));

Deno.test("wait says gone when the tmux server is killed in the middle of a turn", () =>
  withSession({}, async (session, sandbox) => {
    await gated(session);
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await sandbox.tmux("kill-server");
    match(
      await endsSoon(waiting, 7, "gone\n"),
      /is gone: its tmux session is gone\. Bring it back with: .*\n$/,
    );
  }));

Deno.test("wait on a session whose turn was complete before it died says so", () =>
  withSession({}, async (session) => {
    const receipt = await session.sent("hello");
    strictEqual((await session.run("wait")).code, 0);
    await session.killAgent();
    await endsSoon(startWait(session), 0, "completed\n");
    await endsSoon(startWait(session, "--message", receipt), 0, "completed\n");
  }));

Deno.test("wait goes on without a background shell unless --background", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    const until = `until test -e ${gate.path}; do sleep 0.02; done`;
    await session.sent(`SCRIPT:bgshell ${until}`);
    await endsSoon(startWait(session), 0, "completed\n");
    const status = await session.json("status");
    strictEqual(status.json.state, "idle");
    deepStrictEqual(status.json.background.map((task: { type: string }) => task.type), ["shell"]);
    const waiting = startWait(session, "--background");
    strictEqual((await session.run("status")).stdout, "idle\n");
    deepStrictEqual([waiting.stdout, waiting.stderr], ["", ""]);
    await gate.open();
    await ends(waiting, 0, "completed\n");
  }));

Deno.test("wait is prolonged by a subagent", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:subagent ${gate.path}`);
    await session.shows("DONE after tool");
    const waiting = startWait(session);
    await stillWaits(session, waiting);
    await gate.open();
    await ends(waiting, 0, "completed\n");
    match((await session.run("last-message")).stdout, /task-notification|sub task/);
  }));

Deno.test("wait times out after a fraction of a second, and the agent goes on", () =>
  withSession({}, async (session) => {
    const open = await gated(session);
    const timedOut = await session.run("wait", "-t", "0.3");
    deepStrictEqual([timedOut.code, timedOut.stdout, timedOut.stderr], [
      124,
      "timed_out\n",
      `Timed out waiting for ${session.id}\n`,
    ]);
    const { code, json } = await session.json("wait", "--timeout", ".2");
    deepStrictEqual([code, json], [124, { id: session.id, outcome: "timed_out", state: "working" }]);
    for (const bad of ["0", "-1", "abc", "1e3"]) strictEqual((await session.run("wait", "-t", bad)).code, 2);
    await open();
    await ends(startWait(session), 0, "completed\n");
  }));

Deno.test("wait that is stopped says what it knew", () =>
  withSessions(2, async ([done, busy], sandbox) => {
    await done!.sent("hello");
    const open = await gated(busy!);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const waiting = sandbox.start(["wait", done!.id, busy!.id]);
      await sandbox.eventually(() => waiting.stdout !== "", { what: "the first outcome" });
      waiting.kill(signal);
      strictEqual(
        await endsSoon(waiting, 130, `${done!.id}\tcompleted\n`),
        `Interrupted: still waiting for ${busy!.id}; done: ${done!.id} (completed)\n`,
      );
    }
    await open();
  }));

Deno.test("wait for all reports each as it ends, and exits with the worst", () =>
  withSessions(3, async ([a, b, c], sandbox) => {
    const ids = [a!.id, b!.id, c!.id];
    const opens = [await gated(a!), await gated(b!), await gated(c!)];
    const waiting = sandbox.start(["wait", ...ids]);
    const waitingJson = sandbox.start(["wait", "--all", "--json", ...ids]);
    const printed = (lines: number) =>
      sandbox.eventually(
        () => [waiting, waitingJson].every(({ stdout }) => stdout.split("\n").length === lines + 1),
        { what: `${lines} outcomes` },
      );
    await opens[1]!();
    await printed(1);
    await c!.type("Escape");
    await printed(2);
    await a!.killAgent();
    const stderr = await ends(waiting, 7, `${b!.id}\tcompleted\n${c!.id}\tinterrupted\n${a!.id}\tgone\n`);
    match(stderr, /was interrupted\n.*is gone: /);
    const { code, stdout } = await waitingJson.doneWithin(END_MS, "wait");
    strictEqual(code, 7);
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
    deepStrictEqual(lines.map(({ id, outcome }) => [id, outcome]), [
      [b!.id, "completed"],
      [c!.id, "interrupted"],
      [a!.id, "gone"],
    ]);
  }));

Deno.test("the worst of several outcomes makes the exit code", () =>
  withSessions(3, async ([a, b, c], sandbox) => {
    await a!.sent("hello");
    await b!.sent("SCRIPT:err500");
    const open = await gated(c!);
    const code = async (...args: string[]) => (await sandbox.run(["wait", ...args])).code;
    strictEqual(await code("-t", "0.5", a!.id, c!.id), 124);
    strictEqual(await code("-t", "0.5", a!.id, b!.id, c!.id), 6);
    await open();
    strictEqual(await code(c!.id, a!.id), 0);
    await c!.sent("SCRIPT:ask");
    await c!.becomes("waiting_for_input");
    strictEqual(await code(c!.id, a!.id), 5);
    strictEqual(await code(c!.id, b!.id), 6);
    await sandbox.run(["kill", a!.id]);
    strictEqual(await code(a!.id, a!.id, c!.id, b!.id), 6);
    strictEqual(await code("nobody-top", c!.id), 3);
  }));

Deno.test("wait --any returns with the first", () =>
  withSessions(3, async ([a, b, c], sandbox) => {
    const ids = [a!.id, b!.id, c!.id];
    const opens = [await gated(a!), await gated(b!), await gated(c!)];
    const waiting = sandbox.start(["wait", "--any", ...ids]);
    await stillWaits(a!, waiting);
    await opens[1]!();
    strictEqual(await endsSoon(waiting, 0, `${b!.id}\tcompleted\n`), "");
    const timedOut = await sandbox.run(["wait", "--any", "-t", "0.3", a!.id, c!.id]);
    strictEqual(timedOut.code, 124);
    strictEqual((await sandbox.run(["wait", a!.id], { env: { DEV_SESSIONS_ID: a!.id } })).code, 2);
    for (const open of opens) await open();
  }));

/** For a command that may open no inotify watch; null where no user namespace can be made. */
const WITHOUT_INOTIFY = [
  "-Ur",
  "sh",
  "-c",
  'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"',
  "sh",
];
const canForbidInotify = Deno.build.os === "linux" &&
  await new Deno.Command("unshare", { args: [...WITHOUT_INOTIFY, "true"], stderr: "null" }).output()
    .then(({ success }) => success, () => false);

Deno.test({
  name: "wait notices the end where nothing can be watched",
  ignore: !canForbidInotify,
  fn: () =>
    withSession({}, async (session, sandbox) => {
      const main = new URL("../../main.ts", import.meta.url).pathname;
      const deno = [Deno.execPath(), "run", "-A", "--quiet", main];
      const start = (...args: string[]) =>
        sandbox.spawn("unshare", [...WITHOUT_INOTIFY, ...deno, args[0]!, session.id, ...args.slice(1)]);
      const gate = session.gate();
      strictEqual((await start("send", `SCRIPT:gate ${gate.path}`).doneWithin(END_MS, "send")).code, 0);
      const waiting = start("wait");
      await stillWaits(session, waiting);
      await gate.open();
      await endsSoon(waiting, 0, "completed\n");
      await gated(session, "other");
      const blind = start("wait");
      await stillWaits(session, blind);
      await session.killAgent();
      await endsSoon(blind, 7, "gone\n");
    }),
});

for (
  const stub of [
    "no-hooks",
    "no-registry",
    "no-transcript",
    "no-registry,no-hooks",
    "no-registry,no-transcript",
  ]
) {
  Deno.test(`wait tells the end of a turn with ${stub}`, () =>
    withSession({ stub: stub.split(",") }, async (session) => {
      const gate = session.gate();
      // Without a transcript the send itself is proven only by the turn's end.
      const sending = session.sandbox.start(["send", session.id, `SCRIPT:gate ${gate.path}`]);
      if (!stub.includes("transcript")) strictEqual((await sending.done()).code, 0);
      await session.sandbox.eventually(async () => (await session.prompts()).length > 0, {
        what: "the prompt",
      });
      const waiting = startWait(session);
      strictEqual((await session.run("status")).stdout, "working\n");
      strictEqual(waiting.stdout, "");
      await gate.open();
      await ends(waiting, 0, "completed\n");
      strictEqual((await sending.done()).code, 0);
      strictEqual((await session.run("last-message")).stdout, `REPLY: gate ${gate.path} opened\n`);
    }));
}
