import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { gatewayArguments, type ServiceSpec } from "../../gateway/service/definition.ts";
import { Launchd } from "../../gateway/service/launchd.ts";
import { plist } from "../../gateway/service/plist.ts";
import {
  installService,
  serviceStatus,
  type ServiceWorld,
  uninstallService,
} from "../../gateway/service/service.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";

const ODD = `/home/a b/50%/$HOME/&<é>;=#/"q"/it's/back\\slash`;
const PARSE = "import json,plistlib,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";

/** A program that answers as a gateway of that version, or ends as soon as it has said why. */
function standIn(version: string | null): string {
  return version === null
    ? 'console.error("cannot listen"); Deno.exit(3);'
    : `const port = Number(Deno.args[Deno.args.indexOf("--port") + 1]);
       Deno.serve({ port, hostname: "127.0.0.1" }, () => Response.json({ status: "healthy", version: "${version}" }));`;
}

async function worldOf(sandbox: Sandbox, version: string | null): Promise<ServiceWorld> {
  const folder = await sandbox.folder("launchd");
  const stub = new URL("../support/stub_launchctl.py", import.meta.url).pathname;
  await Deno.symlink(stub, join(sandbox.root, "bin", "launchctl")).catch(() => {});
  const env = { ...sandbox.env, STUB_LAUNCHD: folder };
  const deps = { ...realDeps(), env };
  const paths = pathsFrom(env);
  const main = join(sandbox.root, "it's a gateway & more.js");
  await Deno.writeTextFile(main, standIn(version));
  return {
    deps,
    paths,
    manager: new Launchd(deps, sandbox.home, Deno.uid() ?? 0),
    self: { command: Deno.execPath(), args: ["run", "-A", "--quiet", main] },
    version: "1.2.3",
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("plist() gives back every value to a parser of property lists", async () => {
  const spec: ServiceSpec = {
    command: ODD,
    args: ["run", "a\u00a0&lt;"],
    port: 6767,
    options: ["--bind", "docker"],
    env: { PATH: ODD, X: "" },
    log: "/home/me/.dev-sessions/gateway.log",
  };
  const python = new Deno.Command("python3", { args: ["-c", PARSE], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = python.stdin.getWriter();
  await writer.write(new TextEncoder().encode(plist(spec)));
  await writer.close();
  const { code, stdout } = await python.output();
  strictEqual(code, 0);
  deepStrictEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    Label: "com.dev-sessions.gateway",
    ProgramArguments: [ODD, ...gatewayArguments(spec)],
    EnvironmentVariables: { PATH: ODD, X: "" },
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    AbandonProcessGroup: true,
    ThrottleInterval: 1,
    ExitTimeOut: 30,
    ProcessType: "Interactive",
    StandardOutPath: spec.log,
    StandardErrorPath: spec.log,
  });
});

Deno.test("a launchd agent is installed once its gateway answers, replaced, described and removed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const world = await worldOf(sandbox, "1.2.3");
  const began = Date.now();
  const installed = await installService({ port, options: [], env: [] }, world);
  strictEqual(installed.replaced, false);
  strictEqual((await Deno.stat(installed.file)).mode! & 0o777, 0o600);
  strictEqual((await Deno.stat(world.paths.gatewayLog)).mode! & 0o777, 0o600);
  const status = await serviceStatus(world, 1);
  deepStrictEqual([status.state, status.port, status.health], ["running", port, { version: "1.2.3" }]);
  // As ps tells it, in whole seconds.
  const since = Date.parse(status.since ?? "");
  ok(since >= began - 2_000 && since <= Date.now() + 1_000, `${status.since}`);

  strictEqual((await installService({ port, options: [], env: [] }, world)).replaced, true);
  const after = await serviceStatus(world, 1);
  strictEqual(after.state, "running");
  strictEqual(after.pid === status.pid, false);

  strictEqual(await uninstallService(world), installed.file);
  deepStrictEqual([(await serviceStatus(world, 1)).state, (await serviceStatus(world, 1)).file], [
    "stopped",
    null,
  ]);
  strictEqual(await uninstallService(world), null);
});

Deno.test("an installation that does not come to life shows the log, and the earlier one runs again", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const good = await worldOf(sandbox, "1.2.3");
  await installService({ port, options: [], env: [] }, good);
  const definition = await Deno.readTextFile(good.manager.file);
  const broken = {
    ...good,
    self: { command: "/bin/sh", args: ["-c", "echo cannot listen >&2; exit 3", "sh"] },
  };
  await rejects(
    installService({ port, options: [], env: [] }, broken),
    (error: Error & { detail?: string }) => {
      match(error.message, /ended at once \(exit 3\)\. The earlier service runs again$/);
      match(error.detail ?? "", /cannot listen/);
      return true;
    },
  );
  strictEqual(await Deno.readTextFile(good.manager.file), definition);
  strictEqual((await serviceStatus(good, 1)).state, "running");
  await uninstallService(good);
});

Deno.test("a first installation that fails leaves nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const world = await worldOf(sandbox, null);
  await rejects(installService({ port: freePort(), options: [], env: [] }, world), /Nothing of it was left$/);
  await rejects(Deno.stat(world.manager.file), Deno.errors.NotFound);
});

Deno.test("a port that someone has, a variable that is not set and a line break are refused before anything is changed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const world = await worldOf(sandbox, "1.2.3");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await rejects(
    installService({ port, options: [], env: [] }, world),
    new RegExp(`port ${port} is taken by another program`),
  );
  await rejects(
    installService({ port: freePort(), options: [], env: ["NOT_SET"] }, world),
    /NOT_SET is not set here/,
  );
  const odd = { ...world, self: { command: "/a\nb", args: [] } };
  await rejects(installService({ port: freePort(), options: [], env: [] }, odd), /line break/);
  await rejects(Deno.stat(world.manager.file), Deno.errors.NotFound);
});
