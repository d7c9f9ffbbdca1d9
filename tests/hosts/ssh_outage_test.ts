/** What is left of a command that is killed, and what outlasts an outage of the network; on a real second host. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import type { RunningCommand } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { lack, SshWorld } from "./ssh_world.ts";

const name = (text: string) => lack === null ? text : `${text} (${lack})`;
const ignore = lack !== null;
/** Notices a dead connection within seconds, where the usual options take a minute. */
const IMPATIENT = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "-o", "ConnectTimeout=2"];

/** What the registry here says, without asking anybody. */
async function rows(world: SshWorld): Promise<{ id: string; lifecycle: string }[]> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(`${world.sandbox.home}/.dev-sessions/dev-sessions.db`);
  try {
    const sql = "SELECT id, lifecycle FROM remote_sessions ORDER BY created_at";
    return database.prepare(sql).all().map((row) => ({
      id: String(row["id"]),
      lifecycle: String(row["lifecycle"]),
    }));
  } finally {
    database.close();
  }
}

async function creatingRow(world: SshWorld): Promise<string> {
  const row = await world.sandbox.eventually(
    async () => (await rows(world)).find(({ lifecycle }) => lifecycle === "creating"),
    { what: "the row of the create" },
  );
  return row.id;
}

async function killed(command: RunningCommand): Promise<void> {
  signal(command.pid, "SIGKILL");
  await command.done();
}

/** The processes on the second host that serve a request: an `rpc` that has opened the registry. */
async function atWork({ host }: SshWorld): Promise<string[]> {
  const line = "for p in $(pgrep -f '[m]ain.js rpc'); do " +
    "ls -l /proc/$p/fd 2>/dev/null | grep -q dev-sessions.db && echo $p; done; true";
  return (await host.shell(line)).stdout.split("\n").filter((pid) => pid !== "");
}

Deno.test(
  { name: name("a create that is killed leaves nothing, or its session; never a doubt"), ignore },
  async (t) => {
    await using world = await SshWorld.start();
    const { sandbox, host } = world;
    // The first one brings the registry and the shared connection.
    await world.ok(["kill", await world.create()]);
    const ended = (await rows(world)).length;
    const { stdout: claude } = await host.exec(["cat", "/usr/local/bin/claude"]);
    const held = claude.replace("exec ", "while [ -e /home/dev/hold ]; do sleep 0.05; done\nexec ");
    /** A create that its host has begun, and whose agent does not come up before `release()`. */
    const begun = async (args: readonly string[]) => {
      await host.write("/home/dev/hold", "");
      await host.write("/usr/local/bin/claude", held, "755");
      const create = sandbox.start(["create", "--host", "box", ...args]);
      const id = await creatingRow(world);
      await sandbox.eventually(async () => (await world.idsThere()).includes(id), {
        what: "it is begun there",
      });
      return { create, id };
    };
    const release = async () => {
      await host.exec(["rm", "/home/dev/hold"]);
      await host.write("/usr/local/bin/claude", claude, "755");
    };

    await t.step("before its host was reached: nothing", async () => {
      await world.useSsh([], "sleep 30");
      const create = sandbox.start(["create", "--host", "box"]);
      await sandbox.eventually(
        async () => (await sandbox.processesOf()).some(({ command }) => /sleep 30/.test(command)),
        {
          what: "ssh is under way",
        },
      );
      await killed(create);
      await world.useSsh([]);
      strictEqual((await rows(world)).length, ended);
    });

    await t.step("while the agent starts: its host undoes it, and the next command forgets it", async () => {
      const { create, id } = await begun([]);
      await killed(create);
      await sandbox.eventually(async () => !(await world.idsThere()).includes(id), {
        what: "it is undone there",
      });
      const status = await world.run("status", id);
      strictEqual(status.code, 3, status.stderr);
      strictEqual((await rows(world)).length, ended);
      await release();
    });

    await t.step("after its host had done it: the next command takes it up", async () => {
      const { create, id } = await begun(["-d", "taken up", "--key", "k"]);
      signal(create.pid, "SIGSTOP");
      await release();
      await sandbox.eventually(
        async () => (await host.shell(`dev-sessions status ${id}`)).stdout === "idle\n",
        { what: "it is live there", timeoutMs: 60_000 },
      );
      const other = await world.run("status", id);
      strictEqual(other.code, 4);
      match(other.stderr, /still being created on box/);
      await killed(create);
      match(await world.ok(["list"]), new RegExp(`^${id} .* box +idle .*taken up`, "m"));
      deepStrictEqual((await rows(world)).at(-1), { id, lifecycle: "active" });
      // The same request is this session.
      strictEqual(await world.ok(["create", "-q", "--host", "box", "-d", "taken up", "--key", "k"]), id);
      await world.ok(["kill", id]);
    });

    await t.step("stopped while its host is out of reach: nobody claims to know", async () => {
      const { create, id } = await begun(["--key", "stopped"]);
      await host.link("down");
      signal(create.pid, "SIGINT");
      const { code, stderr } = await create.doneWithin(60_000, "the create that was stopped");
      strictEqual(code, 9, stderr);
      match(stderr, new RegExp(`Whether "${id}" was created on box is not known; it stays in the list`));
      deepStrictEqual((await rows(world)).at(-1), { id, lifecycle: "creating" });
      await release();
      await host.link("up");
      // It came to be, or was undone when the connection was seen to be gone: one of the two, and the same for all.
      const repeated = await sandbox.eventually(async () => {
        const again = await world.run("create", "-q", "--host", "box", "--key", "stopped");
        return again.code === 0 ? again.stdout.trim() : null;
      }, { what: "the repetition", timeoutMs: 60_000 });
      strictEqual(await world.ok(["status", repeated]), "idle");
      strictEqual((await world.idsThere()).filter((one) => one === id || one === repeated).length, 1);
      await world.ok(["kill", repeated]);
    });

    await t.step("with its host out of reach: it stays, and is told of", async () => {
      const { create, id } = await begun([]);
      signal(create.pid, "SIGSTOP");
      await release();
      await sandbox.eventually(
        async () => (await host.shell(`dev-sessions status ${id}`)).stdout === "idle\n",
        { what: "it is live there", timeoutMs: 60_000 },
      );
      await host.link("down");
      await world.useSsh(IMPATIENT);
      await killed(create);
      await world.hangUp();
      const status = await world.run("status", id);
      strictEqual(status.code, 255, status.stderr);
      match(status.stderr, /^SSH transport failure talking to box: [^]*only box can say what became of it/);
      const listed = await world.run("list");
      strictEqual(listed.code, 0);
      match(
        listed.stderr,
        /^\[dev-sessions\] warning: could not reach box \(.*\); showing cached session records$/m,
      );
      match(listed.stdout, new RegExp(`^${id} .* box +unknown`, "m"));
      deepStrictEqual((await rows(world)).at(-1), { id, lifecycle: "creating" });
      await host.link("up");
      await world.useSsh([]);
      strictEqual(await world.ok(["status", id]), "idle");
      deepStrictEqual((await rows(world)).at(-1), { id, lifecycle: "active" });
    });
  },
);

Deno.test(
  { name: name("an outage of the network changes no record, and a wait outlasts it"), ignore },
  async (t) => {
    await using world = await SshWorld.start();
    const { sandbox, host } = world;
    await world.useSsh(IMPATIENT);
    const gate = world.gate("gate");
    const id = await world.create();
    const here = await world.ok(["create", "-q"]);

    await t.step("wait goes on when the network is back", async () => {
      await world.ok(["send", id, `SCRIPT:gate ${gate.path}`]);
      const before = await atWork(world);
      const wait = sandbox.start(["wait", id, "-t", "120"]);
      await sandbox.eventually(async () => (await atWork(world)).some((pid) => !before.includes(pid)), {
        what: "the wait has reached its host",
      });
      await host.link("down");
      await sandbox.eventually(() => wait.stderr.includes("lost the connection to box"), {
        what: "the outage is noticed",
        timeoutMs: 30_000,
      });
      await gate.open();
      await host.link("up");
      const { code, stdout, stderr } = await wait.doneWithin(60_000, "the wait");
      strictEqual(code, 0, stderr);
      strictEqual(stdout, "completed\n");
      match(
        stderr,
        /lost the connection to box \([^\n]*\); trying to get it back\n[^]*box can be reached again\n$/,
      );
    });

    await t.step("logs --follow goes on, and repeats nothing", async () => {
      const logs = sandbox.start(["logs", id, "--follow"]);
      await sandbox.eventually(() => logs.stdout.includes("opened"), { what: "the log so far" });
      await host.link("down");
      await sandbox.eventually(() => logs.stderr.includes("lost the connection"), {
        what: "the outage is noticed",
        timeoutMs: 30_000,
      });
      await host.link("up");
      await sandbox.eventually(async () => (await world.run("status", id)).code === 0, {
        what: "box is back",
      });
      await world.ok(["ask", id, "after the outage"]);
      await sandbox.eventually(() => logs.stdout.includes("REPLY: after the outage"), {
        what: "the log goes on",
        timeoutMs: 30_000,
      });
      strictEqual(logs.stdout.split("REPLY: gate").length, 2);
      await logs.end();
    });

    await t.step("out of reach: list says so within its bound, and the local sessions stand", async () => {
      await host.link("down");
      await world.hangUp();
      const before = performance.now();
      const listed = await world.run("list");
      ok(performance.now() - before < 20_000);
      strictEqual(listed.code, 0);
      match(listed.stdout, new RegExp(`^${here} .* local +idle`, "m"));
      match(listed.stdout, new RegExp(`^${id} .* box +unknown`, "m"));
      match(listed.stderr, /could not reach box/);
      for (
        const args of [["status", id], ["send", id, "x"], ["kill", id], ["prune", id], ["wait", id], [
          "create",
          "--host",
          "box",
        ]]
      ) {
        const failed = await world.run(...args);
        strictEqual(failed.code, 255, `${args.join(" ")}: ${failed.stderr}`);
        match(failed.stderr, /^SSH transport failure talking to box: /);
      }
      const both = await world.run("kill", here, id);
      strictEqual(both.code, 1);
      match(both.stdout, new RegExp(`^Killed session ${here}`));
      deepStrictEqual(await rows(world), [{ id, lifecycle: "active" }]);
      await host.link("up");
      strictEqual(await world.ok(["status", id]), "idle");
      doesNotMatch(await world.ok(["logs", id]), /^x$/m);
    });

    await t.step("its host was started again: the session is gone there, and comes back", async () => {
      await host.reboot();
      await world.hangUp();
      strictEqual(await world.ok(["status", id]), "gone");
      doesNotMatch(await world.ok(["list"]), new RegExp(id));
      strictEqual(await world.ok(["resume", id]), `Resumed session ${id}`);
      strictEqual(await world.ok(["status", id]), "idle");
    });
  },
);
