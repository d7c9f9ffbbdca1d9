/** `kill` ends what it names and nothing else, and says "killed" only of what is gone. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";
import {
  agentPid,
  agents,
  created,
  type Json,
  json,
  rows,
  sql,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

async function live(sandbox: Sandbox): Promise<string[]> {
  return (await json<Json[]>(sandbox, ["list"])).map((record) => String(record["id"])).sort();
}

Deno.test("kill ends one or several sessions; the agent is gone when it returns", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [a, b, c] = [await created(sandbox), await created(sandbox), await created(sandbox)];
  const pids = [a, b].map((id) => agentPid(sandbox, id));
  const killed = await sandbox.run(["kill", a, b, a]);
  strictEqual(killed.stdout, `Killed session ${a}\nKilled session ${b}\n`, killed.stderr);
  strictEqual(killed.code, 0);
  for (const pid of pids) strictEqual(await isRunning(pid), false);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${c}`]);
  deepStrictEqual(await live(sandbox), [c]);
  strictEqual((await json(sandbox, ["inspect", a]))["endReason"], "killed");
});

Deno.test("kill of what has ended is a success, of what never was exit 3", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [a, b] = [await created(sandbox), await created(sandbox)];
  strictEqual((await sandbox.run(["kill", a])).code, 0);
  const again = await sandbox.run(["kill", a]);
  deepStrictEqual([again.code, again.stdout], [0, `Session ${a} had already ended\n`]);
  // Its agent died, and nobody has noticed yet.
  signal(agentPid(sandbox, b), "SIGKILL");
  const dead = await sandbox.run(["kill", b]);
  strictEqual(dead.code, 0, dead.stderr);
  deepStrictEqual(await tmuxSessions(sandbox), []);
  const unknown = await sandbox.run(["kill", "zzz-top"]);
  deepStrictEqual([unknown.code, unknown.stdout], [3, ""]);
});

Deno.test("kill --all and --older-than choose among the live ones", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const nothing = await sandbox.run(["kill", "--all"]);
  deepStrictEqual([nothing.code, nothing.stdout], [0, "No matching sessions to kill\n"]);
  const [old, young] = [await created(sandbox), await created(sandbox)];
  const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
  sql(sandbox, "UPDATE sessions SET last_used_at = ? WHERE id = ?", anHourAgo, old);
  strictEqual((await sandbox.run(["kill", "--older-than", "2h"])).stdout, "No matching sessions to kill\n");
  strictEqual(
    (await sandbox.run(["kill", "--older-than", "30m"])).stdout,
    `Killed session ${old}\nKilled 1 session(s)\n`,
  );
  deepStrictEqual(await live(sandbox), [young]);
  const rest = await json(sandbox, ["kill", "--all"]);
  deepStrictEqual([rest["killed"], rest["failed"]], [[young], []]);
  deepStrictEqual(await tmuxSessions(sandbox), []);
  strictEqual((await agents(sandbox)).length, 0);
});

Deno.test("from inside a session kill --all ends its descendants only, unless --everyone", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const inside = (id: string) => ({ env: { DEV_SESSIONS_ID: id } });
  const stranger = await created(sandbox);
  const parent = await created(sandbox);
  const child = await created(sandbox, [], inside(parent));
  const grandchild = await created(sandbox, [], inside(child));
  const leaf = await sandbox.run(["kill", "--all"], inside(grandchild));
  strictEqual(leaf.stdout, "No matching sessions to kill\n");
  // A session between that has ended does not hide its children.
  strictEqual((await sandbox.run(["kill", child])).code, 0);
  const killed = await sandbox.run(["kill", "--all"], inside(parent));
  strictEqual(killed.stdout, `Killed session ${grandchild}\nKilled 1 session(s)\n`, killed.stderr);
  deepStrictEqual(await live(sandbox), [parent, stranger].sort());
  const everyone = await sandbox.run(["kill", "--all", "--everyone"], inside(parent));
  match(everyone.stdout, /\nKilled 2 session\(s\)\n$/);
  deepStrictEqual(await live(sandbox), []);
});

Deno.test("kill ends an agent that ignores the end of its terminal", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["ignore-sighup"] });
  const id = await created(sandbox);
  const pid = agentPid(sandbox, id);
  const killed = await sandbox.run(["kill", id]);
  strictEqual(killed.stdout, `Killed session ${id}\n`, killed.stderr);
  strictEqual(await isRunning(pid), false);
});

Deno.test("kill ends an agent that is stopped or at work", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [stopped, working] = [await created(sandbox), await created(sandbox)];
  await json(sandbox, ["send", working, "SCRIPT:slow 60"]);
  const pids = [stopped, working].map((id) => agentPid(sandbox, id));
  signal(pids[0]!, "SIGSTOP");
  const killed = await sandbox.run(["kill", "--all"]);
  strictEqual(killed.code, 0, killed.stderr);
  for (const pid of pids) strictEqual(await isRunning(pid), false);
});

Deno.test("kill by several commands at once ends each session once", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const ids = [await created(sandbox), await created(sandbox), await created(sandbox)];
  const outputs = await Promise.all([
    sandbox.run(["kill", "--all"]),
    sandbox.run(["kill", "--all"]),
    sandbox.run(["kill", ...ids]),
  ]);
  for (const { code, stderr } of outputs) strictEqual(code, 0, stderr);
  deepStrictEqual(rows(sandbox), ids.map((id) => `${id} ended`));
  deepStrictEqual(await tmuxSessions(sandbox), []);
  strictEqual((await agents(sandbox)).length, 0);
});

Deno.test("a killed session says so, though another command has noticed its end first", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const pid = agentPid(sandbox, id);
  const gate = await gateTmux(sandbox, "kill-session", "after");
  const killing = sandbox.run(["kill", id]);
  await gate.reached();
  await sandbox.eventually(async () => !await isRunning(pid), { what: "the agent is dead" });
  match((await sandbox.run(["status", id])).stdout, /^gone$/m);
  const noticed = await json(sandbox, ["inspect", id]);
  deepStrictEqual([noticed["lifecycle"], noticed["endReason"]], ["ended", "its tmux session is gone"]);
  await gate.open();
  const killed = await killing;
  strictEqual(killed.stdout, `Killed session ${id}\n`, killed.stderr);
  const ended = await json(sandbox, ["inspect", id]);
  deepStrictEqual([ended["endReason"], ended["endedAt"]], ["killed", noticed["endedAt"]]);
  const lifecycle = sql(sandbox, "SELECT type, reason FROM lifecycle ORDER BY seq");
  deepStrictEqual(lifecycle.map(({ type, reason }) => [type, reason]), [["created", null], [
    "ended",
    "killed",
  ]]);
});
