/** What a person has opened in the tmux session of an agent is not ended with the agent. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";
import { agentPid, created, tmuxSessions } from "../support/sandbox_state.ts";

/** Opens a window or a pane at work; its process. */
async function work(sandbox: Sandbox, ...command: string[]): Promise<number> {
  const { stdout } = await sandbox.tmux(...command, "-d", "-P", "-F", "#{pane_pid}", "exec sleep 600");
  return Number(stdout);
}

Deno.test("work beside a dead agent outlives it, whatever tidies up", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  for (const command of ["new-window", "split-window"]) {
    await t.step(command, async () => {
      const id = await created(sandbox);
      const name = `dev-${id}`;
      const pid = await work(sandbox, command, "-t", `=${name}:`);
      signal(agentPid(sandbox, id), "SIGKILL");
      await sandbox.eventually(async () => (await sandbox.run(["status", id])).stdout === "gone\n", {
        what: "the agent is gone",
      });
      strictEqual((await sandbox.run(["list"])).code, 0);
      strictEqual((await sandbox.run(["kill", await created(sandbox)])).code, 0);
      match((await sandbox.run(["doctor", "--fix"])).stdout, /tmux/);
      deepStrictEqual([await tmuxSessions(sandbox), await isRunning(pid)], [[name], true]);

      const { code, stderr } = await sandbox.run(["resume", id]);
      strictEqual(code, 1, stderr);
      match(stderr, new RegExp(`^Cannot resume "${id}": a process still lives in its tmux session ${name}`));
      match(stderr, new RegExp(`tmux attach-session -t =${name}$`, "m"));
      strictEqual(await isRunning(pid), true);

      signal(pid, "SIGKILL");
      await sandbox.eventually(async () => !await isRunning(pid), { what: "the work is over" });
      const back = await sandbox.eventually(async () => {
        const resumed = await sandbox.run(["resume", id]);
        return resumed.code === 0 ? resumed : null;
      }, { what: "it comes back" });
      strictEqual(back.code, 0);
      strictEqual((await sandbox.run(["kill", id])).code, 0);
      deepStrictEqual(await tmuxSessions(sandbox), []);
    });
  }
});
