/** The registry as users meet it: private files, one clear error when it is damaged, and 0.4.4's sessions taken over. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";
import {
  agents,
  created,
  type Json,
  json,
  registryFile,
  rows,
  tmuxSessions,
} from "../support/sandbox_state.ts";

const DAY_MS = 86_400_000;

interface LegacySession {
  readonly id: string;
  readonly uuid?: string;
  readonly fields?: Json;
}

/** Writes a registry as 0.4.4 did; returns its bytes. */
async function legacyRegistry(sandbox: Sandbox, sessions: readonly LegacySession[]): Promise<string> {
  const folder = join(sandbox.home, ".dev-sessions");
  await Deno.mkdir(folder, { recursive: true });
  const records = sessions.map(({ id, uuid = crypto.randomUUID(), fields }, index) => ({
    championId: id,
    internalId: uuid,
    cli: "claude",
    mode: "native",
    path: sandbox.workspace,
    status: "active",
    claudeSystemCountAtSend: 0,
    createdAt: new Date(Date.now() - DAY_MS + index).toISOString(),
    lastUsed: new Date(Date.now() - DAY_MS + index).toISOString(),
    ...fields,
  }));
  const text = JSON.stringify({ version: 1, sessions: records }, null, 2);
  await Deno.writeTextFile(join(folder, "sessions.json"), text);
  return text;
}

/** Starts an agent the way 0.4.4 did: by a login shell in a session without marks. */
async function startLegacy(sandbox: Sandbox, id: string, uuid: string): Promise<void> {
  // A login shell sets PATH anew; the user's own profile puts the agent there.
  await Deno.writeTextFile(
    join(sandbox.home, ".bash_profile"),
    `export PATH='${join(sandbox.root, "bin")}':"$PATH"\n`,
  );
  await Deno.mkdir(sandbox.claudeConfig, { recursive: true });
  await Deno.writeTextFile(
    join(sandbox.claudeConfig, "settings.json"),
    JSON.stringify({ skipDangerousModePermissionPrompt: true }),
  );
  const shell = `unset CLAUDECODE; export IS_SANDBOX=1; cd '${sandbox.workspace}' && ` +
    `claude --session-id '${uuid}' --dangerously-skip-permissions`;
  const name = `dev-${id}`;
  const before = (await agents(sandbox)).length;
  const started = await sandbox.tmux("new-session", "-d", "-s", name, "-n", name, "bash", "-lc", shell);
  strictEqual(started.code, 0, started.stderr);
  await sandbox.eventually(async () => {
    const registered = await Array.fromAsync(Deno.readDir(join(sandbox.claudeConfig, "sessions")));
    return registered.length > before;
  }, { what: "the agent of 0.4.4 is ready" });
}

const states = (records: readonly Json[]) => records.map((record) => `${record["id"]} ${record["state"]}`);

Deno.test("the registry is private whatever the umask", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const create = `umask 022; exec '${Deno.execPath()}' run -A --quiet '${main}' create -q`;
  const { code, stdout, stderr } = await sandbox.spawn("sh", ["-c", create]).done();
  strictEqual(code, 0, stderr);
  await sandbox.run(["send", stdout.trim(), "hello"]);
  await sandbox.run(["wait", stdout.trim()]);
  const open: string[] = [];
  const visit = async (path: string) => {
    const { mode, isDirectory } = await Deno.lstat(path);
    if ((mode! & 0o077) !== 0) open.push(`${path} ${(mode! & 0o777).toString(8)}`);
    if (isDirectory) { for await (const { name } of Deno.readDir(path)) await visit(join(path, name)); }
  };
  await visit(join(sandbox.home, ".dev-sessions"));
  deepStrictEqual(open, []);
});

Deno.test("a folder that others may enter is closed to them", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const folder = join(sandbox.home, ".dev-sessions");
  await Deno.mkdir(folder);
  await Deno.chmod(folder, 0o755);
  await created(sandbox);
  strictEqual((await Deno.stat(folder)).mode! & 0o777, 0o700);
});

Deno.test("a damaged registry is one clear error with its path, and is left as it is", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const file = registryFile(sandbox);
  for (const name of await Array.fromAsync(Deno.readDir(join(sandbox.home, ".dev-sessions")))) {
    if (/-(wal|shm)$/.test(name.name)) await Deno.remove(join(sandbox.home, ".dev-sessions", name.name));
  }
  const damaged = "this is no database\n".repeat(500);
  await Deno.writeTextFile(file, damaged);
  const commands = [["list"], ["status", id], ["create"], ["send", id, "x"], ["kill", "--all"], [
    "inspect",
    id,
  ]];
  for (const args of commands) {
    const { code, stdout, stderr } = await sandbox.run(args);
    deepStrictEqual([code, stdout], [1, ""], args.join(" "));
    strictEqual(stderr.split("\n").length, 2, stderr);
    ok(stderr.startsWith(`Cannot read the session registry "${file}": it is damaged (`), stderr);
  }
  const asJson = await sandbox.run(["list", "--json"]);
  strictEqual(asJson.stdout, "");
  strictEqual(JSON.parse(asJson.stderr).error.exitCode, 1);
  strictEqual(await Deno.readTextFile(file), damaged);
  // What needs no registry goes on.
  strictEqual((await sandbox.run(["--version"])).code, 0);
  strictEqual((await sandbox.run(["help"])).code, 0);
  strictEqual((await agents(sandbox)).length, 1);
});

Deno.test("a home that can't be written is one clear error", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const blocked = await sandbox.folder("blocked");
  await Deno.writeTextFile(join(blocked, ".dev-sessions"), "");
  for (const HOME of [blocked, "relative", undefined]) {
    const { code, stderr } = await sandbox.run(["list"], { env: { HOME } });
    strictEqual(code, 1);
    match(stderr, /^Cannot [^\n]*\n$/);
  }
});

Deno.test("a live session of 0.4.4 is taken over: status, send, wait, last-message, list, kill", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const uuid = crypto.randomUUID();
  await startLegacy(sandbox, "fizz-top", uuid);
  await sandbox.tmux("new-session", "-d", "-s", "dev-fizz-top-notes", "cat");
  const text = await legacyRegistry(sandbox, [{ id: "fizz-top", uuid, fields: { description: "old work" } }]);

  strictEqual((await sandbox.run(["status", "fizz-top"])).stdout, "idle\n");
  const sent = await json(sandbox, ["send", "fizz-top", "hello"]);
  strictEqual(sent["result"], "submitted");
  strictEqual((await sandbox.run(["wait", "fizz-top"])).stdout, "completed\n");
  strictEqual((await sandbox.run(["last-message", "fizz-top"])).stdout, "REPLY: hello [length 5]\n");
  const [record = {}] = await json<Json[]>(sandbox, ["list"]);
  deepStrictEqual(
    [record["id"], record["internalId"], record["mode"], record["state"], record["description"]],
    ["fizz-top", uuid, "yolo", "idle", "old work"],
  );
  const killed = await sandbox.run(["kill", "fizz-top"]);
  strictEqual(killed.stdout, "Killed session fizz-top\n", killed.stderr);
  strictEqual((await agents(sandbox)).length, 0);
  deepStrictEqual(await tmuxSessions(sandbox), ["dev-fizz-top-notes"]);
  strictEqual(await Deno.readTextFile(join(sandbox.home, ".dev-sessions", "sessions.json")), text);
});

Deno.test("list takes live sessions of 0.4.4 over by itself, and create goes beside them", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const uuid = crypto.randomUUID();
  await startLegacy(sandbox, "fizz-top", uuid);
  await legacyRegistry(sandbox, [{ id: "fizz-top", uuid }]);
  deepStrictEqual(states(await json(sandbox, ["list"])), ["fizz-top idle"]);
  const id = await created(sandbox);
  deepStrictEqual(states(await json(sandbox, ["list"])), ["fizz-top idle", `${id} idle`]);
  const [agent] = (await agents(sandbox)).filter(({ command }) => command.includes(uuid));
  signal(agent!.pid, "SIGKILL");
  await sandbox.eventually(async () => !await isRunning(agent!.pid), { what: "the old agent is dead" });
  deepStrictEqual(states(await json(sandbox, ["list"])), [`${id} idle`]);
});

Deno.test("sessions of 0.4.4 whose agent can't be found are listed as unknown, and can be killed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  // As after a reboot: no tmux server, no agent.
  await legacyRegistry(sandbox, [
    { id: "fizz-top" },
    { id: "riven-jg", fields: { status: "inactive" } },
    { id: "zed-mid", fields: { cli: "codex", internalId: "thread-1" } },
    { id: "vex-sup", fields: { mode: "docker" } },
    { id: "NOT AN ID" },
  ]);
  const first = await sandbox.run(["list", "--json"]);
  strictEqual(first.code, 0, first.stderr);
  match(
    first.stderr,
    /^\[dev-sessions\] ignoring invalid session record in .*sessions\.json at index 4 .*\n$/,
  );
  deepStrictEqual(states(JSON.parse(first.stdout)), [
    "fizz-top unknown",
    "zed-mid unknown",
    "vex-sup unknown",
  ]);
  const second = await sandbox.run(["list", "--all"]);
  strictEqual(second.stderr, "");
  match(second.stdout, /^riven-jg +claude +yolo +local +gone /m);

  const status = await sandbox.run(["status", "fizz-top"]);
  deepStrictEqual([status.code, status.stdout], [0, "unknown\n"], status.stderr);
  const sent = await sandbox.run(["send", "fizz-top", "hello"]);
  strictEqual(sent.code, 4);
  match(sent.stderr, /^Cannot send to "fizz-top": [^\n]*\n$/);
  strictEqual((await sandbox.run(["kill", "fizz-top"])).stdout, "Killed session fizz-top\n");
  // Where no server runs, no thread does.
  strictEqual((await sandbox.run(["kill", "zed-mid"])).stdout, "Killed session zed-mid\n");
  ok(rows(sandbox).includes("zed-mid ended"));
});

Deno.test("a tmux session with the name of a 0.4.4 session, but without its agent, is left alone", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await sandbox.tmux("new-session", "-d", "-s", "dev-fizz-top", "cat");
  await legacyRegistry(sandbox, [{ id: "fizz-top" }]);
  strictEqual((await sandbox.run(["status", "fizz-top"])).stdout, "unknown\n");
  const sent = await sandbox.run(["send", "fizz-top", "hello"]);
  strictEqual(sent.code, 4);
  await sandbox.run(["kill", "--all"]);
  deepStrictEqual(await tmuxSessions(sandbox), ["dev-fizz-top"]);
  strictEqual(await sandbox.screen("=dev-fizz-top:"), "");
});
