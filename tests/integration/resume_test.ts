/**
 * `resume` brings an ended session back with its conversation, only where it lives nowhere, or leaves it as it was.
 *
 * Long, because every case begins with the same session that has ended, and ends with the same look at it.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import {
  agentPid,
  agents,
  argumentsOf,
  created,
  environmentOf,
  type Json,
  json,
  rows,
  sessionFolders,
  sql,
  tmuxSessions,
} from "../support/sandbox_state.ts";

/** Sends, waits for the end of the turn, and returns the receipt. */
async function turn(sandbox: Sandbox, id: string, text: string): Promise<string> {
  const { receipt } = await json(sandbox, ["send", id, text]);
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
  return String(receipt);
}

/** Ends all that runs, as a crash of the machine does; nobody tidies up. */
async function crash(sandbox: Sandbox): Promise<void> {
  for (const { pid } of await sandbox.processesOf()) signal(pid, "SIGKILL");
  await sandbox.eventually(async () => (await sandbox.processesOf()).length === 0, { what: "all is dead" });
}

/** Nothing of a `resume` that did not come to its end. */
async function assertStillEnded(sandbox: Sandbox, id: string, reason: string): Promise<void> {
  await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  deepStrictEqual(await tmuxSessions(sandbox), []);
  const [row] = sql(sandbox, "SELECT lifecycle, end_reason, resumer, token FROM sessions WHERE id = ?", id);
  deepStrictEqual([row?.["lifecycle"], row?.["end_reason"], row?.["resumer"]], ["ended", reason, null]);
  const files = [
    ...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions", String(row?.["token"]))),
  ];
  ok(!files.some(({ name }) => name === "launch.sh"), "no environment is left behind");
}

async function refused(sandbox: Sandbox, id: string, why: RegExp, code = 1): Promise<void> {
  const before = rows(sandbox);
  const running = (await agents(sandbox)).length;
  const { code: got, stdout, stderr } = await sandbox.run(["resume", id]);
  strictEqual(got, code, stderr);
  strictEqual(stdout, "");
  match(stderr, why);
  deepStrictEqual(rows(sandbox), before);
  strictEqual((await agents(sandbox)).length, running);
}

function transcriptOf(sandbox: Sandbox, conversation: unknown): string {
  const folder = sandbox.workspace.replace(/[^a-zA-Z0-9]/g, "-");
  return join(sandbox.claudeConfig, "projects", folder, `${conversation}.jsonl`);
}

Deno.test("a killed session goes on under its id with its conversation, its flags and its folder", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox, [
    ...["--mode", "native", "--trust", "--model", "opus", "--group", "g", "-d", "the form"],
    ...["--agent-arg", "--verbose", "--agent-arg", "--add-dir", "--agent-arg", "/tmp"],
  ]);
  const receipt = await turn(sandbox, id, "before");
  const { internalId } = await json(sandbox, ["inspect", id]);
  const folders = sessionFolders(sandbox);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  deepStrictEqual((await json<Json[]>(sandbox, ["list", "--all"])).map((row) => row["resumable"]), [true]);

  const resumed = await sandbox.run(["resume", id], {
    env: { CLAUDECODE: "1", CLAUDE_CODE_CHILD_SESSION: "1" },
  });
  strictEqual(resumed.stdout, `Resumed session ${id}\n`, resumed.stderr);
  deepStrictEqual(rows(sandbox), [`${id} active`]);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
  deepStrictEqual(sessionFolders(sandbox), folders);
  strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
  const pid = agentPid(sandbox, id);
  const args = argumentsOf(pid);
  deepStrictEqual(
    args.slice(args.indexOf("--resume")),
    [
      ...["--resume", internalId, "--settings", join(sandbox.home, ".dev-sessions/sessions", folders[0]!)],
    ].map((arg, index) => index === 3 ? `${arg}/settings.json` : String(arg)).concat([
      ...["--permission-mode", "default", "--model", "opus", "--verbose", "--add-dir", "/tmp"],
    ]),
  );
  const env = environmentOf(pid);
  deepStrictEqual(
    ["DEV_SESSIONS_ID", "CLAUDE_CODE_SANDBOXED", "CLAUDECODE", "CLAUDE_CODE_CHILD_SESSION"].map((name) =>
      env.get(name)
    ),
    [id, "1", undefined, undefined],
  );

  // What was said and sent before is still there, and so is the way back to it.
  strictEqual((await sandbox.run(["last-message", id])).stdout, "REPLY: before [length 6]\n");
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
  strictEqual((await sandbox.run(["wait", id, "--message", receipt])).stdout, "completed\n");
  await turn(sandbox, id, "after");
  strictEqual(
    (await sandbox.run(["last-message", id, "-n", "2"])).stdout.match(/REPLY: \w+/g)?.join(),
    "REPLY: before,REPLY: after",
  );
  const [record] = await json<Json[]>(sandbox, ["list"]);
  deepStrictEqual(
    [record?.["id"], record?.["internalId"], record?.["group"], record?.["description"], record?.["endedAt"]],
    [id, internalId, "g", "the form", null],
  );
});

Deno.test("after the death of everything resume needs no other command before it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [idle, working, fresh] = [await created(sandbox), await created(sandbox), await created(sandbox)];
  await turn(sandbox, idle, "hello");
  const gate = join(sandbox.root, "gate");
  const { receipt } = await json(sandbox, ["send", working, `SCRIPT:gate ${gate}`]);
  const queued = await json(sandbox, ["send", working, "queued"]);
  strictEqual(queued["result"], "queued");
  await crash(sandbox);
  deepStrictEqual(rows(sandbox), [`${idle} active`, `${working} active`, `${fresh} active`]);
  for (const id of [idle, working, fresh]) {
    const { code, stderr } = await sandbox.run(["resume", id, "-q"]);
    strictEqual(code, 0, stderr);
    strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
  }
  // The conversation that never began begins now, under the id it was to have.
  deepStrictEqual(
    [idle, working, fresh].map((id) => argumentsOf(agentPid(sandbox, id)).includes("--session-id")),
    [false, false, true],
  );
  for (const message of [String(receipt), String(queued["receipt"])]) {
    const cutOff = await sandbox.run(["wait", working, "--message", message]);
    strictEqual(cutOff.code, 6);
    match(cutOff.stderr, /failed: its agent ended before the turn was over\n$/);
  }
  for (const id of [idle, working, fresh]) await turn(sandbox, id, "again");
  strictEqual((await sandbox.run(["wait", working, "--message", String(receipt)])).code, 6);
  deepStrictEqual(
    sql(sandbox, "SELECT type, reason FROM lifecycle WHERE session_id = ? ORDER BY seq", idle)
      .map(({ type, reason }) => [type, reason]),
    [["created", null], ["ended", "its tmux session is gone"], ["resumed", null]],
  );
});

Deno.test("after /clear the newer conversation goes on, also when it has not begun", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  await turn(sandbox, id, "before");
  await turn(sandbox, id, "SCRIPT:plain x");
  const { handle, internalId } = await json<{ handle: { pane: string }; internalId: string }>(
    sandbox,
    ["inspect", id],
  );
  const conversation = async () => {
    const text = await Deno.readTextFile(
      join(sandbox.claudeConfig, "sessions", `${agentPid(sandbox, id)}.json`),
    );
    return JSON.parse(text).sessionId as string;
  };
  await sandbox.tmux("send-keys", "-t", handle.pane, "/clear", "Enter");
  await sandbox.eventually(async () => await conversation() !== internalId, { what: "another conversation" });
  await sandbox.eventually(async () => (await sandbox.run(["status", id])).stdout === "idle\n", {
    what: "idle",
  });
  const cleared = await conversation();
  for (const option of ["--session-id", "--resume"]) {
    strictEqual((await sandbox.run(["kill", id])).code, 0);
    deepStrictEqual((await json<Json[]>(sandbox, ["list", "--all"])).map((row) => row["resumable"]), [true]);
    const { code, stderr } = await sandbox.run(["resume", id]);
    strictEqual(code, 0, stderr);
    const args = argumentsOf(agentPid(sandbox, id));
    strictEqual(args[args.indexOf(option) + 1], cleared);
    await turn(sandbox, id, `after ${option}`);
  }
  match((await sandbox.run(["logs", id])).stdout, /before[\s\S]*after --session-id[\s\S]*after --resume/);
});

Deno.test("the configuration folder is the session's own, whoever resumes it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const own = await sandbox.folder("own-config");
  const other = await sandbox.folder("other-config");
  const [given, usual] = [
    await created(sandbox, [], { env: { CLAUDE_CONFIG_DIR: own } }),
    await created(sandbox),
  ];
  await turn(sandbox, given, "hello");
  strictEqual((await sandbox.run(["kill", given, usual])).code, 0);
  const env = { CLAUDE_CONFIG_DIR: other };
  for (const id of [given, usual]) strictEqual((await sandbox.run(["resume", id], { env })).code, 0);
  deepStrictEqual(
    [given, usual].map((id) => environmentOf(agentPid(sandbox, id)).get("CLAUDE_CONFIG_DIR")),
    [own, undefined],
  );
  await turn(sandbox, given, "again");
});

Deno.test("resume is refused while the session is live, or is not proven to be dead", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  await refused(sandbox, id, /^Cannot resume "[a-z-]+": it is live already\. See what it does with: .*\n$/);
  strictEqual((await sandbox.run(["resume", "fizz-top"])).code, id === "fizz-top" ? 1 : 3);

  // As if it ran where its process can't be seen.
  const [row] = sql(sandbox, "SELECT process FROM sessions WHERE id = ?", id);
  const elsewhere = { ...JSON.parse(String(row?.["process"])), machine: "another/machine/1" };
  sql(sandbox, "UPDATE sessions SET process = ? WHERE id = ?", JSON.stringify(elsewhere), id);
  await refused(sandbox, id, /^Cannot resume "[a-z-]+": its agent is not proven to be dead\. /);
  sql(sandbox, "UPDATE sessions SET process = ? WHERE id = ?", String(row?.["process"]), id);

  // As if somebody had marked it as ended while its agent lives.
  sql(sandbox, "UPDATE sessions SET lifecycle = 'ended' WHERE id = ?", id);
  await refused(sandbox, id, /^Cannot resume "[a-z-]+": it is live already\. /);
  sql(sandbox, "UPDATE sessions SET process = NULL WHERE id = ?", id);
  await refused(sandbox, id, /: its conversation is live in another Claude \(process \d+\)\. /);
  await Deno.remove(join(sandbox.claudeConfig, "sessions"), { recursive: true });
  await refused(sandbox, id, /: a process still lives in its tmux session dev-[a-z-]+\. Look at it with: /);
});

Deno.test("resume is refused while a person has the conversation open; stale records of dead ones don't count", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  await turn(sandbox, id, "hello");
  const { internalId } = await json(sandbox, ["inspect", id]);
  signal(agentPid(sandbox, id), "SIGKILL");
  await sandbox.eventually(async () => (await sandbox.run(["status", id])).stdout === "gone\n", {
    what: "gone",
  });
  const claude = `IS_SANDBOX=1 exec claude --resume ${internalId}`;
  await sandbox.tmux("new-session", "-d", "-s", "mine", claude);
  const registry = join(sandbox.claudeConfig, "sessions");
  await sandbox.eventually(() => [...Deno.readDirSync(registry)].length === 2, { what: "the person's own" });
  await refused(
    sandbox,
    id,
    /: its conversation is live in another Claude \(process \d+\)\. End that one first/,
  );
  for (const { pid } of await agents(sandbox)) signal(pid, "SIGKILL");
  await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent" });
  strictEqual([...Deno.readDirSync(registry)].length, 2);
  strictEqual((await sandbox.run(["resume", id])).code, 0);
  await turn(sandbox, id, "again");
});

Deno.test("resume is refused where another session is at the same conversation", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["no-registry"] });
  const [one, two] = [await created(sandbox), await created(sandbox)];
  const { internalId } = await json(sandbox, ["inspect", one]);
  strictEqual((await sandbox.run(["kill", two])).code, 0);
  sql(sandbox, "UPDATE sessions SET agent_session_id = ? WHERE id = ?", String(internalId), two);
  // Its hooks name the conversation that it had.
  const [row] = sql(sandbox, "SELECT token FROM sessions WHERE id = ?", two);
  const events = join(sandbox.home, ".dev-sessions", "sessions", String(row?.["token"]), "events");
  for (const { name } of Deno.readDirSync(events)) Deno.removeSync(join(events, name));
  await refused(sandbox, two, new RegExp(`: the session "${one}" has the same conversation and is live\\. `));
});

Deno.test("what can't be looked at is not called gone", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const folder = await sandbox.folder("elsewhere");
  const id = await created(sandbox, ["-p", folder]);
  await turn(sandbox, id, "hello");
  const { internalId } = await json(sandbox, ["inspect", id]);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  const projects = join(sandbox.home, ".claude", "projects");
  const [project] = [...Deno.readDirSync(projects)].map(({ name }) => name).filter((name) =>
    name.endsWith("elsewhere")
  );
  for (
    const [path, what] of [
      [folder, "workspace"],
      [join(projects, project ?? "", `${internalId}.jsonl`), "conversation"],
    ] as const
  ) {
    await Deno.rename(path, `${path}.aside`);
    await Deno.symlink(path, path);
    await refused(
      sandbox,
      id,
      new RegExp(`^Cannot resume "${id}": its ${what} "[^"]*" can't be looked at: `),
    );
    await Deno.remove(path);
    await Deno.rename(`${path}.aside`, path);
  }
  strictEqual((await sandbox.run(["resume", id])).code, 0);
});

Deno.test("what can't be resumed is told before anything changes, and list --all knows most of it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const gone = await sandbox.folder("gone");
  const homeless = await created(sandbox, ["-p", gone]);
  const forgetful = await created(sandbox);
  const fresh = await created(sandbox);
  await turn(sandbox, forgetful, "hello");
  const { internalId } = await json(sandbox, ["inspect", forgetful]);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await Deno.remove(gone, { recursive: true });
  await Deno.remove(transcriptOf(sandbox, internalId));
  const resumable = new Map((await json<Json[]>(sandbox, ["list", "--all"])).map((row) => [row["id"], row]));
  deepStrictEqual([homeless, forgetful, fresh].map((id) => resumable.get(id)?.["resumable"]), [
    false,
    false,
    true,
  ]);
  match((await sandbox.run(["list", "--all"])).stdout, new RegExp(`\n${homeless} .* - +\n`));
  await refused(
    sandbox,
    homeless,
    /: its workspace ".*\/gone" is gone\. Make that folder again, then repeat this\n$/,
  );
  await refused(
    sandbox,
    forgetful,
    /: its conversation is gone: there is no .*\.jsonl\. Start another with: dev-sessions create\n$/,
  );
  sql(sandbox, "UPDATE sessions SET mode = 'docker' WHERE id = ?", fresh);
  await refused(
    sandbox,
    fresh,
    /^Cannot resume "[a-z-]+": no record says how its container was started\. Start another with: dev-sessions create\n$/,
  );
  sql(sandbox, "UPDATE sessions SET agent = 'codex' WHERE id = ?", fresh);
  await refused(
    sandbox,
    fresh,
    /: its record does not say where its thread is\. See it with: dev-sessions inspect/,
  );
  for (const id of [homeless, forgetful, fresh]) await assertStillEnded(sandbox, id, "killed");
});

Deno.test("a session of 0.4.4 is resumed when its conversation is there", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const uuids = [crypto.randomUUID(), crypto.randomUUID()];
  const at = "2026-01-01T00:00:00.000Z";
  await Deno.mkdir(join(sandbox.home, ".dev-sessions"));
  await Deno.writeTextFile(
    join(sandbox.home, ".dev-sessions", "sessions.json"),
    JSON.stringify({
      version: 1,
      sessions: uuids.map((internalId, index) => ({
        ...{ championId: ["fizz-top", "riven-jg"][index], internalId, cli: "claude", mode: "native" },
        ...{ path: sandbox.workspace, status: "inactive", createdAt: at, lastUsed: at },
      })),
    }),
  );
  const transcript = transcriptOf(sandbox, uuids[0]);
  await Deno.mkdir(join(transcript, ".."), { recursive: true });
  await Deno.writeTextFile(
    transcript,
    `${
      JSON.stringify({
        type: "user",
        message: { role: "user", content: "long ago" },
        uuid: "u",
        timestamp: at,
      })
    }\n`,
  );
  const listed = await json<Json[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(listed.map((row) => [row["id"], row["resumable"]]), [["fizz-top", true], [
    "riven-jg",
    false,
  ]]);
  await refused(sandbox, "riven-jg", /: its conversation is gone: there is no /);
  strictEqual((await sandbox.run(["resume", "fizz-top"])).stdout, "Resumed session fizz-top\n");
  await turn(sandbox, "fizz-top", "now");
  match((await sandbox.run(["logs", "fizz-top"])).stdout, /long ago[\s\S]*now/);
});

Deno.test("a resume that fails shows the screen and leaves the session as it was", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  await turn(sandbox, id, "hello");
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  const table: [stub: string, args: string[], why: RegExp][] = [
    ["die-at-once=3", [], /^Cannot resume "[a-z-]+": its agent ended at once \(exit 3\)\. /],
    [
      "onboarding-exit",
      [],
      /^Cannot resume ".*: Claude has not been set up .*\n {2}Its last screen:\n.*Unable to/,
    ],
    [
      "slow-start=60000",
      ["--ready-timeout", "1"],
      /^Cannot resume ".*": it did not accept input within 1 s\. /,
    ],
  ];
  for (const [stub, args, why] of table) {
    const { code, stdout, stderr } = await sandbox.run(["resume", id, ...args], {
      env: { STUB_AGENT: stub },
    });
    strictEqual(code, 1, stderr);
    strictEqual(stdout, "");
    match(stderr, why);
    await assertStillEnded(sandbox, id, "killed");
  }
  // What was on record of its first life proves nothing of its second.
  const silent = await sandbox.run(["resume", id, "--ready-timeout", "2"], {
    env: { STUB_AGENT: "slow-start=60000,no-hooks" },
  });
  strictEqual(silent.code, 1, silent.stdout);
  await assertStillEnded(sandbox, id, "killed");

  await sandbox.tmux("new-session", "-d", "-s", `dev-${id}`, "sleep 600");
  const taken = await sandbox.run(["resume", id]);
  strictEqual(taken.code, 1);
  match(
    taken.stderr,
    /: tmux already has a session named dev-[a-z-]+\. Look at it, and end it by hand: tmux kill/,
  );
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
  await sandbox.tmux("kill-server");
  await assertStillEnded(sandbox, id, "killed");
  strictEqual((await sandbox.run(["resume", id])).code, 0);
});

Deno.test("an interrupted resume removes what it began", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  await using resuming = sandbox.start(["resume", id], { env: { STUB_AGENT: "slow-start=60000" } });
  await sandbox.eventually(async () => (await agents(sandbox)).length === 1, { what: "the agent runs" });
  resuming.kill("SIGINT");
  const { code, stderr } = await resuming.doneWithin(15_000, "resume");
  strictEqual(code, 130);
  match(stderr, /^Cannot resume "[a-z-]+": interrupted\n$/);
  await assertStillEnded(sandbox, id, "killed");
});

Deno.test("an agent resumes no session that may do more than itself", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const strict = await created(sandbox, ["--mode", "native", "--trust"]);
  const lax = await created(sandbox);
  strictEqual((await sandbox.run(["kill", lax])).code, 0);
  const inside = await sandbox.run(["resume", lax], { env: { DEV_SESSIONS_ID: strict } });
  strictEqual(inside.code, 8);
  match(
    inside.stderr,
    /^Cannot resume "[a-z-]+": "[a-z-]+", which asks for it, runs in native mode itself\. Ask a person to run: /,
  );
  strictEqual((await sandbox.run(["resume", lax])).code, 0);
});
