/** install.sh --from-source for real: a checkout becomes a dev-sessions that drives an agent, and upgrades under it. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { SHELLS } from "../support/installer.ts";
import { makeRepository } from "../support/repository.ts";
import { agentPid, environmentOf } from "../support/sandbox_state.ts";
import { isRunning } from "../support/processes.ts";
import { SourceInstall } from "../support/source_install.ts";

/** An environment that looks like musl's, with the Deno that it takes there. */
async function ofMusl(sandbox: Sandbox): Promise<Record<string, string>> {
  const folder = await sandbox.folder("musl");
  for (const name of ["getconf", "ldd"]) {
    const script =
      `#!/bin/sh\n[ "$*" = LONG_BIT ] && echo 64 && exit\necho "musl libc (x86_64)" >&2\nexit 1\n`;
    await Deno.writeTextFile(join(folder, name), script, { mode: 0o755 });
  }
  return { PATH: `${folder}:${sandbox.env["PATH"]}`, DEV_SESSIONS_DENO: Deno.execPath() };
}

Deno.test("install.sh --from-source installs a launcher where executables cannot be compiled", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const source = new SourceInstall(sandbox);
  await source.copyCheckout();
  await source.setVersion("7.0.1");

  await t.step("it says which of the two it is, and what it is works", async () => {
    const { code, stdout, stderr } = await source.install(SHELLS.dash);
    strictEqual(code, 0, stderr);
    match(stdout, /^Not compiled: .*is Deno itself, not its runtime/m);
    match(stdout, new RegExp(`^Installed dev-sessions 7\\.0\\.1: ${source.target}$`, "m"));
    match(stdout, /^It is a launcher: the bundle of .*, run by its own copy of Deno 2\.9\.6\.$/m);
    strictEqual((await source.run("--version")).stdout, "7.0.1\n");
    strictEqual(
      await Deno.readTextFile(join(sandbox.home, ".dev-sessions", "executable")),
      `${source.target}\n`,
    );
    deepStrictEqual(source.libraries(), ["7.0.1"]);
    deepStrictEqual([...Deno.readDirSync(join(source.target, ".."))].map(({ name }) => name), [
      "dev-sessions",
    ]);
  });

  const created = await source.run("create", "-q");
  strictEqual(created.code, 0, created.stderr);
  const id = created.stdout.trim();
  const agent = agentPid(sandbox, id);
  await using follower = source.start("events", "--follow");
  await sandbox.eventually(() => follower.stdout.includes(id), {
    what: "events of the session are followed",
  });

  await t.step("from a worktree that goes with its session, with a .npmrc that Deno can't use", async () => {
    await makeRepository(sandbox);
    const made = await source.run("create", "--worktree", "--json");
    strictEqual(made.code, 0, made.stderr);
    const { id, path } = JSON.parse(made.stdout);
    const env = environmentOf(agentPid(sandbox, id));
    strictEqual(env.get("HOME"), sandbox.home);
    for (const name of ["EXECUTABLE", "CALLER_HOME", "FOLDER_GONE"]) {
      strictEqual(env.get(`DEV_SESSIONS_${name}`), undefined, name);
    }
    const npmrc = join(sandbox.home, ".npmrc");
    await Deno.writeTextFile(npmrc, "registry=${NPM_REGISTRY}\n");
    const script = '"$0" kill "$1" && "$0" status "$1"; "$0" create';
    const inside = sandbox.spawn("bash", ["-c", script, source.target, id], { cwd: path });
    const { stdout, stderr } = await inside.doneWithin(60_000, "commands in a folder that is gone");
    await Deno.remove(npmrc);
    match(stdout, new RegExp(`^Killed session ${id}$`, "m"), stderr);
    match(stdout, /^gone$/m, stderr);
    match(stderr, /^Cannot use the current folder: it is gone\. Go to another one with: cd <folder>$/m);
  });

  await t.step("sessions and running commands go on over upgrades", async () => {
    await source.setVersion("7.0.2");
    const seen = follower.stdout.length;
    const second = await source.install(SHELLS["busybox sh"]);
    match(second.stdout, /^Replaced dev-sessions 7\.0\.1 with 7\.0\.2: /m, second.stderr);
    ok(await isRunning(agent));
    match((await source.run("list")).stdout, new RegExp(`^${id} `, "m"));
    const asked = await source.run("ask", id, "hello");
    match(asked.stdout, /^REPLY: hello/, asked.stderr);
    await sandbox.eventually(() => follower.stdout.length > seen, {
      what: "the command of the version before still follows",
    });
    deepStrictEqual(source.libraries(), ["7.0.1", "7.0.2"]);
  });

  await t.step("of older versions, what runs is kept and what does not is removed", async () => {
    await source.setVersion("7.0.3");
    strictEqual((await source.install(SHELLS.dash)).code, 0);
    deepStrictEqual(source.libraries(), ["7.0.1", "7.0.2", "7.0.3"]);
    ok(await isRunning(follower.pid));
    await follower.end();
    // The same once more: the one in place stays the one in place. This time on a system that only claims to use musl.
    const again = await source.install(SHELLS.dash, ["--from-source"], await ofMusl(sandbox));
    match(again.stdout, /^Not compiled: there is no runtime for executables of this system$/m, again.stderr);
    match(again.stdout, /^Installed dev-sessions 7\.0\.3 again: /m, again.stderr);
    deepStrictEqual(source.libraries(), ["7.0.3"]);
    strictEqual((await source.run("status", id)).stdout, "idle\n");
  });

  await t.step("a checkout that does not build changes nothing", async () => {
    const launcher = await Deno.readTextFile(source.target);
    await Deno.writeTextFile(join(source.checkout, "main.ts"), "this is not a program");
    const { code, stderr } = await source.install(SHELLS.dash);
    strictEqual(code, 1);
    match(
      stderr,
      /^install\.sh: Cannot build dev-sessions: the bundle cannot be made, see above; nothing was changed$/m,
    );
    strictEqual(await Deno.readTextFile(source.target), launcher);
    deepStrictEqual(source.libraries(), ["7.0.3"]);
    const other = await source.install(SHELLS.dash, ["--from-source", "--version", "1.0.0"]);
    match(
      other.stderr,
      /Cannot build version 1\.0\.0: the checkout in ".*" is version 7\.0\.3\. Check out v1\.0\.0/,
    );
    const without = await source.install(SHELLS.dash, ["--from-source"], {
      DEV_SESSIONS_DENO: "/nowhere/deno",
    });
    match(without.stderr, /DEV_SESSIONS_DENO is "\/nowhere\/deno", which does not run as Deno/);
  });

  await t.step("it is removed with everything, but not under a live session", async () => {
    const refused = await source.install(SHELLS.dash, ["--uninstall", "--purge"]);
    match(
      refused.stderr,
      /sessions are live\. Nothing was changed\. End them first with: dev-sessions kill --all/,
    );
    ok(await isRunning(agent));
    strictEqual((await source.run("kill", "--all")).code, 0);
    const { code, stdout, stderr } = await source.install(SHELLS.dash, ["--uninstall", "--purge"]);
    strictEqual(code, 0, stderr);
    match(stdout, new RegExp(`^Removed ${source.target}\n`, "m"));
    const left = [...Deno.readDirSync(sandbox.home)].map(({ name }) => name);
    ok(!left.includes(".dev-sessions"), String(left));
    deepStrictEqual([...Deno.readDirSync(join(source.lib, ".."))], []);
  });
});
