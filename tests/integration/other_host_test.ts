/** Commands about sessions of another host that can't be asked as it should be: nobody waits for longer than he likes. */

import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunningCommand } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { sql } from "../support/sandbox_state.ts";
import { OtherHost } from "../support/other_host.ts";

/** Far less than the host that says nothing would take. */
const SOON_MS = 30_000;

Deno.test("a host that takes the connection and says nothing holds up nobody who has stopped waiting", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const there = await host.create();
  const here = (await sandbox.run(["create", "-q"])).stdout.trim();
  await host.hangs();

  for (
    const args of [
      ["wait", there],
      ["wait", here, there],
      ["send", there, "hello"],
      ["logs", "--follow", there],
      ["events", "--follow", there],
      ["interrupt", there],
      ["respond", there, "--approve"],
      ["ask", there, "hello"],
      ["resume", there],
    ]
  ) {
    await t.step(`Ctrl-C ends ${args[0]}`, async () => {
      const before = await host.tries();
      const running = sandbox.start(args);
      await sandbox.eventually(async () => await host.tries() > before, { what: "ssh was started" });
      running.kill("SIGINT");
      const { code, stderr } = await running.doneWithin(SOON_MS, args.join(" "));
      strictEqual(code, 130, stderr);
    });
  }

  await t.step("wait --any ends with the first one", async () => {
    const running = sandbox.start(["wait", "--any", "--timeout", "100", here, there]);
    const { code, stdout, stderr } = await running.doneWithin(SOON_MS, "wait --any");
    deepStrictEqual([code, stdout], [0, `${here}\tidle\n`], stderr);
  });

  await t.step("wait ends with its own time, and a little for the answer", async () => {
    const running = sandbox.start(["wait", "--timeout", "0.5", there]);
    const { code, stdout, stderr } = await running.doneWithin(SOON_MS, "wait --timeout");
    deepStrictEqual([code, stdout], [255, ""]);
    match(stderr, /^SSH transport failure talking to box: no answer within 6 s\. Try again/);
  });
});

Deno.test("what became of a create that a host says nothing about is not known, and nobody has stopped it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const tries = `echo try >>'${host.file("tries")}'`;
  await host.loses("create", `${tries}; exec sleep 120`);
  const create = sandbox.start(["create", "--host", "box"]);
  await sandbox.eventually(async () => await host.tries() > 0, { what: "its answer was lost" });
  signal(create.pid, "SIGKILL");
  await create.done();
  const rows = () => sql(sandbox, "SELECT id, lifecycle FROM remote_sessions").map((row) => ({ ...row }));
  const id = String(rows()[0]?.["id"]);

  const status = await sandbox.start(["status", id]).doneWithin(SOON_MS, "status");
  deepStrictEqual([status.code, status.stdout], [255, ""], status.stderr);
  match(
    status.stderr,
    new RegExp(
      "^SSH transport failure talking to box: no answer within 12 s\\. Try again\\n" +
        `[^]*The create of "${id}" was broken off, and only box can say what became of it`,
    ),
  );
  deepStrictEqual(rows(), [{ id, lifecycle: "creating" }]);

  await host.up();
  strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
  deepStrictEqual(rows(), [{ id, lifecycle: "active" }]);
});

Deno.test("of sessions together, those of a host that can't be reached are named", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const there = await host.create();
  const here = (await sandbox.run(["create", "-q"])).stdout.trim();
  await host.down("ssh: connect to host box port 22: Connection refused");
  const why = "connect to host box port 22: Connection refused";

  await t.step("usage of all: the others', and a warning", async () => {
    const { code, stdout, stderr } = await sandbox.run(["usage"]);
    deepStrictEqual(
      [code, stderr],
      [
        0,
        `[dev-sessions] warning: could not reach box (${why}); what ${there} used is not counted\n`,
      ],
    );
    match(stdout, new RegExp(`^${here}( +-){5} *$`, "m"));
    match(stdout, new RegExp(`^${there}( +\\?){5} *$`, "m"));
  });
  await t.step("usage of those that are named: the others', and a failure", async () => {
    const { code, stdout, stderr } = await sandbox.run(["usage", "--json", there, here]);
    strictEqual(code, 255);
    deepStrictEqual(JSON.parse(stdout), [
      { id: there, usage: null, unreachable: { host: "box", reason: why } },
      { id: here, usage: null },
    ]);
    deepStrictEqual(
      JSON.parse(stderr).error.message,
      `SSH transport failure talking to box: ${why}. What ${there} used is not known; try again`,
    );
  });
  await t.step("wait: the others', and which have no outcome", async () => {
    const { code, stdout, stderr } = await sandbox.run(["wait", there, here]);
    deepStrictEqual([code, stdout], [255, `${here}\tidle\n`]);
    match(
      stderr,
      new RegExp(`^SSH transport failure talking to box: [^]*\\n  No outcome is known of ${there}$`, "m"),
    );
  });
  await t.step("wait: what is unknown is not waited for", async () => {
    const { code, stdout, stderr } = await sandbox.run(["wait", here, "nobody-top"]);
    deepStrictEqual([code, stdout], [3, ""]);
    doesNotMatch(stderr, /No outcome/);
  });
  await t.step("a session keeps the command that it was created with, and the error says so", async () => {
    await host.up();
    const env = { DEV_SESSIONS_REMOTE_BIN: "env A=b dev-sessions" };
    const { stdout } = await sandbox.run(["create", "-q", "--host", "box"], { env });
    await host.ssh("exit 127");
    const { code, stderr } = await sandbox.run(["status", stdout.trim()]);
    strictEqual(code, 1);
    match(
      stderr,
      /^dev-sessions not found on box \(tried 'env A=b dev-sessions' via a login shell\)\. Install it/,
    );
    match(stderr, /created with this one keeps it: for that, make a link of its name there$/m);
    match((await sandbox.run(["status", there])).stderr, /to the command that starts it there$/m);
  });
});

Deno.test("a registry that does not know a session is asked for nothing when the session is in another one", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const ids = [await host.create(), await host.create()];
  const [one, two] = ids as [string, string];
  const rows = () =>
    sql(sandbox, "SELECT id, lifecycle, remote_registry FROM remote_sessions").map((row) => ({ ...row }));
  const before = rows();
  const [state, aside] = [join(host.home, ".dev-sessions"), join(host.home, "aside")];
  // As when the home folder is not mounted.
  await Deno.rename(state, aside);
  const why =
    /^Cannot ask box for it: dev-sessions there has another registry than the one that the session is in\. Is/;

  for (const verb of ["status", "inspect", "kill", "prune", "resume"]) {
    await t.step(`${verb} can't be done`, async () => {
      const { code, stdout, stderr } = await sandbox.run([verb, one]);
      deepStrictEqual([code, stdout], [1, ""], stderr);
      match(stderr, why);
      if (verb === "kill" || verb === "prune") {
        match(stderr, new RegExp(`forget the session here only, with: .* prune --unreachable ${one}$`, "m"));
      }
    });
  }
  await t.step("list shows them as unknown, and says why", async () => {
    const { code, stdout, stderr } = await sandbox.run(["list"]);
    strictEqual(code, 0);
    match(stdout, new RegExp(`^${one} .* box +unknown`, "m"));
    match(stderr, /could not reach box \(Cannot ask box for it: .*\); showing cached session records$/m);
  });
  await t.step("nothing was forgotten, and they are there again", async () => {
    deepStrictEqual(rows(), before);
    strictEqual((await sandbox.run(["prune", "--unreachable", two])).code, 0);
    await Deno.remove(state, { recursive: true });
    await Deno.rename(aside, state);
    strictEqual((await sandbox.run(["status", one])).stdout, "idle\n");
    deepStrictEqual(rows(), before.filter(({ id }) => id === one));
  });
});

Deno.test("a wait outlasts every way in which its host may be away for a while", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const [idle, busy] = [await host.create(), await host.create()];
  const ssh = (words: string) => `echo '${words}' >&2; exit 255`;
  const waits = async (script: string, during: (running: RunningCommand, gate: string) => Promise<void>) => {
    await host.up();
    const gate = sandbox.root + `/gate-${crypto.randomUUID()}`;
    strictEqual((await sandbox.run(["send", busy, `SCRIPT:gate ${gate}`])).code, 0);
    await host.breaks(script);
    const running = sandbox.start(["wait", "--timeout", "60", idle, busy]);
    await sandbox.eventually(() => running.stdout.startsWith(`${idle}\t`), { what: "the wait is under way" });
    await Deno.writeTextFile(host.file("cut"), "");
    await during(running, gate);
    await Deno.writeTextFile(gate, "");
    await host.up();
    strictEqual((await sandbox.run(["wait", busy])).stdout, "completed\n");
  };

  for (
    const script of [
      ssh("ssh: connect to host box port 22: Network is down"),
      ssh("ssh: Could not resolve hostname box: Temporary failure in name resolution"),
      ssh("me@box: Permission denied (publickey)."),
      ssh("ssh: something that nobody foresaw"),
      "exit 255",
      "exit 127",
    ]
  ) {
    await t.step(script, () =>
      waits(script, async (running, gate) => {
        await sandbox.eventually(async () => await host.tries() > 1, { what: "it has tried again" });
        await Deno.remove(host.file("out"));
        await Deno.writeTextFile(gate, "");
        const { code, stdout, stderr } = await running.doneWithin(SOON_MS, "wait");
        strictEqual(code, 0, stderr);
        match(stdout, new RegExp(`^${busy}\tcompleted$`, "m"));
        match(stderr, /box can be reached again$/m);
      }));
  }

  for (
    const words of [
      "Host key for box has changed and you have requested strict checking.",
      "terminating, 1 bad configuration options",
    ]
  ) {
    await t.step(`but not: ${words}`, () =>
      waits(ssh(words), async (running) => {
        const { code, stderr } = await running.doneWithin(SOON_MS, "wait");
        strictEqual(code, 255, stderr);
        strictEqual(await host.tries(), 1);
      }));
  }
});

Deno.test("a host that shares the registry is refused, and nothing is left of the attempt", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  await Deno.copyFile(join(host.home, ".profile"), join(sandbox.home, ".profile"));
  await host.ssh(`export HOME='${sandbox.home}' SHELL=/bin/sh; cd; exec sh -c "$last"`);
  const { code, stdout, stderr } = await sandbox.run(["create", "--host", "localhost"]);
  deepStrictEqual([code, stdout], [2, ""]);
  match(
    stderr,
    /^Cannot create a session on localhost: it shares this machine's registry, .* without --host/,
  );
  strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
});

Deno.test("a login that does not come to an end of what it prints is told as such", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const id = await host.create();
  for (
    const [script, what] of [
      ["exec yes welcome", "more than 10000 lines"],
      ["head -c 9000000 /dev/zero | tr '\\0' x; exec sleep 120", "a line without an end"],
    ] as const
  ) {
    await t.step(what, async () => {
      await host.ssh(script);
      const { code, stderr } = await sandbox.run(["status", id]);
      strictEqual(code, 1);
      match(
        stderr,
        new RegExp(
          `^Cannot talk to dev-sessions on box: a login there prints ${what}, .* with: ssh box true`,
        ),
      );
    });
  }
});
