/** `endIdleAfter` ends what rests, as `kill` does, and nothing that works, waits, is looked at or holds a draft. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
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

const HOURS_3_MS = 10_800_000;

async function configure(sandbox: Sandbox, config: unknown): Promise<void> {
  await Deno.writeTextFile(join(sandbox.home, ".dev-sessions", "config.json"), JSON.stringify(config));
}

/** As if nobody had used it for three hours, and its agent's state were as old. */
async function age(
  sandbox: Sandbox,
  id: string,
  parts: { row?: boolean; record?: boolean } = {},
): Promise<void> {
  const at = Date.now() - HOURS_3_MS;
  if (parts.row !== false) {
    sql(sandbox, "UPDATE sessions SET last_used_at = ? WHERE id = ?", new Date(at).toISOString(), id);
  }
  if (parts.record === false) return;
  const file = join(sandbox.claudeConfig, "sessions", `${agentPid(sandbox, id)}.json`);
  const entry = JSON.parse(await Deno.readTextFile(file));
  await Deno.writeTextFile(file, JSON.stringify({ ...entry, updatedAt: at, statusUpdatedAt: at }));
}

/** A minute later: the next command looks again. */
function due(sandbox: Sandbox): void {
  sql(sandbox, "DELETE FROM meta WHERE key = 'last_idle_check'");
}

async function attach(sandbox: Sandbox, id: string): Promise<() => Promise<void>> {
  const clients = async () => (await sandbox.tmux("list-clients", "-F", "#{session_name}")).stdout;
  const socket = (await sandbox.tmux("display-message", "-p", "#{socket_path}")).stdout.trim();
  const other = ["-S", join(sandbox.root, "t", "other")];
  await sandbox.tmux(
    ...other,
    "new-session",
    "-d",
    `TMUX= exec tmux -S ${socket} attach-session -t =dev-${id}`,
  );
  await sandbox.eventually(async () => (await clients()).includes(id), { what: "somebody is attached" });
  return async () => {
    await sandbox.tmux(...other, "kill-server");
    await sandbox.eventually(async () => await clients() === "", { what: "nobody is attached" });
  };
}

Deno.test("list and create end what has long been idle, once a minute at most, and it can be resumed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [old, used] = [await created(sandbox), await created(sandbox)];
  strictEqual((await sandbox.run(["ask", old, "hello"])).code, 0);
  await age(sandbox, old);
  await age(sandbox, used, { row: false });
  strictEqual((await json<Json[]>(sandbox, ["list"])).length, 2);
  await configure(sandbox, { endIdleAfter: "2h" });

  const listed = await sandbox.run(["list", "--json"]);
  strictEqual(
    listed.stderr,
    `[dev-sessions] ended ${old}: idle for 2h. Bring it back with: dev-sessions resume ${old}\n`,
  );
  deepStrictEqual(JSON.parse(listed.stdout).map((row: Json) => row["id"]), [used]);
  deepStrictEqual(rows(sandbox), [`${old} ended`, `${used} active`]);
  strictEqual((await json(sandbox, ["status", old]))["reason"], "idle for 2h");
  strictEqual((await agents(sandbox)).length, 1);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${used}`]);

  await age(sandbox, used);
  strictEqual((await sandbox.run(["list"])).stderr, "");
  due(sandbox);
  const another = await sandbox.run(["create", "-q"]);
  match(another.stderr, new RegExp(`^\\[dev-sessions\\] ended ${used}: idle for 2h\\. `));
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${another.stdout.trim()}`]);
  strictEqual((await sandbox.run(["resume", old])).code, 0);
  due(sandbox);
  strictEqual((await sandbox.run(["list"])).stderr, "");
  strictEqual((await sandbox.run(["last-message", old])).stdout, "REPLY: hello [length 5]\n");
});

Deno.test("nothing is ended that works, waits, has a background shell, is looked at, shared or holds a draft", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const gate = join(sandbox.root, "gate");
  const [working, waiting, shell, draft, watched, shared, fresh, resting] = [
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
  ];
  await json(sandbox, ["send", working, `SCRIPT:gate ${gate}`]);
  await json(sandbox, ["send", waiting, "SCRIPT:permission rm -rf dist"]);
  strictEqual((await sandbox.run(["wait", waiting])).code, 5);
  await json(sandbox, ["send", shell, "SCRIPT:bgshell 60000"]);
  strictEqual((await sandbox.run(["wait", shell])).code, 0);
  const pane = (await json<{ handle: { pane: string } }>(sandbox, ["inspect", draft])).handle.pane;
  await sandbox.tmux("send-keys", "-t", pane, "-l", "--", "half a thought");
  await sandbox.eventually(async () => (await sandbox.screen(pane)).includes("half a thought"), {
    what: "the draft",
  });
  await sandbox.tmux("new-window", "-d", "-t", `=dev-${shared}:`, "exec sleep 600");
  const detach = await attach(sandbox, watched);
  for (const id of [working, waiting, shell, draft, watched, shared, resting]) await age(sandbox, id);
  await age(sandbox, fresh, { record: false });
  await configure(sandbox, { endIdleAfter: "2h" });

  const { stderr } = await sandbox.run(["list"]);
  match(stderr, new RegExp(`^\\[dev-sessions\\] ended ${resting}: .*\n$`));
  strictEqual((await agents(sandbox)).length, 7);
  match(await sandbox.screen(pane), /half a thought/);
  await detach();
  due(sandbox);
  match((await sandbox.run(["list"])).stderr, new RegExp(`^\\[dev-sessions\\] ended ${watched}: .*\n$`));
  await Deno.writeTextFile(gate, "");
});

Deno.test("a session that lists does not end itself, nor those that it descends from", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const parent = await created(sandbox);
  const child = await created(sandbox, [], { env: { DEV_SESSIONS_ID: parent } });
  const sibling = await created(sandbox, [], { env: { DEV_SESSIONS_ID: parent } });
  for (const id of [parent, child, sibling]) await age(sandbox, id);
  await configure(sandbox, { endIdleAfter: "2h" });
  const { stderr } = await sandbox.run(["list"], { env: { DEV_SESSIONS_ID: child } });
  match(stderr, new RegExp(`^\\[dev-sessions\\] ended ${sibling}: .*\n$`));
  deepStrictEqual(rows(sandbox), [`${parent} active`, `${child} active`, `${sibling} ended`]);
});

Deno.test("what can't be read of one session keeps list from nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [unreadable, old] = [await created(sandbox), await created(sandbox)];
  for (const id of [unreadable, old]) strictEqual((await sandbox.run(["ask", id, "hello"])).code, 0);
  const [row] = sql(sandbox, "SELECT token FROM sessions WHERE id = ?", unreadable);
  const events = join(sandbox.home, ".dev-sessions", "sessions", String(row?.["token"]), "events");
  await Deno.rename(events, `${events}-away`);
  await Deno.writeTextFile(events, "");
  for (const id of [unreadable, old]) await age(sandbox, id);
  await configure(sandbox, { endIdleAfter: "2h" });

  const { code, stderr } = await sandbox.run(["list", "--all"]);
  match(stderr, new RegExp(`^\\[dev-sessions\\] whether ${unreadable} is idle can't be told: `, "m"));
  match(stderr, new RegExp(`^\\[dev-sessions\\] ended ${old}: idle for 2h`, "m"));
  deepStrictEqual(rows(sandbox), [`${unreadable} active`, `${old} ended`]);
  strictEqual(code, 0, stderr);
});
