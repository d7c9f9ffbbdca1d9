/** A tmux server that does not answer: everything stays bounded, nothing is believed, no record changes. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";
import { agentPid, agents, created, json, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

const BOUND_MS = 30_000;

/** Stops the sandbox's tmux server for the time of the body. */
async function frozen(sandbox: Sandbox, body: () => Promise<void>): Promise<void> {
  const server = Number((await sandbox.tmux("display-message", "-p", "#{pid}")).stdout);
  ok(server > 1);
  signal(server, "SIGSTOP");
  try {
    await body();
  } finally {
    signal(server, "SIGCONT");
  }
}

const records = (sandbox: Sandbox) => JSON.stringify(sql(sandbox, "SELECT * FROM sessions ORDER BY id"));

testAtOnce("beside a tmux server that does not answer", {
  "list, status and last-message answer beside a frozen tmux, and change nothing": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const [first, second] = [await created(sandbox), await created(sandbox)];
    await sandbox.run(["send", first, "hello"]);
    strictEqual((await sandbox.run(["wait", first])).stdout, "completed\n");
    const before = records(sandbox);
    await frozen(sandbox, async () => {
      const listed = await json<{ id: string; state: string }[]>(sandbox, ["list"]);
      deepStrictEqual(listed.map(({ id, state }) => `${id} ${state}`), [`${first} idle`, `${second} idle`]);
      strictEqual((await sandbox.run(["status", first])).stdout, "idle\n");
      strictEqual((await sandbox.run(["last-message", first])).stdout, "REPLY: hello [length 5]\n");
      strictEqual((await sandbox.run(["wait", first])).stdout, "completed\n");
      strictEqual(records(sandbox), before);
    });
  },

  "send beside a frozen tmux types nothing and exits 4": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const id = await created(sandbox);
    await frozen(sandbox, async () => {
      const sent = await sandbox.run(["send", id, "never"], { timeoutMs: BOUND_MS });
      strictEqual(sent.code, 4, sent.stderr);
      match(sent.stderr, /^Cannot send to "[a-z-]+": .*tmux.*\n$/);
    });
    strictEqual((await sandbox.run(["send", id, "now"])).code, 0);
    strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
    const log = await json<{ role: string; text: string }[]>(sandbox, ["logs", id]);
    deepStrictEqual(log.filter(({ role }) => role === "human").map(({ text }) => text), ["now"]);
  },

  "create beside a frozen tmux fails in bounded time and leaves nothing": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const id = await created(sandbox);
    await frozen(sandbox, async () => {
      const output = await sandbox.run(["create"], { timeoutMs: BOUND_MS });
      strictEqual(output.code, 1);
      match(
        output.stderr,
        /^Cannot create a session: the tmux server on .* does not answer\. See whether .*\n$/,
      );
    });
    strictEqual((await sandbox.run(["list"])).code, 0);
    deepStrictEqual(rows(sandbox), [`${id} active`]);
    deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
    strictEqual((await agents(sandbox)).length, 1);
  },

  "create whose tmux freezes under way is finished off by a later command": async () => {
    await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
    await sandbox.tmux("new-session", "-d", "-s", "mine", "cat");
    const gate = await gateTmux(sandbox, "display-message", "before");
    await using creating = sandbox.start(["create", "--ready-timeout", "1"]);
    await gate.reached();
    await frozen(sandbox, async () => {
      await gate.open();
      const output = await creating.doneWithin(BOUND_MS, "a create under a tmux that froze");
      strictEqual(output.code, 1);
      match(output.stderr, /^Cannot create a session in /);
      match(output.stderr, /The next command removes what it started\.\n$/);
      strictEqual(rows(sandbox).length, 1);
      const listed = await sandbox.run(["list"], { timeoutMs: BOUND_MS });
      strictEqual(listed.code, 0, listed.stderr);
      strictEqual(rows(sandbox).length, 1);
    });
    deepStrictEqual(await json(sandbox, ["list", "--all"]), []);
    deepStrictEqual(await tmuxSessions(sandbox), ["mine"]);
    strictEqual((await agents(sandbox)).length, 0);
  },

  "kill ends the agent beside a frozen tmux; its pane goes with the next create": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const [id, other] = [await created(sandbox), await created(sandbox)];
    const pid = agentPid(sandbox, id);
    await frozen(sandbox, async () => {
      const killed = await sandbox.run(["kill", id], { timeoutMs: BOUND_MS });
      strictEqual(killed.stdout, `Killed session ${id}\n`, killed.stderr);
      strictEqual(await isRunning(pid), false);
    });
    const next = await created(sandbox);
    deepStrictEqual(await tmuxSessions(sandbox), [`dev-${other}`, `dev-${next}`].sort());
  },

  "an agent that dies beside a frozen tmux is known to be dead": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const id = await created(sandbox);
    await frozen(sandbox, async () => {
      signal(agentPid(sandbox, id), "SIGKILL");
      await sandbox.eventually(
        async () => (await sandbox.run(["status", id], { timeoutMs: BOUND_MS })).stdout === "gone\n",
        { what: "status says gone" },
      );
      deepStrictEqual(rows(sandbox), [`${id} ended`]);
    });
  },
});
