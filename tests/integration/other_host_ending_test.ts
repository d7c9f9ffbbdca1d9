/** Sessions of another host are ended and forgotten there, or here alone where that is asked for; nothing of it is guessed. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox } from "../support/harness.ts";
import { sql } from "../support/sandbox_state.ts";
import { OtherHost } from "../support/other_host.ts";

Deno.test("sessions of a host that is gone can be forgotten here, and it is asked once for all of them", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const ids = [await host.create(), await host.create(), await host.create()];
  const [one, two, three] = ids as [string, string, string];
  sql(sandbox, "UPDATE remote_sessions SET last_used_at = ?", "2026-01-01T00:00:00.000Z");
  await host.down("ssh: connect to host box port 22: Connection refused");

  for (
    const args of [
      ["kill", ...ids],
      ["prune", ...ids],
      ["kill", "--all"],
      ["kill", "--older-than", "1m"],
    ]
  ) {
    await t.step(args.join(" "), async () => {
      const before = await host.tries();
      const { code, stdout, stderr } = await sandbox.run(args);
      deepStrictEqual([code, stdout], [255, ""]);
      match(stderr, /^SSH transport failure talking to box: .*Connection refused\./);
      match(
        stderr,
        new RegExp(`forget the sessions here only, with: .* prune --unreachable ${ids.join(" ")}$`, "m"),
      );
      strictEqual(await host.tries() - before, 1);
    });
  }

  await t.step("beside one that was killed, each failure says so", async () => {
    const here = (await sandbox.run(["create", "-q"])).stdout.trim();
    const { code, stdout, stderr } = await sandbox.run(["kill", here, one]);
    deepStrictEqual([code, stdout], [1, `Killed session ${here}\n`]);
    match(stderr, new RegExp(`prune --unreachable ${one}$`, "m"));
  });

  await t.step("prune --unreachable needs a name", async () => {
    const { code, stderr } = await sandbox.run(["prune", "--unreachable"]);
    strictEqual(code, 2);
    match(stderr, /^--unreachable belongs to <id>/);
  });

  await t.step("it is forgotten here, and lives on there", async () => {
    const { code, stdout, stderr } = await sandbox.run(["prune", "--unreachable", one]);
    deepStrictEqual(
      [code, stdout],
      [0, `Forgot session ${one} here only; it may still live on box\n`],
      stderr,
    );
    strictEqual((await sandbox.run(["status", one])).code, 3);
    strictEqual((await host.run("status", one)).stdout, "idle\n");
  });

  await t.step("also where dev-sessions is gone", async () => {
    await host.ssh("exit 127");
    const killed = await sandbox.run(["kill", two]);
    strictEqual(killed.code, 1);
    match(killed.stderr, new RegExp(`^dev-sessions not found on box .*prune --unreachable ${two}$`, "m"));
    const { stdout } = await sandbox.run(["prune", "--unreachable", "--json", two]);
    deepStrictEqual(JSON.parse(stdout).forgotten, [{ id: two, worktree: null, leftOn: "box" }]);
  });

  await t.step("one that can be asked after is no such session", async () => {
    await host.up();
    const { code, stderr } = await sandbox.run(["prune", "--unreachable", three]);
    strictEqual(code, 1);
    match(stderr, /^Remote prune on box failed: Cannot forget .* it has not ended/);
    strictEqual((await sandbox.run(["status", three])).stdout, "idle\n");
  });
});

Deno.test("kill --tree tells what it could not end over there, and the worktrees that it kept", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const repository = join(host.home, "repo");
  const git = async (...args: string[]) => {
    const done = await sandbox.spawn("git", ["-C", repository, ...args]).done();
    strictEqual(done.code, 0, done.stderr);
  };
  await Deno.mkdir(repository);
  await git("init", "-q");
  await git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one");
  const parent = await host.create();
  const args = ["create", "-q", "--worktree", "-p", repository];
  const made = await sandbox.run(args, { env: { HOME: host.home, DEV_SESSIONS_ID: parent } });
  strictEqual(made.code, 0, made.stderr);
  const child = made.stdout.trim();
  const { worktree } = JSON.parse((await host.run("inspect", child)).stdout);
  await Deno.writeTextFile(join(worktree.path, "draft"), "");

  await host.fails("kill", { id: "zyra-top", reason: 'Cannot end "zyra-top": tmux did not answer' });
  const { code, stdout, stderr } = await sandbox.run(["kill", "--tree", parent]);
  strictEqual(code, 1);
  match(stdout, new RegExp(`^Killed session ${parent}$`, "m"));
  match(stderr, /Remote kill on box failed: Cannot end "zyra-top": tmux did not answer/);
  match(stderr, new RegExp(`box:${worktree.path}.*`));
  strictEqual((await host.run("status", child)).stdout, "gone\n");
});

Deno.test("a kill or prune whose answer was lost is looked after", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const id = await host.create();
  const said = async (...args: string[]) => {
    const { code, stdout, stderr } = await sandbox.run(args);
    deepStrictEqual([code, stderr], [0, ""], args.join(" "));
    return stdout;
  };

  await t.step("it was killed", async () => {
    await host.loses("kill");
    strictEqual(await said("kill", id), `Killed session ${id}\n`);
    strictEqual((await host.run("status", id)).stdout, "gone\n");
  });
  await t.step("it was forgotten", async () => {
    await host.loses("prune");
    strictEqual(await said("prune", id), `Forgot session ${id}\n`);
    strictEqual(await said("list", "--all"), "No sessions\n");
  });
  for (const verb of ["kill", "prune"]) {
    await t.step(`${verb}: what can't be seen is not known`, async () => {
      await host.up();
      const other = await host.create();
      if (verb === "prune") await said("kill", other);
      await host.loses(verb, 'echo "ssh: connect to host box port 22: Connection refused" >&2; exit 255');
      const { code, stdout, stderr } = await sandbox.run([verb, other]);
      deepStrictEqual([code, stdout], [9, ""]);
      match(stderr, new RegExp(`^Cannot tell what became of ${verb}: box was asked`));
    });
  }
});

Deno.test("kill --older-than leaves alone what its host does not tell the age of", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const id = await host.create();
  const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
  sql(sandbox, "UPDATE remote_sessions SET last_used_at = ? WHERE id = ?", anHourAgo, id);
  await host.refuses("inspect", "another process keeps it locked");
  const { code, stdout, stderr } = await sandbox.run(["kill", "--older-than", "30m"]);
  deepStrictEqual([code, stdout], [1, ""], stderr);
  match(stderr, /Remote inspect on box failed: another process keeps it locked/);
  strictEqual((await host.run("status", id)).stdout, "idle\n");
});
