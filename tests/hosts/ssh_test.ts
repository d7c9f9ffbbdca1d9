/**
 * Sessions on a real second host: every verb, names, families, ways of login, and what goes wrong with a connection. It
 * is long because there are many verbs.
 */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import { lack, SshWorld } from "./ssh_world.ts";

const name = (text: string) => lack === null ? text : `${text} (${lack})`;
const ignore = lack !== null;

Deno.test({ name: name("every verb works on a session of another host"), ignore }, async (t) => {
  await using world = await SshWorld.start();
  const { sandbox, host } = world;
  await host.exec(["install", "-d", "-o", "dev", "-g", "dev", "/home/dev/proj"]);
  let id = "";

  await t.step("create, with what it is given", async () => {
    const args = ["create", "--host", "box", "-p", "proj", "-d", "far away", "--group", "g"];
    const made = await world.json(...args);
    strictEqual(made.code, 0, made.stderr);
    const { host: at, path, description, group } = made.json;
    deepStrictEqual([at, path, description, group], ["box", "/home/dev/proj", "far away", "g"]);
    id = made.json.id;
    deepStrictEqual(await world.idsThere(), [id]);
    match(await world.ok(["create", "--host", "box"]), /^Created session [a-z-]+ on box$/);
  });

  await t.step("list shows where it is", async () => {
    const listed = await world.ok(["list"]);
    match(listed, new RegExp(`^${id} +claude +yolo +box +idle +/home/dev/proj +far away`, "m"));
    strictEqual(await world.ok(["list", "--group", "none"]), "No active sessions in the group none");
  });

  await t.step("send, wait, last-message, logs: any text arrives as it is, and on stdin alone", async () => {
    const text = `it's "quoted" $HOME \\n \`id\` {x} ünïcode !! 100% -- done`;
    strictEqual(await world.ok(["send", id, "--file", "-"], { stdin: text }), `Sent message to ${id}`);
    strictEqual(await world.ok(["wait", id]), "completed");
    strictEqual(await world.ok(["last-message", id]), `REPLY: ${text} [length ${text.length}]`);
    match(await world.ok(["logs", id]), /^\[HUMAN\]\nit's "quoted"/);
    doesNotMatch(await world.sshLog(), /quoted/);
  });

  await t.step("ask, status, inspect, usage, events, goal", async () => {
    match(await world.ok(["ask", id, "how are you"]), /^REPLY: how are you/);
    strictEqual(await world.ok(["status", id]), "idle");
    match(await world.ok(["status", id, "--explain"]), /^process: alive$/m);
    strictEqual(JSON.parse(await world.ok(["inspect", id])).host, "box");
    match(await world.ok(["usage", id]), new RegExp(`^${id}`, "m"));
    const events = (await world.ok(["events", id])).split("\n").map((line) => JSON.parse(line));
    strictEqual(events[0].type, "session_created");
    const rest = (await world.ok(["events", id, "--since", events[0].cursor])).split("\n");
    strictEqual(rest.length, events.length - 1);
    const goal = await world.run("goal", id);
    strictEqual(goal.code, 2);
    match(
      goal.stderr,
      new RegExp(`^Remote goal on box failed: Goals are only supported for codex sessions; ${id}`),
    );
  });

  await t.step("interrupt stops the running turn", async () => {
    await world.ok(["send", id, "SCRIPT:slow 60"]);
    const stopped = await world.json("interrupt", id);
    strictEqual(stopped.json.result, "interrupted", stopped.stderr);
    strictEqual((await world.run("wait", id)).code, 6);
  });

  await t.step("respond answers what it waits for", async () => {
    const native = await world.create("-m", "native", "--trust");
    await world.ok(["send", native, "SCRIPT:permission touch answered"]);
    const waited = await world.run("wait", native);
    strictEqual(waited.code, 5, waited.stderr);
    await world.ok(["respond", native, "--approve"]);
    strictEqual(await world.ok(["wait", native]), "completed");
    strictEqual((await host.exec(["test", "-e", "/home/dev/answered"])).code, 0);
    await world.ok(["kill", native]);
  });

  await t.step("logs --follow and events --follow end with the session", async () => {
    const other = await world.create();
    const logs = sandbox.start(["logs", other, "--follow"]);
    const events = sandbox.start(["events", other, "--follow"]);
    await world.ok(["ask", other, "one"]);
    await sandbox.eventually(
      () => logs.stdout.includes("REPLY: one") && events.stdout.includes("turn_completed"),
      {
        what: "the followers have read the turn",
      },
    );
    await world.ok(["kill", other]);
    strictEqual((await logs.done()).code, 0, logs.stderr);
    strictEqual((await events.done()).code, 0, events.stderr);
    match(events.stdout, /session_ended/);
  });

  await t.step("attach joins it in this terminal", async () => {
    const main = new URL("../../main.ts", import.meta.url).pathname;
    const line = `${Deno.execPath()} run -A --quiet ${main} attach ${id}; echo "exit $?"; sleep 60`;
    await sandbox.tmux("-L", "person", "new-session", "-d", "-s", "person", line);
    const screen = async () =>
      (await sandbox.tmux("-L", "person", "capture-pane", "-p", "-t", "person")).stdout;
    await sandbox.eventually(async () => (await screen()).includes("❯"), { what: "the agent's screen" });
    strictEqual((await host.shell(`tmux detach-client -s dev-${id}`)).code, 0);
    await sandbox.eventually(async () => (await screen()).includes("exit 0"), { what: "the end of attach" });
    await sandbox.tmux("-L", "person", "kill-server");
  });

  await t.step("kill, resume, prune", async () => {
    strictEqual(await world.ok(["kill", id]), `Killed session ${id}`);
    match(await world.ok(["list", "--all"]), new RegExp(`^${id} .* box +gone .*yes`, "m"));
    strictEqual((await world.run("send", id, "x")).code, 7);
    match((await world.run("prune", "--older-than", "1d")).stdout, /^No ended sessions/);
    strictEqual(await world.ok(["resume", id]), `Resumed session ${id}`);
    match(await world.ok(["ask", id, "again"]), /^REPLY: again/);
    strictEqual((await world.run("prune", id)).code, 1);
    await world.ok(["kill", id]);
    strictEqual(await world.ok(["prune", id]), `Forgot session ${id}`);
    strictEqual((await world.run("status", id)).code, 3);
    ok(!(await world.idsThere()).includes(id));
  });

  await t.step("what its host has forgotten is no longer listed, and can be forgotten here", async () => {
    const lost = await world.create();
    await host.shell(`dev-sessions kill ${lost} && dev-sessions prune ${lost}`);
    const status = await world.run("status", lost);
    strictEqual(status.code, 3);
    match(
      status.stderr,
      new RegExp(`^Remote status on box failed: Session not found: ${lost}\n.*kill ${lost}`),
    );
    doesNotMatch(await world.ok(["list"]), new RegExp(lost));
    await world.ok(["kill", lost]);
    doesNotMatch(await world.ok(["list", "--all"]), new RegExp(lost));
  });

  await t.step("kill --all ends the sessions here and there", async () => {
    const here = await world.ok(["create", "-q"]);
    const there = await world.create();
    const killed = await world.ok(["kill", "--all"]);
    ok(killed.includes(here) && killed.includes(there), killed);
    strictEqual(await world.ok(["list"]), "No active sessions");
  });
});

Deno.test(
  { name: name("sessions of several places in one command, names and families"), ignore },
  async (t) => {
    await using world = await SshWorld.start();
    const { sandbox, host } = world;

    await t.step("a name is given once, here and there", async () => {
      await host.shell("dev-sessions create -q --id fizz-top");
      const taken = await world.run("create", "--host", "box", "--id", "fizz-top");
      strictEqual(taken.code, 1);
      match(taken.stderr, /Champion ID already in use: fizz-top/);
      // Which left nothing behind.
      await world.ok(["create", "-q", "--id", "fizz-top"]);
      strictEqual(await world.create("--id", "riven-jg"), "riven-jg");
      match((await world.run("create", "--id", "riven-jg")).stderr, /^Champion ID already in use: riven-jg/);
      // Of the same name, and still two.
      match(await world.ok(["ask", "fizz-top", "here"]), /^REPLY: here/);
      doesNotMatch((await host.shell("dev-sessions logs fizz-top")).stdout, /here/);
      await world.ok(["kill", "--all"]);
      strictEqual((await host.shell("dev-sessions status fizz-top")).stdout, "idle\n");
    });

    await t.step("with --key, a repeated create is the first one's session", async () => {
      const first = await world.create("--key", "k1", "--group", "keyed");
      strictEqual(await world.create("--key", "k1", "--group", "keyed"), first);
      const other = await world.run("create", "--host", "box", "--key", "k1", "--group", "another");
      strictEqual(other.code, 2);
      match(other.stderr, /it was used for another request/);
      await world.ok(["kill", first]);
    });

    await t.step("@group, wait --any and --all, kill over places", async () => {
      const gate = world.gate("any");
      const here = await world.ok(["create", "-q", "--group", "team"]);
      const there = await world.create("--group", "team");
      deepStrictEqual(
        (await world.ok(["send", "@team", "hello"])).split("\n").sort(),
        [
          `${here}\tsubmitted`,
          `${there}\tsubmitted`,
        ].sort(),
      );
      deepStrictEqual(
        (await world.ok(["wait", "@team"])).split("\n").sort(),
        [
          `${here}\tcompleted`,
          `${there}\tcompleted`,
        ].sort(),
      );
      await world.ok(["send", there, `SCRIPT:gate ${gate.path}`]);
      strictEqual(await world.ok(["wait", "--any", there, here]), `${here}\tcompleted`);
      const late = await world.run("wait", "-t", "1", here, there);
      strictEqual(late.code, 124, late.stderr);
      deepStrictEqual(
        late.stdout.trim().split("\n").sort(),
        [`${here}\tcompleted`, `${there}\ttimed_out`].sort(),
      );
      await gate.open();
      strictEqual(await world.ok(["wait", there]), "completed");
      const mixed = await world.run("events", here, there);
      strictEqual(mixed.code, 2);
      match(mixed.stderr, /several places/);
      const all = await world.run("events");
      match(all.stderr, new RegExp(`without the sessions on other hosts.*box: .*${there}`));
      const missing = await world.run("wait", there, "zyra-top");
      strictEqual(missing.code, 3);
      deepStrictEqual(
        (await world.ok(["kill", "@team"])).split("\n").sort(),
        [
          `Killed 2 session(s)`,
          `Killed session ${here}`,
          `Killed session ${there}`,
        ].sort(),
      );
    });

    await t.step("a child elsewhere belongs to the family: its sender, its limits, its end", async () => {
      const parent = await world.ok(["create", "-q"]);
      const stranger = await world.ok(["create", "-q"]);
      const by = (id: string) => ({ env: { DEV_SESSIONS_ID: id } });
      const child = await world.ok(["create", "-q", "--host", "box"], by(parent));
      strictEqual(JSON.parse(await world.ok(["inspect", child])).parent, parent);
      match(await world.ok(["list", "--tree"]), new RegExp(`^${parent} [^]*^  ${child} `, "m"));
      await world.ok(["ask", child, "do it"], by(parent));
      match(await world.ok(["last-message", child]), /^REPLY: do it/);
      await world.ok(["ask", child, "psst"], by(stranger));
      const said = await world.ok(["last-message", child]);
      strictEqual(said.split(`Message from the agent session "${stranger}"`).length, 2, said);
      const rendered = "for {{parent.id}} in {{session.path}}";
      await world.ok(["ask", child, "--render", rendered], by(parent));
      match(await world.ok(["last-message", child]), new RegExp(`^REPLY: for ${parent} in /home/dev `));

      await Deno.writeTextFile(join(sandbox.home, ".dev-sessions", "config.json"), '{"maxSessions": 3}');
      const full = await world.run("create", "--host", "box");
      strictEqual(full.code, 8);
      match(full.stderr, /3 sessions are live, and the limit is 3/);
      await world.ok(["kill", child]);
      const other = await world.ok(["create", "-q"]);
      const back = await world.run("resume", child);
      deepStrictEqual([back.code, back.stdout], [8, ""]);
      match(back.stderr, /Cannot resume .*3 sessions are live, and the limit is 3/);
      strictEqual((await host.shell(`dev-sessions status ${child}`)).stdout.trim(), "gone");
      await world.ok(["kill", other]);
      strictEqual(await world.ok(["resume", child]), `Resumed session ${child}`);
      strictEqual((await world.run("create")).code, 8, "it counts again");
      await Deno.remove(join(sandbox.home, ".dev-sessions", "config.json"));

      strictEqual((await world.run("kill", parent)).code, 0);
      const killed = await world.ok(["kill", "--tree", parent]);
      match(killed, new RegExp(`Killed session ${child}`));
      // One in native mode starts none that never asks.
      const native = await world.ok(["create", "-q", "-m", "native", "--trust"]);
      const laxer = await sandbox.run(["create", "--host", "box"], by(native));
      strictEqual(laxer.code, 8);
      await world.ok(["kill", "--all"]);
    });

    await t.step("a container reaches it through the gateway, with the master token alone", async () => {
      await using gateway = await startGateway(sandbox);
      const inContainer = (token: string) => ({
        env: {
          HOME: join(sandbox.root, "container"),
          IS_SANDBOX: "1",
          DEV_SESSIONS_GATEWAY_URL: gateway.url,
          DEV_SESSIONS_GATEWAY_TOKEN: token,
          HOST_PATH: "/home/dev",
        },
      });
      const master = inContainer(gateway.master);
      await host.shell("mkdir -p proj");
      const id = await world.ok(["create", "-q", "--host", "box", "-p", "proj"], master);
      const record = JSON.parse(await world.ok(["inspect", id], master));
      deepStrictEqual([record.host, record.path], ["box", "/home/dev/proj"]);
      match(await world.ok(["ask", id, "from a container"], master), /^REPLY: from a container/);
      match(await world.ok(["list"], master), new RegExp(`^${id} .* box +idle +/home/dev/proj`, "m"));
      const { token } = await gateway.token("--root", sandbox.workspace, "--mode", "yolo");
      const refused = await sandbox.run(
        ["create", "--host", "box", "-p", sandbox.workspace],
        inContainer(token),
      );
      strictEqual(refused.code, 8);
      match(refused.stderr, /--host is not permitted with this token/);
      strictEqual((await sandbox.run(["status", id], inContainer(token))).code, 3);
      await world.ok(["kill", id], master);
    });

    await t.step("a worktree there is made and removed there", async () => {
      await host.shell(
        "git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m x",
      );
      const id = await world.create("-p", "r", "--worktree");
      const { path } = JSON.parse(await world.ok(["inspect", id])).worktree;
      strictEqual((await host.exec(["test", "-d", path])).code, 0);
      match(await world.ok(["kill", id]), new RegExp(`^Removed worktree box:${path}`, "m"));
      strictEqual((await host.exec(["test", "-d", path])).code, 1);
    });
  },
);

Deno.test({ name: name("logins of every kind, and what is not there"), ignore }, async (t) => {
  await using world = await SshWorld.start();
  const { sandbox, host } = world;
  const id = await world.create();
  const status = () => world.ok(["status", id]);

  for (const shell of ["/usr/bin/fish", "/usr/bin/zsh", "/bin/dash", "/bin/bash"]) {
    await t.step(`login shell ${shell}`, async () => {
      if (!await Deno.stat(shell).then(() => true, () => false)) return;
      strictEqual((await host.exec(["usermod", "-s", shell, "dev"])).code, 0);
      strictEqual(await status(), "idle");
    });
  }

  await t.step("a profile that prints, and asks", async () => {
    const { stdout: profile } = await host.exec(["cat", "/home/dev/.profile"]);
    const noise =
      "echo Welcome; printf 'no line end'; echo warning >&2; read -r answer; echo \"[$answer]\"\n";
    // Its question stays open until the end of the wire's stdin: nothing is sent before the other end has spoken.
    await host.write("/home/dev/.profile", `${profile}\n${noise.replace("read -r answer;", "")}`);
    strictEqual(await status(), "idle");
    await host.write("/home/dev/.profile", profile);
  });

  await t.step("DEV_SESSIONS_REMOTE_BIN with arguments, kept for the session", async () => {
    const env = { DEV_SESSIONS_REMOTE_BIN: "env FROM='the other one' ~/.local/bin/dev-sessions" };
    const other = await world.ok(["create", "-q", "--host", "box"], { env });
    strictEqual(await world.ok(["status", other]), "idle");
    await world.ok(["kill", other]);
  });

  await t.step("no dev-sessions", async () => {
    const env = { DEV_SESSIONS_REMOTE_BIN: "no-such-program" };
    const missing = await sandbox.run(["create", "--host", "box"], { env });
    strictEqual(missing.code, 1);
    match(
      missing.stderr,
      /^dev-sessions not found on box \(tried 'no-such-program' via a login shell\)\. Install it there, or set DEV_SESSIONS_REMOTE_BIN /,
    );
    doesNotMatch(await world.ok(["list", "--all"]), /creating/);
  });

  await t.step("another protocol, and an earlier version", async () => {
    const hello = '{"type":"hello","protocol":2,"version":"9.0.0"}';
    await host.write(
      "/home/dev/newer",
      `#!/bin/sh\necho ==dev-sessions-rpc-frames-follow==\necho '${hello}'\nread -r line\n`,
      "755",
    );
    await host.write(
      "/home/dev/older",
      "#!/bin/sh\necho \"error: unknown command 'rpc'\" >&2\nexit 1\n",
      "755",
    );
    const at = (bin: string) =>
      sandbox.run(["create", "--host", "box"], { env: { DEV_SESSIONS_REMOTE_BIN: bin } });
    const newer = await at("/home/dev/newer");
    strictEqual(newer.code, 1);
    match(newer.stderr, /^Cannot talk to box: it is dev-sessions 9\.0\.0 \(protocol 2\).*Upgrade this one/);
    const older = await at("/home/dev/older");
    strictEqual(older.code, 1);
    match(
      older.stderr,
      /^Cannot talk to dev-sessions on box: .* It is an earlier version of dev-sessions\. Upgrade it/,
    );
  });

  await t.step("host keys: a new one is taken, another one is not", async () => {
    const known = join(host.root, "known_hosts");
    const before = await Deno.readTextFile(known);
    await world.hangUp();
    await Deno.writeTextFile(known, "");
    const taken = await world.run("status", id);
    strictEqual(taken.code, 0, taken.stderr);
    strictEqual(taken.stderr, "");
    strictEqual((await Deno.readTextFile(known)).split(" ")[2]?.trim(), before.split(" ")[2]);
    await world.hangUp();
    await sandbox.spawn("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(sandbox.root, "other")])
      .done();
    const other = (await Deno.readTextFile(join(sandbox.root, "other.pub"))).split(" ").slice(0, 2).join(" ");
    await Deno.writeTextFile(known, `${host.address} ${other}\n`);
    const refused = await world.run("status", id);
    strictEqual(refused.code, 255);
    match(refused.stderr, /^SSH transport failure talking to box: .*HAS CHANGED/);
    const way = /with: (ssh-keygen .*); else/.exec(refused.stderr)?.[1] ?? "";
    strictEqual(way, `ssh-keygen -f '${known}' -R '${host.address}'`);
    strictEqual((await sandbox.spawn("sh", ["-c", way]).done()).code, 0);
    strictEqual(await status(), "idle");
  });

  await t.step("refused, unknown, not a host", async () => {
    await host.exec(["systemctl", "stop", "ssh", "ssh.socket"]);
    await world.hangUp();
    const refused = await world.run("status", id);
    strictEqual(refused.code, 255);
    match(
      refused.stderr,
      /^SSH transport failure talking to box: .*Connection refused\. Does sshd run there/,
    );
    await host.exec(["systemctl", "start", "ssh"]);
    strictEqual(await status(), "idle");
    const unknown = await world.run("create", "--host", "no-such-host.invalid");
    strictEqual(unknown.code, 255);
    match(unknown.stderr, /Could not resolve hostname no-such-host\.invalid/);
    for (const bad of ["-oProxyCommand=touch x", "", "a b", "a\tb"]) {
      const run = await world.run("create", `--host=${bad}`);
      strictEqual(run.code, 2, bad);
      match(run.stderr, /^Invalid SSH host: /);
    }
    const denied = await sandbox.run(["create", "--host", `nobody@${host.address}`]);
    strictEqual(denied.code, 255);
    match(denied.stderr, /Permission denied/);
  });

  await t.step("many first connections at once are quiet, and all succeed", async () => {
    await world.hangUp();
    const all = await Promise.all(Array.from({ length: 6 }, () => world.run("status", id)));
    deepStrictEqual(
      all.map(({ code, stdout, stderr }) => [code, stdout, stderr]),
      all.map(() => [0, "idle\n", ""]),
    );
  });
});
