import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { basename, join } from "node:path";
import { gatewayArguments, type ServiceSpec } from "../../gateway/service/definition.ts";
import { Launchd } from "../../gateway/service/launchd.ts";
import { plist } from "../../gateway/service/plist.ts";
import { type InstallRequest, installService } from "../../gateway/service/install.ts";
import { serviceStatus } from "../../gateway/service/status.ts";
import { uninstallService } from "../../gateway/service/uninstall.ts";
import type { ServiceWorld } from "../../gateway/service/world.ts";
import { Systemd } from "../../gateway/service/systemd.ts";
import type { AppError } from "../../lib/errors.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { createSandbox, eventually, type Sandbox } from "../support/harness.ts";

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

const NOTHING_GIVEN: InstallRequest = {
  port: null,
  usualPort: 6767,
  binds: null,
  insecureBind: false,
  allowHosts: null,
  env: [],
  reset: false,
};

function install(
  request: Partial<InstallRequest>,
  world: ServiceWorld,
  signal = new AbortController().signal,
) {
  return installService({ ...NOTHING_GIVEN, ...request }, world, signal);
}

const read = (path: string) => Deno.readTextFile(path).catch(() => "");
const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

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
  const installed = await install({ port }, world);
  strictEqual(installed.replaced, false);
  strictEqual((await Deno.stat(installed.file)).mode! & 0o777, 0o600);
  strictEqual((await Deno.stat(world.paths.gatewayLog)).mode! & 0o777, 0o600);
  const status = await serviceStatus(world, () => 1);
  deepStrictEqual([status.state, status.port, status.health], ["running", port, { version: "1.2.3" }]);
  // As ps tells it, in whole seconds.
  const since = Date.parse(status.since ?? "");
  ok(since >= began - 2_000 && since <= Date.now() + 1_000, `${status.since}`);

  strictEqual((await install({ port }, world)).replaced, true);
  const after = await serviceStatus(world, () => 1);
  strictEqual(after.state, "running");
  strictEqual(after.pid === status.pid, false);

  deepStrictEqual(await uninstallService(world), { kind: "removed", file: installed.file });
  deepStrictEqual([(await serviceStatus(world, () => 1)).state, (await serviceStatus(world, () => 1)).file], [
    "stopped",
    null,
  ]);
  deepStrictEqual(await uninstallService(world), { kind: "not_installed", unasked: null });
});

Deno.test("an installation whose program can't be noted is one all the same, and says so", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const given = await worldOf(sandbox, "1.2.3");
  const command = join(sandbox.root, "dev-sessions");
  const args = given.self.args.map((word) => `"${word}"`).join(" ");
  await Deno.writeTextFile(command, `#!/bin/sh\nexec "${given.self.command}" ${args} "$@"\n`, {
    mode: 0o755,
  });
  const world = { ...given, self: { command, args: [] } };
  const noted = (notes: readonly string[]) => notes.filter((note) => note.includes(world.paths.executable));
  // Nothing can be put in the place of a folder.
  await Deno.mkdir(world.paths.executable, { recursive: true });
  const installed = await install({ port: freePort() }, world);
  strictEqual((await serviceStatus(world, () => 1)).state, "running");
  strictEqual(noted(installed.notes).length, 1);
  match(
    noted(installed.notes)[0]!,
    /after it was replaced: ".*executable" can't be written \(.*\)\. .* install it again$/,
  );

  await Deno.remove(world.paths.executable);
  deepStrictEqual(noted((await install({}, world)).notes), []);
  strictEqual(await read(world.paths.executable), `${command}\n`);
  strictEqual((await uninstallService(world)).kind, "removed");
});

Deno.test("what is installed again keeps what it was installed with, unless it is told not to", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const world = await worldOf(sandbox, "1.2.3");
  const [port, usualPort] = [freePort(), freePort()];
  const withKey = { ...world, deps: { ...world.deps, env: { ...world.deps.env, KEY: "<a> & 'b'" } } };
  await install({ port, usualPort, allowHosts: ["box.example"], env: ["KEY"] }, withKey);
  const again = await install({ usualPort }, world);
  deepStrictEqual(again.kept, ["--port", `${port}`, "--allow-host", "box.example", "--env", "KEY"]);
  match(
    again.notes[0] ?? "",
    /^Kept from the service before: --port \d+ --allow-host box\.example --env KEY\. .* --reset$/,
  );
  const { command, env } = world.manager.read(await read(again.file));
  deepStrictEqual(command.slice(-2), ["--allow-host", "box.example"]);
  strictEqual(env["KEY"], "<a> & 'b'");

  const definition = await read(again.file);
  await Deno.writeTextFile(again.file, definition.replace("--allow-host", "--later-option"));
  await rejects(
    install({ usualPort }, world),
    /has an option that is not known, "--later-option" .* Add --reset/,
  );

  const fresh = await install({ usualPort, reset: true }, world);
  deepStrictEqual([fresh.port, fresh.kept], [usualPort, []]);
  const after = world.manager.read(await read(fresh.file));
  deepStrictEqual([after.command.at(-1), after.env["KEY"]], [`${usualPort}`, undefined]);
  await uninstallService(world);
});

Deno.test("an installation that does not come to life shows the log, and the earlier one runs again", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const good = await worldOf(sandbox, "1.2.3");
  await install({ port }, good);
  const definition = await Deno.readTextFile(await good.manager.place());
  const broken = {
    ...good,
    self: { command: "/bin/sh", args: ["-c", "echo cannot listen >&2; exit 3", "sh"] },
  };
  await rejects(
    install({ port }, broken),
    (error: Error & { detail?: string }) => {
      match(error.message, /ended at once \(exit 3\)\. The earlier service runs again$/);
      match(error.detail ?? "", /cannot listen/);
      return true;
    },
  );
  strictEqual(await Deno.readTextFile(await good.manager.place()), definition);
  strictEqual((await serviceStatus(good, () => 1)).state, "running");
  await uninstallService(good);
});

Deno.test("an agent that is disabled or does not run is so again after an upgrade that fails", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const good = await worldOf(sandbox, "1.2.3");
  await install({ port }, good);
  const broken = { ...good, self: { command: "/bin/sh", args: ["-c", "exit 3", "sh"] } };
  for (const stood of [{ runs: true, startsByItself: false }, { runs: false, startsByItself: true }]) {
    await good.manager.restore(stood);
    deepStrictEqual(await good.manager.standing(), stood);
    await rejects(
      install({ port }, broken),
      stood.runs ? /The earlier service runs again$/ : /The earlier definition is there again$/,
    );
    deepStrictEqual(await good.manager.standing(), stood);
  }
  await uninstallService(good);
});

Deno.test("an interrupted installation is undone, and one that was interrupted before changes nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const good = await worldOf(sandbox, "1.2.3");
  const silent = { ...good, self: { command: "/bin/sh", args: ["-c", "exec sleep 300", "sh"] } };
  const interrupted = async (expected: RegExp) => {
    const stop = new AbortController();
    const installing = install({ port }, silent, stop.signal);
    const ended = rejects(installing, (error: AppError) => {
      strictEqual(error.code, "interrupted");
      match(error.message, expected);
      return true;
    });
    await eventually(async () => (await read(await good.manager.place())).includes("sleep 300"), {
      what: "the definition is written",
    });
    stop.abort();
    await ended;
  };
  await interrupted(/was not installed\. Nothing of it was left$/);
  await rejects(Deno.stat(await good.manager.place()), Deno.errors.NotFound);

  await install({ port }, good);
  const definition = await read(await good.manager.place());
  await interrupted(/was not installed\. The earlier service runs again$/);
  await rejects(
    install({ port }, silent, AbortSignal.abort()),
    /was not installed\. Nothing has changed$/,
  );
  strictEqual(await read(await good.manager.place()), definition);
  await uninstallService(good);
});

Deno.test("an agent whose definition is gone is stopped by its removal", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const port = freePort();
  const world = await worldOf(sandbox, "1.2.3");
  const { file } = await install({ port }, world);
  await Deno.remove(file);
  deepStrictEqual(await uninstallService(world), { kind: "rest_removed", file });
  deepStrictEqual([
    (await serviceStatus(world, () => port)).state,
    (await serviceStatus(world, () => port)).health,
  ], [
    "stopped",
    null,
  ]);
  deepStrictEqual(await uninstallService(world), { kind: "not_installed", unasked: null });
});

Deno.test("where there is no systemd, the unit and its link are removed, and nobody is said to have stopped it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const folder = await sandbox.folder("home/.config/systemd/user");
  const file = join(folder, "dev-sessions-gateway.service");
  const link = join(await sandbox.folder("home/.config/systemd/user/default.target.wants"), basename(file));
  await Deno.writeTextFile(file, "[Service]\n");
  await Deno.symlink(file, link);
  const world = await worldOf(sandbox, "1.2.3");
  const env = { ...world.deps.env, PATH: "/nonexistent" };
  const managed = (bootedMark: string) => ({
    ...world,
    manager: new Systemd({ ...world.deps, env }, sandbox.home, Deno.uid() ?? 0, bootedMark),
  });
  await rejects(uninstallService(managed(sandbox.root)), /Nothing has changed$/);
  ok(await exists(file) && await exists(link));
  const removed = await uninstallService(managed(join(sandbox.root, "no-such-folder")));
  strictEqual(removed.kind, "removed_only");
  deepStrictEqual([await exists(file), await exists(link)], [false, false]);
});

Deno.test("a first installation that fails leaves nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const world = await worldOf(sandbox, null);
  await rejects(install({ port: freePort() }, world), /Nothing of it was left$/);
  await rejects(Deno.stat(await world.manager.place()), Deno.errors.NotFound);
});

Deno.test("a port that someone has, a variable that is not set and a line break are refused before anything is changed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const world = await worldOf(sandbox, "1.2.3");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await rejects(
    install({ port }, world),
    new RegExp(`port ${port} is taken by another program`),
  );
  await rejects(
    install({ port: freePort(), env: ["NOT_SET"] }, world),
    /NOT_SET is not set here/,
  );
  const odd = { ...world, self: { command: "/a\nb", args: [] } };
  await rejects(install({ port: freePort() }, odd), /line break/);
  const withKey = { ...world, deps: { ...world.deps, env: { ...world.deps.env, KEY: "secret\nof mine" } } };
  await rejects(
    install({ port: freePort(), env: ["KEY"] }, withKey),
    /service: the variable KEY has a line break [^"]*$/,
  );
  await rejects(Deno.stat(await world.manager.place()), Deno.errors.NotFound);
});
