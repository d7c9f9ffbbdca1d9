/** `prune` forgets what has ended, wholly, and nothing that lives, may live or belongs to the agent. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { cliCommand, createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";
import { agentPid, created, json, rows, sessionFolders, sql } from "../support/sandbox_state.ts";
import { withSession } from "../support/stub_session.ts";

const DAY_MS = 86_400_000;
const END_MS = 25_000;

function endedDaysAgo(sandbox: Sandbox, id: string, days: number): void {
  const at = new Date(Date.now() - days * DAY_MS).toISOString();
  sql(sandbox, "UPDATE sessions SET ended_at = ? WHERE id = ?", at, id);
}

function count(sandbox: Sandbox, table: string): number {
  return Number(sql(sandbox, `SELECT count(*) AS n FROM ${table}`)[0]?.["n"]);
}

Deno.test("prune forgets what ended more than 30 days ago, and all that belonged to it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [old, recent, live] = [await created(sandbox), await created(sandbox), await created(sandbox)];
  for (const id of [old, recent, live]) strictEqual((await sandbox.run(["ask", id, "hello"])).code, 0);
  await json(sandbox, ["send", live, "keyed", "--key", "k"]);
  await json(sandbox, ["send", live, "keyed too", "--key", "k2"]);
  strictEqual((await sandbox.run(["kill", old, recent])).code, 0);
  endedDaysAgo(sandbox, old, 31);
  endedDaysAgo(sandbox, recent, 29);
  sql(sandbox, "UPDATE keyed SET created_at = '2020-01-01T00:00:00.000Z' WHERE key = 'k'");
  const transcripts = async () => {
    const folder = join(sandbox.claudeConfig, "projects", sandbox.workspace.replace(/[^a-zA-Z0-9]/g, "-"));
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).length;
  };
  strictEqual(await transcripts(), 3);

  const { stdout, stderr } = await sandbox.run(["prune"]);
  strictEqual(stdout, `Forgot session ${old}\nForgot 1 stored result(s) of --key\n`, stderr);
  deepStrictEqual(rows(sandbox), [`${recent} ended`, `${live} active`]);
  strictEqual(sessionFolders(sandbox).length, 2);
  deepStrictEqual([count(sandbox, "sends"), count(sandbox, "keyed")], [4, 1]);
  strictEqual(count(sandbox, "lifecycle"), 3);
  strictEqual(await transcripts(), 3);
  strictEqual((await sandbox.run(["resume", old])).code, 3);

  deepStrictEqual(await json(sandbox, ["prune", "--older-than", "28d"]), {
    forgotten: [{ id: recent, worktree: null }],
    failed: [],
    keys: 0,
  });
  strictEqual((await sandbox.run(["prune", "--older-than", "1m"])).stdout, "No ended sessions to forget\n");
  deepStrictEqual(rows(sandbox), [`${live} active`]);
  strictEqual((await sandbox.run(["ask", live, "still there"])).code, 0);
});

Deno.test("prune by id forgets what has ended or is dead, and says why it does not forget the others", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [ended, dead, live, far] = [
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
    await created(sandbox),
  ];
  strictEqual((await sandbox.run(["kill", ended])).code, 0);
  const pid = agentPid(sandbox, dead);
  signal(pid, "SIGKILL");
  await sandbox.eventually(async () => !await isRunning(pid), { what: "it is dead" });
  const [row] = sql(sandbox, "SELECT process FROM sessions WHERE id = ?", far);
  const elsewhere = JSON.stringify({ ...JSON.parse(String(row?.["process"])), machine: "another/machine/1" });
  sql(sandbox, "UPDATE sessions SET process = ? WHERE id = ?", elsewhere, far);

  const { code, stdout, stderr } = await sandbox.run(["prune", ended, dead, live, far]);
  strictEqual(code, 1);
  strictEqual(stdout, `Forgot session ${ended}\nForgot session ${dead}\n`);
  match(
    stderr,
    new RegExp(`^Cannot forget "${live}": it has not ended, or that can't be told\\. End it with: .*\n`),
  );
  match(stderr, new RegExp(`\n {2}Cannot forget "${far}": `));
  deepStrictEqual(rows(sandbox), [`${live} active`, `${far} active`]);
  strictEqual((await sandbox.run(["prune", "zzz-top", live])).code, 3);
  sql(sandbox, "UPDATE sessions SET process = ? WHERE id = ?", String(row?.["process"]), far);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
});

Deno.test("prune says where a worktree stays", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [kept, gone] = [await created(sandbox), await created(sandbox)];
  const path = await sandbox.folder("ws-worktree");
  const worktree = { repository: sandbox.workspace, path, branch: "b", newBranch: true, base: "0" };
  const store = (id: string, value: unknown) =>
    sql(sandbox, "UPDATE sessions SET worktree = ? WHERE id = ?", JSON.stringify(value), id);
  store(kept, worktree);
  store(gone, { ...worktree, path: join(sandbox.root, "nowhere") });
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  strictEqual(
    (await sandbox.run(["prune", kept, gone])).stdout,
    `Forgot session ${kept}; its worktree stays: ${path}\nForgot session ${gone}\n`,
  );
  ok((await Deno.stat(path)).isDirectory);
});

Deno.test("what a killed prune left is removed by the next one", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  const [row] = sql(sandbox, "SELECT token FROM sessions WHERE id = ?", id);
  // As it stands between the two steps.
  sql(sandbox, "DELETE FROM sessions WHERE id = ?", id);
  sql(sandbox, "INSERT INTO meta (key, value) VALUES ('forgetting', ?)", String(row?.["token"]));
  strictEqual(sessionFolders(sandbox).length, 1);
  strictEqual((await sandbox.run(["prune"])).code, 0);
  deepStrictEqual(sessionFolders(sandbox), []);
  strictEqual(sql(sandbox, "SELECT value FROM meta WHERE key = 'forgetting'")[0]?.["value"], "");
});

Deno.test("what an agent in a container has shut is removed, and what can't be stops nothing else", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const ids = [await created(sandbox), await created(sandbox), await created(sandbox)];
  strictEqual((await sandbox.run(["kill", ...ids])).code, 0);
  const folders = ids.map((id) =>
    join(
      sandbox.home,
      ".dev-sessions/sessions",
      String(sql(sandbox, "SELECT token FROM sessions WHERE id = ?", id)[0]?.["token"]),
    )
  );
  const shut = async (folder: string) => {
    await Deno.mkdir(join(folder, "shut/deep"), { recursive: true });
    await Deno.writeTextFile(join(folder, "shut/deep/file"), "");
    await Deno.chmod(join(folder, "shut"), 0);
    return join(folder, "shut");
  };
  const outside = await sandbox.folder("outside");
  await Deno.chmod(outside, 0o500);
  await Deno.symlink(outside, join(await shut(folders[0]!), "link"));
  await t.step("shut folders, and nothing behind a link", async () => {
    const { code, stdout, stderr } = await asPlainUser(sandbox, ["prune", ids[0]!]);
    deepStrictEqual([code, stdout, stderr], [0, `Forgot session ${ids[0]}\n`, ""]);
    strictEqual(sessionFolders(sandbox).length, 2);
    strictEqual((await Deno.stat(outside)).mode! & 0o777, 0o500);
  });
  await t.step({
    name: "what belongs to somebody else",
    // Only root can make it so.
    ignore: Deno.uid() !== 0,
    fn: async () => {
      const foreign = await shut(folders[1]!);
      await Deno.chown(foreign, 54_321, 54_321);
      const { code, stdout, stderr } = await asPlainUser(sandbox, ["prune", ids[1]!, ids[2]!]);
      deepStrictEqual([code, stdout], [0, `Forgot session ${ids[1]}\nForgot session ${ids[2]}\n`]);
      match(stderr, /^\[dev-sessions\] Cannot remove "[^"]*": .*Permission denied.*\n$/);
      strictEqual(sessionFolders(sandbox).length, 1);
      await Deno.chown(foreign, 0, 0);
      strictEqual((await asPlainUser(sandbox, ["prune"])).code, 0);
      deepStrictEqual(sessionFolders(sandbox), []);
    },
  });
});

/** Root may open every folder; without that it is as any other user of these files. */
async function asPlainUser(sandbox: Sandbox, args: readonly string[]) {
  const [program, ...own] = cliCommand();
  const without = Deno.uid() === 0
    ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown", "--"]
    : [];
  const [first = program, ...rest] = [...without, program, ...own, ...args];
  return await sandbox.spawn(first, rest).doneWithin(30_000, args.join(" "));
}

Deno.test("who waits for a session or follows it is told of its end, although its name is another's by then", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    await using waiting = sandbox.start(["wait", session.id]);
    await using following = sandbox.start(["logs", session.id, "--follow"]);
    await sandbox.eventually(() => following.stdout.includes("SCRIPT:gate"), { what: "the conversation" });
    strictEqual((await session.run("status")).stdout, "working\n");
    const frozen = [waiting, following];
    for (const command of frozen) command.kill("SIGSTOP");
    for (const args of [["kill", session.id], ["prune", session.id], ["create", "--id", session.id]]) {
      const { code, stderr } = await sandbox.run(args);
      strictEqual(code, 0, stderr);
    }
    for (const command of frozen) command.kill("SIGCONT");
    const waited = await waiting.doneWithin(END_MS, "wait");
    deepStrictEqual([waited.code, waited.stdout], [7, "gone\n"], waited.stderr);
    const followed = await following.doneWithin(END_MS, "logs --follow");
    deepStrictEqual([followed.code, followed.stderr], [0, ""]);
  }));
