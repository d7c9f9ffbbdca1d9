/** `list`, `status` and `inspect` say what is, and notice by themselves what has ended. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { agentPid, agents, created, type Json, json, rows, tmuxSessions } from "../support/sandbox_state.ts";

const KEYS = [
  ...[
    "championId",
    "cli",
    "createdAt",
    "endReason",
    "endedAt",
    "group",
    "id",
    "internalId",
  ],
  ...["lastUsed", "lifecycle", "mode", "parent", "path", "pending", "state", "status", "usage"],
];

async function ids(sandbox: Sandbox, ...args: string[]): Promise<string[]> {
  return (await json<Json[]>(sandbox, ["list", ...args])).map((record) => String(record["id"]));
}

Deno.test("list says that there is nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  strictEqual((await sandbox.run(["list"])).stdout, "No active sessions\n");
  strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
  strictEqual((await sandbox.run(["list", "--json"])).stdout, "[]\n");
});

Deno.test("list shows what each session does, by creation, and --group only its own", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const idle = await created(sandbox, ["-d", "first\tone", "--group", "api"]);
  const busy = await created(sandbox, ["--group", "web"]);
  const asking = await created(sandbox, ["--group", "api"]);
  const gate = join(sandbox.root, "gate");
  await json(sandbox, ["send", busy, `SCRIPT:gate ${gate}`]);
  await json(sandbox, ["send", asking, "SCRIPT:permission rm -rf dist"]);
  strictEqual((await sandbox.run(["wait", asking])).code, 5);

  const { stdout } = await sandbox.run(["list"]);
  const [header = "", dashes = "", ...table] = stdout.trimEnd().split("\n");
  match(header, /^ID +CLI +MODE +HOST +STATUS +PATH +DESCRIPTION +LAST USED +GROUP$/);
  match(dashes, /^[- ]+$/);
  deepStrictEqual(table.map((line) => line.split(/ {2,}/).slice(0, 5).join(" ")), [
    `${idle} claude yolo local idle`,
    `${busy} claude yolo local working`,
    `${asking} claude yolo local waiting_for_input`,
  ]);
  ok(table[0]?.includes("first one"));

  const records = await json<Json[]>(sandbox, ["list"]);
  deepStrictEqual(Object.keys(records[1]!).sort(), KEYS);
  deepStrictEqual(records.map((record) => record["state"]), ["idle", "working", "waiting_for_input"]);
  deepStrictEqual(records.map((record) => record["pending"]), [null, null, "Bash: rm -rf dist"]);
  deepStrictEqual(await ids(sandbox, "--group", "api"), [idle, asking]);
  deepStrictEqual(await ids(sandbox, "--group", "none"), []);
  await Deno.writeTextFile(gate, "");
  strictEqual((await sandbox.run(["wait", busy])).stdout, "completed\n");
});

Deno.test("list no longer shows a session whose agent died, and tidies up after it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [killed, crashed, alive] = [
    await created(sandbox, ["--group", "a"]),
    await created(sandbox),
    await created(sandbox),
  ];
  strictEqual((await sandbox.run(["send", killed, "hello"])).code, 0);
  strictEqual((await sandbox.run(["wait", killed])).stdout, "completed\n");
  await sandbox.run(["send", crashed, "SCRIPT:crash 3"]);
  signal(agentPid(sandbox, killed), "SIGKILL");
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "two agents are dead" });

  deepStrictEqual(await ids(sandbox), [alive]);
  deepStrictEqual(rows(sandbox), [`${killed} ended`, `${crashed} ended`, `${alive} active`]);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${alive}`]);
  const all = await json<Json[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(
    all.map((record) => [record["id"], record["state"], record["status"], record["endReason"]]),
    [
      [killed, "gone", "inactive", "signal 9"],
      [crashed, "gone", "inactive", "exit 3"],
      [alive, "idle", "active", null],
    ],
  );
  deepStrictEqual(await ids(sandbox, "--all", "--group", "a"), [killed]);
  ok(all.slice(0, 2).every((record) => !Number.isNaN(Date.parse(String(record["endedAt"])))));

  // What it said can still be read.
  strictEqual((await sandbox.run(["status", killed])).stdout, "gone\n");
  strictEqual((await json(sandbox, ["status", killed]))["reason"], "signal 9");
  strictEqual((await sandbox.run(["last-message", killed])).stdout, "REPLY: hello [length 5]\n");
  const sent = await sandbox.run(["send", killed, "hello"]);
  strictEqual(sent.code, 7);
  match(sent.stderr, /^Cannot send to "[a-z-]+": its agent is gone \(signal 9\)\. /);
});

Deno.test("an agent that ends by itself is gone with its exit code, whoever looks first", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const verbs: readonly (readonly [string, number, RegExp])[] = [
    ["status", 0, /^gone\n$/],
    [
      "wait",
      7,
      /^The agent of "[a-z-]+" is gone: exit 3\. Bring it back with: dev-sessions resume [a-z-]+\n$/,
    ],
  ];
  for (const [verb, code, text] of verbs) {
    const id = await created(sandbox);
    const pid = agentPid(sandbox, id);
    await sandbox.run(["send", id, "SCRIPT:crash 3"]);
    await sandbox.eventually(async () => (await agents(sandbox)).every((agent) => agent.pid !== pid), {
      what: "the agent has crashed",
    });
    const output = await sandbox.run([verb, id]);
    strictEqual(output.code, code);
    match(verb === "status" ? output.stdout : output.stderr, text);
    strictEqual((await json(sandbox, ["inspect", id]))["endReason"], "exit 3");
    deepStrictEqual(await tmuxSessions(sandbox), []);
  }
});

Deno.test("a pane that somebody looks at stays when its agent dies", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const attached = async () => (await sandbox.tmux("list-clients", "-F", "#{session_name}")).stdout;
  const socket = (await sandbox.tmux("display-message", "-p", "#{socket_path}")).stdout.trim();
  const other = ["-S", join(sandbox.root, "t", "other")];
  const attach = `TMUX= exec tmux -S ${socket} attach-session -t =dev-${id}`;
  await sandbox.tmux(...other, "new-session", "-d", attach);
  await sandbox.eventually(async () => (await attached()).includes(id), { what: "somebody is attached" });
  signal(agentPid(sandbox, id), "SIGKILL");
  await sandbox.eventually(async () => (await sandbox.run(["status", id])).stdout === "gone\n", {
    what: "gone",
  });
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
  await sandbox.tmux(...other, "kill-server");
  await sandbox.eventually(async () => await attached() === "", { what: "nobody is attached" });
  const next = await created(sandbox);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${next}`]);
});

Deno.test("inspect prints the whole record; unknown ids are exit 3 everywhere", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const { stdout } = await sandbox.run(["inspect", id]);
  const record = JSON.parse(stdout);
  deepStrictEqual(await json(sandbox, ["inspect", id]), record);
  strictEqual(record.process.pid, agentPid(sandbox, id));
  strictEqual(record.handle.tmuxSession, `dev-${id}`);
  strictEqual(record.lastSend, null);
  for (const verb of ["inspect", "status", "wait", "last-message", "logs", "kill"]) {
    const output = await sandbox.run([verb, "zzz-top"]);
    deepStrictEqual([output.code, output.stdout], [3, ""], verb);
    match(output.stderr, /^Session not found: zzz-top\n/, verb);
  }
  for (const verb of ["send", "ask"]) {
    const output = await sandbox.run([verb, "zzz-top", "hello"]);
    deepStrictEqual([output.code, output.stdout], [3, ""], verb);
  }
});
