/** The gateway as a process: how it starts, what is in its way, and what is there of it while it runs. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { answerOf, exchange, startGateway } from "../support/gateway.ts";
import { LOG_LIMIT_BYTES } from "../../gateway/log_file.ts";
import { askHealth } from "../../gateway/service/health.ts";
import { VERSION } from "../../lib/version.ts";
import { cliCommand, createSandbox, eventually, type Sandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { SilentProxy } from "../support/silent_proxy.ts";

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
  await t.step("a gateway is asked directly, whatever proxy the environment names", async () => {
    await using gateway = await startGateway(sandbox);
    await using proxy = new SilentProxy();
    const env = {
      HTTP_PROXY: proxy.url,
      http_proxy: proxy.url,
      ALL_PROXY: proxy.url,
      NO_PROXY: undefined,
      no_proxy: undefined,
      DEV_SESSIONS_GATEWAY_PORT: String(gateway.port),
    };
    const other = ["gateway", "--port", String(gateway.port), "--socket-dir", join(sandbox.root, "s")];
    match(
      (await sandbox.run(other, { env })).stderr,
      /has the port; a dev-sessions gateway \(\d+\.\d+\.\d+\) runs/,
    );
    const status = await sandbox.run(["gateway", "status", "--json"], { env });
    match(JSON.parse(status.stdout).version ?? "none", /^\d+\.\d+\.\d+/, status.stderr);
    strictEqual(proxy.held, 0);
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

Deno.test("askHealth() asks at addresses of both kinds, and hears nothing where nobody is", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  let port = 0;
  {
    await using gateway = await startGateway(sandbox, ["--bind", "::1"]);
    port = gateway.port;
    for (const address of ["127.0.0.1", "::1"]) {
      deepStrictEqual(await askHealth(address, port), { version: VERSION }, address);
    }
  }
  strictEqual(await askHealth("127.0.0.1", port), null);
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

Deno.test("DEV_SESSIONS_GATEWAY_PORT=0 takes any free port, what is no port is refused, and --port outweighs both", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  for (const args of [["gateway"], ["gateway", "--port", "0"]]) {
    const port = args.length === 1 ? "0" : "abc";
    await using running = sandbox.start(args, { env: { DEV_SESSIONS_GATEWAY_PORT: port } });
    await sandbox.eventually(() => /^Gateway listening on port [1-9]\d*$/m.test(running.stdout), {
      what: `the gateway listens: ${running.stderr}`,
    });
    strictEqual(running.stdout.includes("6767"), false, running.stdout);
  }
  const { code, stdout, stderr } = await sandbox.run(["gateway"], {
    env: { DEV_SESSIONS_GATEWAY_PORT: "abc" },
  });
  deepStrictEqual([code, stdout], [2, ""]);
  match(stderr, /^Cannot use DEV_SESSIONS_GATEWAY_PORT="abc": it must be a port\n/);
});
