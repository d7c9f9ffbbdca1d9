/** `doctor --selftest` with the stub agent: it asks before it spends, does the main job, and leaves nothing whatever happens. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { healthyHome } from "../support/healthy_home.ts";
import { writeCommand } from "../support/live_session.ts";
import { agents, rows, sessionFolders } from "../support/sandbox_state.ts";
import { ShellPane } from "../support/shell_pane.ts";

testAtOnce("doctor --selftest", {
  "at a terminal it asks first, and the answer to begin with is no": async () => {
    await using sandbox = await healthyHome();
    await writeCommand(sandbox);
    await using shell = await ShellPane.open(sandbox, "bash");
    await shell.type("dev-sessions doctor --selftest; echo exit $?", "Enter");
    await shell.shows(/one short turn of Claude Code, paid from your own plan[\s\S]*Run it\?/);
    await shell.type("Enter");
    await shell.shows(/Not confirmed: nothing was started\nexit 130/);
    deepStrictEqual(rows(sandbox), []);

    await shell.clear();
    await shell.type("dev-sessions doctor --selftest; echo exit $?", "Enter");
    await shell.shows("Run it?");
    await shell.type("y");
    await shell.shows(/claude {2}clean up +ok[\s\S]*exit 0/);
    deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
  },

  "the self-test is not run in a pipe without --yes, and says what it would cost": async () => {
    await using sandbox = await healthyHome();
    const { code, stdout, stderr } = await sandbox.run(["doctor", "--selftest"]);
    deepStrictEqual([code, stdout], [2, ""]);
    match(
      stderr,
      /^Cannot run the self-test without being asked to: The self-test runs one short turn of Claude Code, paid/,
    );
    match(stderr, /\n {2}Run it with: dev-sessions doctor --selftest --yes\n$/);
    deepStrictEqual(rows(sandbox), []);
  },

  "the self-test does the main job, and leaves nothing": async () => {
    await using sandbox = await healthyHome();
    const { code, stdout, stderr } = await sandbox.run(["doctor", "--selftest", "--yes"]);
    strictEqual(code, 0, stdout + stderr);
    match(
      stderr,
      /^The self-test runs one short turn of Claude Code, paid from your own plan or API key, .*\n$/,
    );
    const steps = [...stdout.matchAll(/^claude {2}(\S+(?: up)?) +ok +\d+ ms {2}(.*)$/gm)].map(([, step]) =>
      step
    );
    deepStrictEqual(steps, ["create", "send", "wait", "last-message", "kill", "clean up"]);
    const folder = /removed (\/\S+)/.exec(stdout)?.[1] ?? "";
    match(folder, /dev-sessions-selftest-/);
    await Deno.stat(folder).then(() => ok(false, `${folder} is left`), () => {});
    deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
    await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  },

  "a self-test whose agent does not start fails, says why, and leaves nothing": async () => {
    await using sandbox = await healthyHome();
    await Deno.writeTextFile(join(sandbox.root, "bin", "claude"), "#!/bin/sh\necho no runtime; exit 3\n");
    const { code, stdout, stderr } = await sandbox.run(["doctor", "--selftest", "--yes", "--json"]);
    strictEqual(code, 1);
    const { passed, steps } = JSON.parse(stdout);
    strictEqual(passed, false);
    deepStrictEqual(steps.map((one: { step: string; ok: boolean }) => [one.step, one.ok]), [
      ["create", false],
      ["clean up", true],
    ]);
    match(steps[0].evidence, /no runtime/);
    match(stderr, /The self-test failed: claude create/);
    deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
  },

  "a self-test that is interrupted ends what it has started": async () => {
    await using sandbox = await healthyHome();
    await using running = sandbox.start(["doctor", "--selftest", "--yes"]);
    await sandbox.eventually(
      () => rows(sandbox).some((row) => row.endsWith(" active")) || running.stdout !== "",
      {
        what: "a session of the self-test",
      },
    );
    running.kill("SIGINT");
    const { code } = await running.doneWithin(30_000, "the interrupted self-test");
    ok(code === 130 || code === 0, String(code));
    deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
    await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  },
});
