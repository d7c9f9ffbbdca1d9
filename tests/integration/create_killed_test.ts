/** A `create` that is killed, at whatever moment, leaves nothing behind the next command; a running one is left alone. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createSandbox, type RunningCommand, type Sandbox } from "../support/harness.ts";
import { holdAgent } from "../support/held_agent.ts";
import {
  agents,
  assertNothingLeft,
  created,
  json,
  rows,
  sessionFolders,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

/** How often `create` is killed after a delay, over the time it takes. */
const KILLS = 12;

async function killNow(running: RunningCommand): Promise<void> {
  running.kill("SIGKILL");
  await running.child.status;
}

/** The next command, whichever it is, tidies up. */
async function tidy(sandbox: Sandbox): Promise<void> {
  deepStrictEqual(await json(sandbox, ["list", "--all"]), []);
  await assertNothingLeft(sandbox);
}

const POINTS = [
  { word: "list-panes", when: "before", at: "before it has reserved a name", row: false },
  { word: "new-session", when: "before", at: "before tmux has opened its session", row: true },
  { word: "new-session", when: "after", at: "before it has learned that tmux opened its session", row: true },
  { word: "display-message", when: "before", at: "while it waits for the agent", row: true },
  { word: "display-message", when: "after", at: "while it looks at the agent", row: true },
] as const;

for (const { word, when, at, row } of POINTS) {
  Deno.test(`create killed ${at} leaves nothing`, async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const gate = await gateTmux(sandbox, word, when);
    await using creating = sandbox.start(["create"]);
    await gate.reached();
    await killNow(creating);
    strictEqual(rows(sandbox).length, row ? 1 : 0);
    await tidy(sandbox);

    // What the killed command had asked of tmux may still be carried out.
    await gate.open();
    await sandbox.eventually(
      async () =>
        (await sandbox.processesOf()).every(({ command }) => !/new-session|display-message/.test(command)) ||
        (await tmuxSessions(sandbox)).length > 0,
      { what: "the late tmux call is over" },
    );
    const id = await created(sandbox);
    deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
    deepStrictEqual(rows(sandbox), [`${id} active`]);
    strictEqual((await agents(sandbox)).length, 1);
    strictEqual((await sandbox.run(["kill", id])).code, 0);
  });
}

Deno.test("create killed after any time leaves nothing, or a session that works", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  // Keeps the server, so that the last kill does not end it.
  const keeper = await created(sandbox);
  const begin = performance.now();
  await created(sandbox);
  const usual = performance.now() - begin;
  await sandbox.run(["kill", "--all"]);
  for (let kill = 0; kill < KILLS; kill++) {
    await using creating = sandbox.start(["create", "-q"]);
    const timer = Promise.withResolvers<void>();
    setTimeout(() => timer.resolve(), usual * 1.1 * kill / (KILLS - 1));
    await Promise.race([timer.promise, creating.child.status]);
    await timer.promise;
    await killNow(creating);
    const alive = await json<{ id: string; state: string }[]>(sandbox, ["list"]);
    for (const { id, state } of alive) {
      strictEqual(state, "idle");
      const sent = await sandbox.run(["send", id, "hello"]);
      strictEqual(sent.code, 0, sent.stderr);
      strictEqual((await sandbox.run(["kill", id])).code, 0);
    }
    ok(alive.length <= 1);
    deepStrictEqual(rows(sandbox).filter((row) => !row.endsWith(" ended")), []);
    deepStrictEqual(await tmuxSessions(sandbox), []);
    await sandbox.eventually(async () => (await agents(sandbox)).length === 0, {
      what: "no agent is left",
    });
  }
  ok(rows(sandbox).includes(`${keeper} ended`));
});

Deno.test("a running create is seen, and neither rolled back nor killed by other commands", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const other = await created(sandbox);
  const letGo = await holdAgent(sandbox);
  await using creating = sandbox.start(["create", "--id", "fizz-top"]);
  await sandbox.eventually(async () => (await tmuxSessions(sandbox)).includes("dev-fizz-top"), {
    what: "create waits for its agent",
  });

  deepStrictEqual((await json<{ id: string }[]>(sandbox, ["list"])).map(({ id }) => id), [other]);
  const all = await json<{ id: string; lifecycle: string; state: string }[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(all.map(({ id, lifecycle, state }) => ({ id, lifecycle, state })), [
    { id: other, lifecycle: "active", state: "idle" },
    { id: "fizz-top", lifecycle: "creating", state: "unknown" },
  ]);
  const sent = await sandbox.run(["send", "fizz-top", "too early"]);
  strictEqual(sent.code, 4);
  match(sent.stderr, /^Cannot send to "fizz-top": it is still being created\. Try again when .*\n$/);
  const killed = await sandbox.run(["kill", "fizz-top"]);
  strictEqual(killed.code, 1, killed.stdout);
  match(killed.stderr, /it is still being created/);
  strictEqual(
    (await sandbox.run(["kill", "--all"])).stdout,
    `Killed session ${other}\nKilled 1 session(s)\n`,
  );
  strictEqual(sessionFolders(sandbox).length, 2);

  await letGo();
  const output = await creating.doneWithin(20_000, "the create that was running");
  strictEqual(output.stdout, "Created session fizz-top\n", output.stderr);
  strictEqual((await sandbox.run(["status", "fizz-top"])).stdout, "idle\n");
});

Deno.test("a killed create's agent that ignores the end of its terminal is ended, too", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000", "ignore-sighup"] });
  await using creating = sandbox.start(["create"]);
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "the agent runs" });
  await killNow(creating);
  await tidy(sandbox);
});

Deno.test("a killed create's agent whose tmux socket was removed is not given up", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
  await using creating = sandbox.start(["create"]);
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "the agent runs" });
  const server = await sandbox.tmux("display-message", "-p", "#{pid} #{socket_path}");
  const [pid = "", socket = ""] = server.stdout.trim().split(" ");
  await killNow(creating);
  await Deno.remove(socket);

  deepStrictEqual(await json(sandbox, ["list"]), []);
  deepStrictEqual(rows(sandbox).map((row) => row.split(" ")[1]), ["creating"]);
  strictEqual((await agents(sandbox)).length, 1);

  // Makes tmux open its socket again.
  Deno.kill(Number(pid), "SIGUSR1");
  await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 1, { what: "tmux is back" });
  await tidy(sandbox);
});

Deno.test("several killed creates are tidied up by commands that run at once", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
  const creating = ["fizz-top", "riven-jg", "zed-mid"].map((id) => sandbox.start(["create", "--id", id]));
  await sandbox.eventually(async () => (await agents(sandbox)).length === 3, { what: "three agents run" });
  await Promise.all(creating.map(killNow));
  const lists = await Promise.all(Array.from({ length: 4 }, () => sandbox.run(["list"])));
  for (const { code, stderr } of lists) strictEqual(code, 0, stderr);
  await tidy(sandbox);
});
