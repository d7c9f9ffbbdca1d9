/** A `resume` that is killed, at whatever moment, leaves a session that has ended and can be resumed; two never both win. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunningCommand, type Sandbox } from "../support/harness.ts";
import { agents, created, type Json, json, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

/** How often `resume` is killed after a delay, over the time it takes. */
const KILLS = 10;

async function killNow(running: RunningCommand): Promise<void> {
  running.kill("SIGKILL");
  await running.child.status;
}

/** One session that has ended after a turn. */
async function endedSession(sandbox: Sandbox): Promise<string> {
  const id = await created(sandbox);
  strictEqual((await sandbox.run(["ask", id, "before"])).code, 0);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  return id;
}

function launcherOf(sandbox: Sandbox, id: string): string {
  const [row] = sql(sandbox, "SELECT token FROM sessions WHERE id = ?", id);
  return join(sandbox.home, ".dev-sessions", "sessions", String(row?.["token"]), "launch.sh");
}

/** The next command, whichever it is, tidies up; the session is as it was before. */
async function tidy(sandbox: Sandbox, id: string): Promise<void> {
  const [record] = await json<Json[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(
    [record?.["id"], record?.["state"], record?.["endReason"], record?.["resumable"]],
    [id, "gone", "killed", true],
  );
  deepStrictEqual(sql(sandbox, "SELECT resumer FROM sessions").map((row) => row["resumer"]), [null]);
  await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  deepStrictEqual(await tmuxSessions(sandbox), []);
  ok(!await Deno.stat(launcherOf(sandbox, id)).then(() => true, () => false), "no launcher is left");
}

async function resumeAndAsk(sandbox: Sandbox, id: string): Promise<void> {
  const resumed = await sandbox.run(["resume", id]);
  strictEqual(resumed.code, 0, resumed.stderr);
  strictEqual((await sandbox.run(["ask", id, "after"])).stdout, "REPLY: after [length 5]\n");
  match((await sandbox.run(["logs", id])).stdout, /before[\s\S]*after/);
  strictEqual((await agents(sandbox)).length, 1);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
}

const POINTS = [
  { word: "list-panes", when: "before", at: "before it has begun", begun: false },
  { word: "new-session", when: "before", at: "before tmux has opened its session", begun: true },
  {
    word: "new-session",
    when: "after",
    at: "before it has learned that tmux opened its session",
    begun: true,
  },
  { word: "display-message", when: "before", at: "while it waits for the agent", begun: true },
  { word: "display-message", when: "after", at: "while it looks at the agent", begun: true },
] as const;

for (const { word, when, at, begun } of POINTS) {
  Deno.test(`resume killed ${at} leaves the session as it was`, async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const id = await endedSession(sandbox);
    const gate = await gateTmux(sandbox, word, when);
    await using resuming = sandbox.start(["resume", id]);
    await gate.reached();
    await killNow(resuming);
    strictEqual(sql(sandbox, "SELECT resumer FROM sessions")[0]?.["resumer"] !== null, begun);
    deepStrictEqual(rows(sandbox), [`${id} ended`]);
    await tidy(sandbox, id);

    // What the killed command had asked of tmux may still be carried out.
    await gate.open();
    await sandbox.eventually(
      async () =>
        (await sandbox.processesOf()).every(({ command }) => !/new-session|display-message/.test(command)) ||
        (await tmuxSessions(sandbox)).length > 0,
      { what: "the late tmux call is over" },
    );
    await resumeAndAsk(sandbox, id);
  });
}

Deno.test("resume killed after any time leaves the session ended, or live and working", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await endedSession(sandbox);
  const begin = performance.now();
  strictEqual((await sandbox.run(["resume", id])).code, 0);
  const usual = performance.now() - begin;
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  for (let kill = 0; kill < KILLS; kill++) {
    await using resuming = sandbox.start(["resume", id]);
    const timer = Promise.withResolvers<void>();
    setTimeout(() => timer.resolve(), usual * 1.1 * kill / (KILLS - 1));
    await timer.promise;
    await killNow(resuming);
    const [record] = await json<Json[]>(sandbox, ["list", "--all"]);
    if (record?.["state"] === "idle") {
      strictEqual((await sandbox.run(["ask", id, "hello"])).code, 0);
      strictEqual((await sandbox.run(["kill", id])).code, 0);
    }
    await tidy(sandbox, id);
  }
  await resumeAndAsk(sandbox, id);
});

Deno.test("several resumes at once: one brings the session back, the others are refused", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await endedSession(sandbox);
  const all = await Promise.all(Array.from({ length: 4 }, () => sandbox.run(["resume", id])));
  deepStrictEqual(all.map(({ code }) => code).sort(), [0, 1, 1, 1], all.map(({ stderr }) => stderr).join());
  for (const { code, stderr } of all) {
    if (code === 1) {
      match(stderr, /^Cannot resume "[a-z-]+": (another command is resuming it|it is live already)\. /);
    }
  }
  strictEqual((await agents(sandbox)).length, 1);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
  strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
});

Deno.test("a running resume is neither rolled back, killed, pruned nor sent to by other commands", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await endedSession(sandbox);
  await using resuming = sandbox.start(["resume", id], { env: { STUB_AGENT: "slow-start=2500" } });
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "the agent runs" });
  const busy = /another command is resuming it/;
  for (const verb of ["resume", "kill", "prune"]) {
    const { code, stderr } = await sandbox.run([verb, id]);
    strictEqual(code, 1, verb);
    match(stderr, busy);
  }
  strictEqual((await sandbox.run(["send", id, "too early"])).code, 7);
  const all = await json<Json[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(all.map((row) => [row["lifecycle"], row["resumable"]]), [["ended", false]]);
  const output = await resuming.doneWithin(20_000, "the resume that was running");
  strictEqual(output.stdout, `Resumed session ${id}\n`, output.stderr);
  strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
});

Deno.test("a killed resume is tidied up by commands that run at once", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await endedSession(sandbox);
  await using resuming = sandbox.start(["resume", id], {
    env: { STUB_AGENT: "slow-start=60000,ignore-sighup" },
  });
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "the agent runs" });
  await killNow(resuming);
  const lists = await Promise.all(Array.from({ length: 4 }, () => sandbox.run(["list"])));
  for (const { code, stderr } of lists) strictEqual(code, 0, stderr);
  await tidy(sandbox, id);
  await resumeAndAsk(sandbox, id);
});
