/** Commands in a container: every verb goes to the gateway; what breaks is taken up, repeated once, or told as it is. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { US } from "../../lib/wire/handshake.ts";
import { openService } from "../../lib/manager.ts";
import { realClock, realDeps } from "../../lib/real_deps.ts";
import { Calls } from "../../gateway/calls.ts";
import { openClient } from "../../gateway/client.ts";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import { withSession } from "../support/stub_session.ts";
import { startWireServer, type WireServer, type WireServerOptions } from "../support/wire_server.ts";

const SOON_MS = 20_000;

/** The sessions of the sandbox behind a gateway, and commands that run in a container of it. */
class World implements AsyncDisposable {
  private constructor(
    readonly sandbox: Sandbox,
    readonly service: Awaited<ReturnType<typeof openService>>,
    public server: WireServer,
  ) {}

  static async open(
    sandbox: Sandbox,
    options: Omit<WireServerOptions, "service"> = {},
  ): Promise<World> {
    const deps = { ...realDeps(), env: sandbox.env, cwd: () => sandbox.workspace };
    const service = await openService(deps);
    return new World(sandbox, service, startWireServer({ service, ...options }));
  }

  /** The same port, another life. */
  async restart(options: Omit<WireServerOptions, "service" | "port"> = {}): Promise<void> {
    const { port } = this.server;
    await this.server.cut();
    this.server = startWireServer({ service: this.service, ...options, port });
  }

  settings(given: RunSettings = {}): RunSettings {
    return {
      ...given,
      env: {
        // Neither sessions nor a registry of its own.
        HOME: join(this.sandbox.root, "container"),
        TMUX_TMPDIR: "/nonexistent",
        DEV_SESSIONS_SANDBOX: "1",
        DEV_SESSIONS_GATEWAY_URL: this.server.url,
        HOST_PATH: this.sandbox.workspace,
        CONTAINER_WORKSPACE: "/workspace",
        ...given.env,
      },
    };
  }

  run(args: readonly string[], given: RunSettings = {}) {
    return this.sandbox.run(args, this.settings(given));
  }
  start(args: readonly string[], given: RunSettings = {}) {
    return this.sandbox.start(args, this.settings(given));
  }
  async asked(operation: string): Promise<void> {
    await this.sandbox.eventually(
      () => this.server.asked.some((one) => one.operation === operation),
      { what: `${operation} was asked` },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.cut();
    await this.service.close();
  }
}

Deno.test("every verb works in a container, with its paths and with files that are there", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const socket = join(sandbox.root, "gw.sock");
  for (const options of [{ token: "t0k3n" }, { path: socket, token: "t0k3n" }]) {
    await using world = await World.open(sandbox, options);
    const env = { DEV_SESSIONS_GATEWAY_TOKEN_FILE: join(sandbox.root, "token") };
    await Deno.writeTextFile(env.DEV_SESSIONS_GATEWAY_TOKEN_FILE, "t0k3n\n");
    const brief = await sandbox.folder("only-in-container");
    await Deno.writeTextFile(join(brief, "brief.md"), "from the container");
    await Deno.mkdir(join(sandbox.workspace, "sub"), { recursive: true });

    await t.step(world.server.url.split(":")[0]!, async () => {
      const said = async (args: readonly string[], code = 0, given: RunSettings = {}) => {
        const output = await world.run(args, { ...given, env: { ...env, ...given.env } });
        strictEqual(output.code, code, `${args.join(" ")}: ${output.stderr}`);
        return output.stdout;
      };
      const created = JSON.parse(await said(["create", "--json", "--group", "g"]));
      strictEqual(created.path, "/workspace");
      const { id } = created;
      strictEqual((await world.service.inspect(id)).path, sandbox.workspace);
      strictEqual(JSON.parse(await said(["inspect", id])).path, "/workspace");
      match(await said(["list"]), / \/workspace /);

      const other = (await said(["create", "-q", "-p", "/workspace/sub"])).trim();
      strictEqual((await world.service.inspect(other)).path, join(sandbox.workspace, "sub"));
      strictEqual(await said(["kill", other]), `Killed session ${other}\n`);

      strictEqual(await said(["send", id, "-f", "brief.md"], 0, { cwd: brief }), `Sent message to ${id}\n`);
      strictEqual(await said(["wait", id]), "completed\n");
      strictEqual(await said(["last-message", id]), "REPLY: from the container [length 18]\n");
      strictEqual(await said(["ask", id, "again"]), "REPLY: again [length 5]\n");
      strictEqual(await said(["status", id]), "idle\n");
      match(await said(["logs", id]), /\[HUMAN\]\nfrom the container/);
      match(await said(["events", id]), /"type":"turn_completed"/);
      match(await said(["usage", id]), new RegExp(id));
      match(await said(["interrupt", id]), /./);
      strictEqual(await said(["wait", "@g"]), `${id}\tcompleted\n`);

      await said(["send", id, "SCRIPT:ask"]);
      strictEqual(await said(["wait", id], 5), "waiting_for_input\n");
      await said(["respond", id, "--option", "1"]);
      strictEqual(await said(["wait", id]), "completed\n");

      strictEqual(await said(["kill", id]), `Killed session ${id}\n`);
      strictEqual(await said(["resume", id]), `Resumed session ${id}\n`);
      strictEqual(await said(["kill", "--all"]), `Killed session ${id}\nKilled 1 session(s)\n`);
      await said(["prune", id, other]);
      strictEqual(await said(["list", "--all"]), "No sessions\n");
      strictEqual(await Deno.stat(join(sandbox.root, "container")).then(() => true, () => false), false);
    });
  }
});

Deno.test("a send whose answer is lost is delivered once, and says so as if nothing had happened", () =>
  withSession({}, async (session, sandbox) => {
    await using world = await World.open(sandbox, { loses: (name, count) => name === "send" && count < 3 });
    const { code, stdout, stderr } = await world.run(["send", session.id, "once", "--json"]);
    deepStrictEqual([code, stderr], [0, ""]);
    deepStrictEqual([JSON.parse(stdout).result, JSON.parse(stdout).repeated], ["submitted", false]);
    strictEqual(world.server.asked.filter(({ operation }) => operation === "send").length, 3);
    strictEqual((await session.run("wait")).stdout, "completed\n");
    deepStrictEqual(await session.prompts(), ["once"]);
  }));

Deno.test("a create whose answer is lost makes one session, a kill whose answer is lost ends it once", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await World.open(sandbox, {
    loses: (name, count) => (name === "create" || name === "kill") && count === 1,
  });
  const created = await world.run(["create", "--json"]);
  strictEqual(created.code, 0, created.stderr);
  strictEqual(JSON.parse(created.stdout).repeated, false);
  strictEqual((await world.service.list({ all: true, group: null })).length, 1);
  const { id } = JSON.parse(created.stdout);
  const killed = await world.run(["kill", id]);
  deepStrictEqual([killed.code, killed.stdout], [0, `Killed session ${id}\n`]);
  deepStrictEqual(
    world.server.asked.filter(({ operation }) => operation === "kill").map(({ again }) => again),
    [false, true],
  );
});

Deno.test("what a gateway that was started again does not know any more is unproven, not done again", () =>
  withSession({}, async (session, sandbox) => {
    let restarted = false;
    const world = await World.open(sandbox, {
      loses: (name) => {
        if (name !== "kill" || restarted) return false;
        restarted = true;
        return true;
      },
      calls: new class extends Calls {
        override serve(...[service, checked, attempt]: Parameters<Calls["serve"]>) {
          // After the loss: a memory without anything in it.
          return restarted
            ? new Calls(realClock).serve(service, checked, attempt)
            : super.serve(service, checked, attempt);
        }
      }(realClock),
    });
    await using _ = world;
    const { code, stdout, stderr } = await world.run(["kill", session.id]);
    deepStrictEqual([code, stdout], [9, ""]);
    match(stderr, /^Cannot tell what became of kill: its answer was lost/);
    strictEqual(world.server.asked.filter(({ operation }) => operation === "kill").length, 2);
  }));

Deno.test("wait, logs --follow and events --follow go on when the gateway is started again", () =>
  withSession({}, async (session, sandbox) => {
    await using world = await World.open(sandbox);
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    const waiting = world.start(["wait", session.id, "--timeout", "60"]);
    const events = world.start(["events", session.id, "--follow"]);
    const logs = world.start(["logs", session.id, "--follow"]);
    for (const name of ["wait", "events", "logs"]) await world.asked(name);
    await sandbox.eventually(
      () => events.stdout.includes("turn_started") && logs.stdout.includes("[HUMAN]"),
      {
        what: "both print what there is",
      },
    );
    await world.server.cut();
    await gate.open();
    strictEqual((await session.run("wait")).stdout, "completed\n");
    await world.restart();

    const waited = await waiting.doneWithin(SOON_MS, "wait");
    deepStrictEqual([waited.code, waited.stdout, waited.stderr], [0, "completed\n", ""]);
    await sandbox.eventually(
      () => events.stdout.includes("turn_completed") && logs.stdout.includes("[ASSISTANT]"),
      { what: "both have gone on" },
    );
    strictEqual((await session.run("kill")).code, 0);
    const followed = await events.doneWithin(SOON_MS, "events");
    strictEqual(followed.code, 0, followed.stderr);
    const types = followed.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
    deepStrictEqual(types, ["session_created", "turn_started", "message", "turn_completed", "session_ended"]);
    const log = await logs.doneWithin(SOON_MS, "logs");
    deepStrictEqual(log.stdout.match(/^\[\w+\]$/gm), ["[HUMAN]", "[ASSISTANT]"]);
  }));

Deno.test("Ctrl-C ends a wait, and rolls a create back", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
  await using world = await World.open(sandbox);
  const creating = world.start(["create"]);
  await sandbox.eventually(
    async () => (await world.service.list({ all: true, group: null })).length === 1,
    { what: "the session is being created" },
  );
  creating.kill("SIGINT");
  const { code, stdout } = await creating.doneWithin(SOON_MS, "create");
  deepStrictEqual([code, stdout], [130, ""]);
  deepStrictEqual(await world.service.list({ all: true, group: null }), []);
});

Deno.test("a gateway that takes the connection and says nothing holds up nobody who has stopped waiting", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await World.open(sandbox);
  using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const env = { DEV_SESSIONS_GATEWAY_URL: `http://127.0.0.1:${silent.addr.port}` };
  for (const args of [["wait", "fizz-top"], ["send", "fizz-top", "hello"], ["events", "--follow"]]) {
    const running = world.start(args, { env });
    using _ = await silent.accept();
    running.kill("SIGINT");
    const { code, stderr } = await running.doneWithin(SOON_MS, args.join(" "));
    strictEqual(code, 130, stderr);
  }
});

Deno.test("what only looks waits for a minute, what may have been done for longer, and neither is asked again", async () => {
  const asked: string[] = [];
  const limits: number[] = [];
  let arrived = Promise.withResolvers<void>();
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url, signal }) => {
    const { pathname } = new URL(url);
    if (pathname === "/health") return Response.json({ status: "healthy", ...US });
    asked.push(pathname);
    arrived.resolve();
    return new Promise<Response>((resolve) => {
      signal.addEventListener("abort", () => resolve(new Response(null)), { once: true });
    });
  });
  const clock = {
    ...realClock,
    sleep: (ms: number, signal?: AbortSignal) => {
      if (ms < 30_000) return realClock.sleep(ms, signal);
      limits.push(ms);
      arrived = Promise.withResolvers<void>();
      return arrived.promise;
    },
  };
  const client = await openClient({
    ...realDeps(),
    clock,
    env: { DEV_SESSIONS_GATEWAY_URL: `http://127.0.0.1:${server.addr.port}` },
  });
  const fails = (work: Promise<unknown>, code: string, said: RegExp) =>
    rejects(work, (error) => {
      ok(error instanceof AppError);
      strictEqual(error.code, code);
      match(`${error.message}\n${error.detail}`, said);
      return true;
    });
  await fails(client.list({ all: false, group: null }), "transport", /\(no answer within 60 s\)/);
  const kill = client.kill({ ids: ["fizz-top"], tree: false, everyone: true, caller: null });
  await fails(kill, "unproven", /^Cannot tell what became of kill: [^]*no answer within 1200 s/);
  deepStrictEqual([asked, limits], [["/v1/list", "/v1/kill"], [60_000, 1_200_000]]);
  await client.close();
});

interface Trouble {
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly code: number;
  readonly said: RegExp;
}

Deno.test("what keeps the gateway from being reached or understood is told with its address and the way out", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await World.open(sandbox, { token: "right" });
  const answering = (body: string, type: string, status = 200) =>
    Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      () => new Response(body, { status, headers: { "content-type": type } }),
    );
  const servers = [
    answering('{"status":"healthy"}', "application/json"),
    answering("<html>hello</html>", "text/html", 404),
    answering('{"status":"healthy","protocol":2,"version":"9.0.0"}', "application/json"),
    answering('{"name":"something else"}', "application/json"),
  ];
  const [legacy, html, newer, other] = servers.map(({ addr }) =>
    `http://127.0.0.1:${(addr as Deno.NetAddr).port}`
  );
  const free = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const nobody = `http://127.0.0.1:${free.addr.port}`;
  free.close();
  const at = (url: string | undefined) => ({ DEV_SESSIONS_GATEWAY_URL: url });
  const rows: readonly Trouble[] = [
    {
      name: "nobody listens",
      env: at(nobody),
      code: 255,
      said: new RegExp(
        `^Gateway request failed for ${nobody} \\(connection refused\\)\\. Is the gateway running\\? Start it with: ` +
          `dev-sessions gateway --port \\d+\n`,
      ),
    },
    {
      name: "no such name",
      env: at("http://no-such-host.invalid:6767"),
      code: 255,
      said: /--add-host=no-such-host\.invalid:host-gateway/,
    },
    {
      name: "no such socket",
      env: at("unix:///dev/null/gw.sock"),
      code: 255,
      said: /there is no such socket/,
    },
    { name: "no token", env: {}, code: 8, said: /: no token was given\. Set DEV_SESSIONS_GATEWAY_TOKEN,/ },
    {
      name: "a wrong token",
      env: { DEV_SESSIONS_GATEWAY_TOKEN: "wrong" },
      code: 8,
      said: /: the token is not accepted\./,
    },
    {
      name: "a token file that is not there",
      env: { DEV_SESSIONS_GATEWAY_TOKEN_FILE: "/dev/null/token" },
      code: 8,
      said: /"\/dev\/null\/token" of DEV_SESSIONS_GATEWAY_TOKEN_FILE: there is no such file/,
    },
    {
      name: "0.4.4",
      env: at(legacy),
      code: 1,
      said: /it is dev-sessions 0\.4\.4 or older\. On the host, upgrade/,
    },
    {
      name: "another server",
      env: at(html),
      code: 255,
      said: /^Gateway returned non-JSON response \(status=404, url=http.*\): <html>/,
    },
    { name: "another JSON", env: at(other), code: 255, said: /what answers there is no dev-sessions/ },
    {
      name: "a newer protocol",
      env: at(newer),
      code: 1,
      said: /it is dev-sessions 9\.0\.0 \(protocol 2\).* Upgrade this one with/,
    },
    {
      name: "no address",
      env: at("host:6767"),
      code: 2,
      said: /^Cannot use DEV_SESSIONS_GATEWAY_URL="host:6767"/,
    },
  ];
  try {
    for (const { name, env, code, said } of rows) {
      await t.step(name, async () => {
        const output = await world.run(["list"], { env });
        match(output.stderr, said);
        deepStrictEqual([output.code, output.stdout], [code, ""]);
      });
    }
    await t.step("a path without HOST_PATH", async () => {
      const env = { DEV_SESSIONS_GATEWAY_TOKEN: "right", HOST_PATH: undefined };
      const output = await world.run(["create", "-p", "/workspace/x"], { env });
      strictEqual(output.code, 2);
      match(
        output.stderr,
        /^HOST_PATH is required when running in sandbox mode with \/workspace paths \(received \/workspace\/x\)\n/,
      );
    });
    await t.step("a proxy of the environment gets nothing", async () => {
      const env = {
        DEV_SESSIONS_GATEWAY_TOKEN: "right",
        HTTP_PROXY: nobody,
        http_proxy: nobody,
        ALL_PROXY: nobody,
        NO_PROXY: undefined,
        no_proxy: undefined,
      };
      const output = await world.run(["list"], { env });
      deepStrictEqual([output.code, output.stdout, output.stderr], [0, "No active sessions\n", ""]);
    });
    await t.step(
      "IS_SANDBOX with an address is enough, and DEV_SESSIONS_SANDBOX=0 switches it off",
      async () => {
        const token = { DEV_SESSIONS_GATEWAY_TOKEN: "right" };
        const before = world.server.asked.length;
        const on = await world.run(["list"], {
          env: { ...token, DEV_SESSIONS_SANDBOX: undefined, IS_SANDBOX: "1" },
        });
        deepStrictEqual([on.code, world.server.asked.length - before], [0, 1]);
        const off = await world.run(["list"], {
          env: { ...token, HOME: sandbox.home, DEV_SESSIONS_SANDBOX: "0", IS_SANDBOX: "1" },
        });
        deepStrictEqual([off.code, off.stderr, world.server.asked.length - before], [0, "", 1]);
      },
    );
  } finally {
    for (const server of servers) await server.shutdown();
  }
});

Deno.test("attach in a container says where to do it", async () => {
  const client = await openClient({
    ...realDeps(),
    env: { DEV_SESSIONS_GATEWAY_URL: "http://127.0.0.1:1" },
  });
  await rejects(client.attachCommand("fizz-top"), (error) => {
    ok(error instanceof Error);
    match(error.message, /its terminal is on the host, .* run: dev-sessions attach fizz-top$/);
    return true;
  });
  await client.close();
});
