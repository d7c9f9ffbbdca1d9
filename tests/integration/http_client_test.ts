/** Commands in a container: every verb goes to the gateway; what keeps it from being reached is told with the way out. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { realDeps } from "../../lib/real_deps.ts";
import { openClient } from "../../gateway/client.ts";
import { ContainerWorld } from "../support/container_world.ts";
import { createSandbox, type RunSettings } from "../support/harness.ts";

Deno.test("every verb works in a container, with its paths and with files that are there", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const socket = join(sandbox.root, "gw.sock");
  for (const options of [{ token: "t0k3n" }, { path: socket, token: "t0k3n" }]) {
    await using world = await ContainerWorld.open(sandbox, options);
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

interface Trouble {
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly code: number;
  readonly said: RegExp;
}

Deno.test("what keeps the gateway from being reached or understood is told with its address and the way out", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await ContainerWorld.open(sandbox, { token: "right" });
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
