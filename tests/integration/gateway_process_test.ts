/** The gateway as a process: how it starts and ends, what is left of it, and that it lives long without going stale. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { answerOf, exchange, startGateway } from "../support/gateway.ts";
import { LOG_LIMIT_BYTES } from "../../gateway/log_file.ts";
import { cliCommand, createSandbox, eventually, type Sandbox } from "../support/harness.ts";
import { holdAgent } from "../support/held_agent.ts";
import { signal } from "../support/processes.ts";
import { agentPid, assertNothingLeft, created, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";

const KILL = { tree: false, everyone: true, caller: null };

function mode(path: string): number {
  return Deno.statSync(path).mode! & 0o777;
}

async function fails(sandbox: Sandbox, args: readonly string[], why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await sandbox.run(["gateway", "--port", "0", ...args]);
  deepStrictEqual([code, stdout], [1, ""], stderr);
  match(stderr, why);
}

Deno.test("the unix socket stands alone in a folder of its own, and whoever reaches it may connect", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const folder = join(sandbox.home, ".dev-sessions", "gateway");
  {
    await using gateway = await startGateway(sandbox);
    deepStrictEqual([mode(folder), mode(gateway.socket)], [0o711, 0o666]);
    deepStrictEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["gateway.sock"]);
    strictEqual(mode(join(sandbox.home, ".dev-sessions", "gateway-token")), 0o600);
    using connection = await Deno.connect({ transport: "unix", path: gateway.socket });
    const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n`;
    match(
      await exchange(connection, `${head}Authorization: Bearer ${gateway.master}\r\n\r\n{}`),
      /^HTTP\/1\.1 200 /,
    );
    using stranger = await Deno.connect({ transport: "unix", path: gateway.socket });
    match(await exchange(stranger, `${head}\r\n{}`), /^HTTP\/1\.1 401 /);
    await t.step("another gateway does not take it", async () => {
      await fails(sandbox, [], /gateway\.sock": another gateway does\. Stop it, or name another folder/);
    });
    signal(gateway.process.pid, "SIGKILL");
    await gateway.process.done();
  }
  await t.step("one that was killed has left it, and the next one takes its place", async () => {
    ok(Deno.lstatSync(join(folder, "gateway.sock")).isSocket);
    await using gateway = await startGateway(sandbox);
    strictEqual((await gateway.ask("list")).status, 200);
    strictEqual((await gateway.stop()).code, 0);
    deepStrictEqual([...Deno.readDirSync(folder)], []);
  });
  await t.step("a folder that holds anything else is refused", async () => {
    const other = await sandbox.folder("other");
    await Deno.writeTextFile(join(other, "notes"), "");
    await fails(sandbox, ["--socket-dir", other], /it must hold nothing else, and it holds "notes"/);
    strictEqual(mode(other), 0o755, "nothing was changed");
  });
  await t.step("a file in the socket's place is not removed", async () => {
    const other = await sandbox.folder("file");
    await Deno.writeTextFile(join(other, "gateway.sock"), "mine");
    await fails(sandbox, ["--socket-dir", other], /it is no socket\. Remove it/);
    strictEqual(await Deno.readTextFile(join(other, "gateway.sock")), "mine");
  });
  await t.step("a symlink to a folder is no folder of ours", async () => {
    await Deno.symlink(sandbox.workspace, join(sandbox.root, "link"));
    await fails(sandbox, ["--socket-dir", join(sandbox.root, "link")], /it is no folder/);
  });
  await t.step("a name that no socket can have", async () => {
    await fails(sandbox, ["--socket-dir", join(sandbox.root, "x".repeat(120))], /more than 103 bytes/);
  });
});

Deno.test(
  { name: "a log that has become long is set aside", ignore: Deno.build.os !== "linux" },
  async (t) => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const log = join(sandbox.home, ".dev-sessions", "gateway.log");
    const sizes = () => [log, `${log}.1`].map((path) => Deno.statSync(path).size);
    await Deno.mkdir(join(sandbox.home, ".dev-sessions"), { mode: 0o700 });
    await Deno.writeTextFile(log, "earlier\n", { mode: 0o600 });
    await Deno.truncate(log, LOG_LIMIT_BYTES + 1);
    await t.step("not by a gateway that writes elsewhere", async () => {
      await using _gateway = await startGateway(sandbox);
      strictEqual(Deno.statSync(log).size, LOG_LIMIT_BYTES + 1);
    });
    const script = 'exec "$@" >>"$0" 2>&1';
    const gateway = sandbox.spawn("sh", ["-c", script, log, ...cliCommand(), "gateway", "--port", "0"]);
    const says = async (text: string) => (await Deno.readTextFile(log)).includes(text);
    await t.step("at the start", async () => {
      await eventually(() => says("listening on"), { what: "a gateway that listens" });
      strictEqual(await says("what was logged before is in"), true);
      strictEqual(sizes()[1], LOG_LIMIT_BYTES + 1);
      strictEqual(mode(`${log}.1`), 0o600);
      match((await Deno.readTextFile(`${log}.1`)).slice(0, 10), /^earlier\n/);
    });
    await t.step("and while it runs", async () => {
      await Deno.truncate(log, LOG_LIMIT_BYTES + 2);
      const isDone = async () => !await says("listening on") && await says("what was logged before is in");
      await eventually(isDone, { what: "the log to be set aside", timeoutMs: 30_000 });
      strictEqual(sizes()[1], LOG_LIMIT_BYTES + 2);
    });
    signal(gateway.pid, "SIGTERM");
    await gateway.done();
    strictEqual(
      await says("stopping; 0 requests"),
      true,
      "what comes afterwards stands at the new beginning",
    );
    strictEqual((await Deno.readTextFile(log)).startsWith("{"), true);
  },
);

Deno.test("what stands in the way of a start is named, and nothing is left listening", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await t.step("the port", async () => {
    await using gateway = await startGateway(sandbox);
    const args = ["gateway", "--port", String(gateway.port), "--socket-dir", join(sandbox.root, "s")];
    const { code, stdout, stderr } = await sandbox.run(args);
    deepStrictEqual([code, stdout], [1, ""]);
    match(
      stderr,
      new RegExp(
        `Cannot listen on 127\\.0\\.0\\.1:${gateway.port}: process ${gateway.process.pid} \\(.*gateway --port 0.*\\) has ` +
          `the port; a dev-sessions gateway \\(\\d+\\.\\d+\\.\\d+\\) runs there\\. Stop it, or choose another port with`,
      ),
    );
  });
  await t.step("the port, held by something else", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    void (async () => {
      for await (const connection of listener) connection.close();
    })();
    const { code, stderr } = await sandbox.run(["gateway", "--port", String(port)]);
    strictEqual(code, 1);
    match(stderr, new RegExp(`process ${Deno.pid} \\(.*\\) has the port\\. Stop it`));
  });
  await t.step("an address of another machine", async () => {
    await fails(
      sandbox,
      ["--bind", "192.0.2.77"],
      /Cannot listen on 192\.0\.2\.77:\d+: this machine does not have the address/,
    );
  });
  const token = join(sandbox.home, ".dev-sessions", "gateway-token");
  await t.step("a token file that holds none", async () => {
    await Deno.writeTextFile(token, "short");
    await fails(
      sandbox,
      [],
      /Cannot use the gateway's token ".*gateway-token": it holds no token\. Remove it/,
    );
    strictEqual(await Deno.readTextFile(token), "short");
    await Deno.remove(token);
  });
  await t.step("a token file that is none", async () => {
    await Deno.mkdir(token);
    await fails(sandbox, [], /Cannot use the gateway's token ".*gateway-token": it is no file/);
    await Deno.remove(token);
  });
  await t.step("a token file that others could read is tightened", async () => {
    await Deno.writeTextFile(token, `${"x".repeat(40)}\n`, { mode: 0o644 });
    await using gateway = await startGateway(sandbox);
    strictEqual(mode(token), 0o600);
    strictEqual((await gateway.ask("list", {}, { token: "x".repeat(40) })).status, 200);
  });
  await t.step("a damaged registry", async () => {
    const other = await createSandbox({ agent: "stub" });
    try {
      await Deno.mkdir(join(other.home, ".dev-sessions"), { mode: 0o700 });
      await Deno.writeTextFile(
        join(other.home, ".dev-sessions", "dev-sessions.db"),
        "no database".repeat(1000),
      );
      await fails(other, [], /registry ".*dev-sessions\.db"/);
    } finally {
      await other.close();
    }
  });
});

Deno.test(
  "a full disk is an error of one line, and the gateway goes on",
  { ignore: !canMount() },
  async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const state = join(sandbox.home, ".dev-sessions");
    await Deno.mkdir(state, { mode: 0o700 });
    const main = join(import.meta.dirname!, "..", "..", "main.ts");
    const script = `mount -t tmpfs -o size=400k,mode=0700 tmpfs "$HOME/.dev-sessions" || exit 99
    "$0" run -A --quiet "${main}" gateway --port 0 --socket-dir "$HOME/s" &
    gateway=$!
    trap 'kill $gateway; wait $gateway; exit 0' TERM
    while :; do
      if [ -e "$HOME/fill" ]; then cp -r /dev/zero "$HOME/.dev-sessions/full" 2>/dev/null || cat /dev/zero > "$HOME/.dev-sessions/full" 2>/dev/null; rm "$HOME/fill"; fi
      if [ -e "$HOME/empty" ]; then rm -f "$HOME/.dev-sessions/full" "$HOME/empty"; fi
      if [ -e "$HOME/show" ]; then cp "$HOME/.dev-sessions/gateway-token" "$HOME/token"; rm "$HOME/show"; fi
      sleep 0.05
    done`;
    const running = sandbox.spawn("unshare", ["-rm", "sh", "-c", script, Deno.execPath()]);
    const port = await sandbox.eventually(
      () => Number(/listening on port (\d+)/.exec(running.stdout)?.[1] ?? 0),
      {
        what: `the gateway listens: ${running.stderr}`,
      },
    );
    const done = async (name: string) => {
      await Deno.writeTextFile(join(sandbox.home, name), "");
      const isGone = () => Deno.stat(join(sandbox.home, name)).then(() => false, () => true);
      await sandbox.eventually(isGone, { what: name });
    };
    await done("show");
    const token = (await Deno.readTextFile(join(sandbox.home, "token"))).trim();
    const create = async () =>
      await answerOf(
        await fetch(`http://127.0.0.1:${port}/v1/create`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}` },
          body: JSON.stringify({ path: sandbox.workspace }),
        }),
      );
    await done("fill");
    const full = await create();
    strictEqual(full.status, 422, full.text);
    strictEqual(full.json.error.code, "failure");
    match(full.json.error.message, /^Cannot .*(full|No space|I\/O)/i);
    strictEqual((await fetch(`http://127.0.0.1:${port}/health`).then(answerOf)).status, 200);
    await done("empty");
    strictEqual((await create()).status, 200);
    running.kill("SIGTERM");
  },
);

Deno.test("SIGTERM: streams are closed without an end, what is under way comes to its end", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, [], { env: { STUB_AGENT: "slow-start=1200" } });
  const id = await created(sandbox);
  await gateway.result("send", { id, text: "SCRIPT:slow 600" });
  const waiting = await gateway.stream("wait", { ids: [id], timeoutMs: 600_000 });
  const logs = await gateway.stream("logs", { id, follow: true });
  const events = await gateway.fetch("/v1/events");
  const creating = gateway.ask("create", { path: sandbox.workspace });
  await sandbox.eventually(() => rows(sandbox).some((row) => row.endsWith("creating")), {
    what: "create is under way",
  });
  const stopping = gateway.stop();
  for (const [name, stream] of [["wait", waiting], ["logs", logs]] as const) {
    await t.step(`${name} is taken up again elsewhere`, async () => {
      strictEqual((await stream.rest()).some((line) => "end" in line || "error" in line), false);
    });
  }
  await t.step("events", async () => {
    const text = await events.text();
    match(text, /^retry: 1000\n\nid: e1-/);
    ok(!text.includes("event: end"));
  });
  await t.step("create", async () => strictEqual((await creating).status, 200));
  const { code, stderr } = await stopping;
  strictEqual(code, 0, stderr);
  match(stderr, /"operation":"wait".*"end":"stopped"/);
  deepStrictEqual(rows(sandbox).map((row) => row.split(" ")[1]), ["active", "active"]);
  await rejects(fetch(`${gateway.url}/health`));
});

Deno.test("SIGTERM: what takes too long is undone, and its caller hears who has stopped it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await holdAgent(sandbox);
  await using gateway = await startGateway(sandbox);
  const creating = gateway.ask("create", { path: sandbox.workspace });
  await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 1, {
    what: "its terminal is there",
  });
  const stopping = gateway.stop();
  const { status, json } = await creating;
  deepStrictEqual([status, json.error.code], [503, "transport"]);
  match(json.error.message, /^Cannot create "[a-z0-9-]+": interrupted: the gateway was stopped\. Try again$/);
  strictEqual((await stopping).code, 0);
  deepStrictEqual(rows(sandbox), []);
});

Deno.test("a caller who hangs up ends what was done for him alone", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, [], { env: { STUB_AGENT: "slow-start=60000" } });
  const ended = async (operation: string) => {
    await sandbox.eventually(
      () => gateway.log.some((line) => line.operation === operation && line.end === "hung_up"),
      { what: `${operation} ends` },
    );
  };
  const id = await created(sandbox);
  await t.step("wait", async () => {
    await gateway.result("send", { id, text: "SCRIPT:slow 600" });
    const stop = new AbortController();
    const waiting = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 }, { signal: stop.signal });
    const stream = await waiting;
    await stream.hangUp();
    stop.abort();
    await ended("wait");
  });
  await t.step("events", async () => {
    const stream = await gateway.stream("events", { ids: null, follow: true });
    await stream.next();
    await stream.hangUp();
    await ended("events");
  });
  await t.step(
    "create is rolled back, and the gateway does not take itself for still being at it",
    async () => {
      const stop = new AbortController();
      const creating = gateway.ask("create", { path: sandbox.workspace }, { signal: stop.signal });
      await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 2, {
        what: "its terminal is there",
      });
      stop.abort();
      await rejects(creating);
      await ended("create");
      await sandbox.eventually(() => rows(sandbox).length === 1, { what: "its row is gone" });
      deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`]);
    },
  );
  await t.step("what could not be rolled back then is, later", async () => {
    const stop = new AbortController();
    const creating = gateway.ask("create", { path: sandbox.workspace }, { signal: stop.signal });
    await sandbox.eventually(() => rows(sandbox).length === 2, { what: "its row is there" });
    // A row as it would be when its request could not tell what is left.
    const [row] = sql(sandbox, "SELECT creator, id FROM sessions WHERE lifecycle = 'creating'");
    stop.abort();
    await rejects(creating);
    await sandbox.eventually(() => rows(sandbox).length === 1, { what: "its row is gone" });
    sql(
      sandbox,
      `INSERT INTO sessions (id, token, agent, mode, path, lifecycle, created_at, last_used_at, creator)
        VALUES ('orphan-top', ?, 'claude', 'yolo', '/', 'creating', ?, ?, ?)`,
      crypto.randomUUID(),
      new Date().toISOString(),
      new Date().toISOString(),
      row!["creator"]!,
    );
    await sandbox.eventually(() => rows(sandbox).length === 1, { what: "it is removed", timeoutMs: 30_000 });
  });
});

Deno.test("a gateway that lives long sees what other processes do, and the end of agents", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const states = async () =>
    (await gateway.result("list", { all: true })).map((one: { session: { id: string }; state: string }) =>
      `${one.session.id} ${one.state}`
    );
  const events = await gateway.stream("events", { ids: null, follow: true, since: "now" });
  const next = async (id: string, type: string) => {
    for (let line = await events.next();; line = await events.next()) {
      ok(line !== null && "item" in line, JSON.stringify(line));
      if (line.item.id === id && line.item.body.type === type) return;
    }
  };
  let id = "";
  await t.step("a session that a command creates", async () => {
    id = await created(sandbox);
    deepStrictEqual(await states(), [`${id} idle`]);
    await next(id, "session_created");
  });
  await t.step("a turn that a command begins, and its end", async () => {
    const waiting = gateway.stream("wait", { ids: [id], timeoutMs: 600_000 });
    strictEqual((await (await waiting).rest())[0].item.outcome.outcome, "idle");
    strictEqual((await sandbox.run(["send", id, "hello"])).code, 0);
    const [result] = await (await gateway.stream("wait", { ids: [id], timeoutMs: 60_000 })).rest();
    strictEqual(result.item.outcome.outcome, "completed");
    await next(id, "turn_completed");
  });
  await t.step("an agent that dies, and is resumed by a command with another process", async () => {
    signal(agentPid(sandbox, id), "SIGKILL");
    await sandbox.eventually(async () => (await gateway.result("status", { id })).state === "gone", {
      what: "gone",
    });
    await next(id, "session_ended");
    strictEqual((await sandbox.run(["resume", id])).code, 0);
    await sandbox.eventually(async () => (await gateway.result("status", { id })).state === "idle", {
      what: "idle",
    });
    const sent = await gateway.result("send", { id, text: "again", key: "k" });
    deepStrictEqual([sent.receipt.result, sent.repeated], ["submitted", false]);
    const repeated = await gateway.result("send", { id, text: "again", key: "k" });
    deepStrictEqual([repeated.receipt.receipt, repeated.repeated], [sent.receipt.receipt, true]);
  });
  await t.step("a session that the gateway itself creates is told to its own followers", async () => {
    const { session } = await gateway.result("create", { path: sandbox.workspace });
    await next(session.id, "session_created");
    strictEqual((await sandbox.run(["kill", session.id])).code, 0);
    await next(session.id, "session_ended");
  });
  await t.step("a configuration that is changed meanwhile", async () => {
    const config = join(sandbox.home, ".dev-sessions", "config.json");
    await Deno.writeTextFile(config, '{"maxSessions": 1}');
    strictEqual((await gateway.ask("create", { path: sandbox.workspace })).status, 403);
    await Deno.writeTextFile(config, '{"maxSessions": "many"}');
    const { status, json } = await gateway.ask("create", { path: sandbox.workspace });
    strictEqual(status, 422);
    match(json.error.message, /Cannot use the configuration .*"maxSessions"/);
    await Deno.remove(config);
  });
  await t.step("many at the same session at once", async () => {
    const answers = await Promise.all(
      Array.from(
        { length: 40 },
        (_, index) =>
          index % 4 === 0
            ? gateway.stream("wait", { ids: [id], timeoutMs: 60_000 }).then((stream) => stream.rest())
            : gateway.ask(index % 2 === 0 ? "status" : "lastMessages", { id }).then(({ json }) => [json]),
      ),
    );
    ok(answers.every(([first]) => first.item?.outcome.outcome === "completed" || "result" in first));
  });
  await events.hangUp();
  await gateway.result("kill", { ids: [id], ...KILL });
  await gateway.result("prune", { olderThanMs: 0 });
  await assertNothingLeft(sandbox);
  await t.step("a registry that is taken away ends it with a reason", async () => {
    await Deno.rename(join(sandbox.home, ".dev-sessions"), join(sandbox.home, "moved"));
    const { code, stderr } = await gateway.process.doneWithin(30_000, "the end");
    strictEqual(code, 1);
    match(stderr, /Cannot go on: the registry ".*" was moved or replaced/);
  });
});

function canMount(): boolean {
  if (Deno.build.os !== "linux") return false;
  const args = ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
  try {
    return new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
