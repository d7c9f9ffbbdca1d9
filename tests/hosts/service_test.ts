/** The gateway as a real systemd unit, with live sessions: installed, upgraded, crashed, stopped, rebooted, removed. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { CHECKOUT, consoleSteps, docBlocks, fits, normalised } from "../support/doc_blocks.ts";
import { eventually } from "../support/harness.ts";
import { PROGRAM_FOLDER, SecondHost, secondHostLack, USER_HOME } from "./second_host.ts";

const lack = await secondHostLack();
const UNIT = "dev-sessions-gateway";
const UNIT_FILE = `${USER_HOME}/.config/systemd/user/${UNIT}.service`;
const PORT = 6767;
/** systemd gives up after five starts, each of which waits a second for the next. */
const GIVES_UP_WITHIN_MS = 30_000;

function test(name: string, run: (host: SecondHost) => Promise<void>) {
  Deno.test({
    name: lack === null ? name : `${name} (not run: ${lack})`,
    ignore: lack !== null,
    fn: async () => {
      await using host = await SecondHost.start({ product: true, stub: true });
      await run(host);
    },
  });
}

interface Status {
  readonly state: string;
  readonly installed: boolean;
  readonly answers: boolean;
  readonly pid: number | null;
  readonly port: number;
  readonly version: string | null;
  readonly since: string | null;
}

/** Runs a line in the user's login shell; its stdout. @throws when it fails. */
async function sh(host: SecondHost, line: string): Promise<string> {
  const { code, stdout, stderr } = await host.shell(line);
  strictEqual(code, 0, `${line}: ${stdout}${stderr}`);
  return stdout;
}

async function status(host: SecondHost): Promise<Status> {
  return JSON.parse(await sh(host, "dev-sessions gateway status --json")) as Status;
}

/** A dev-sessions under another name whose gateway does something else. */
async function instead(host: SecondHost, name: string, line: string): Promise<void> {
  await host.write(
    `${USER_HOME}/.local/bin/${name}`,
    `#!/bin/sh\n[ "$1" = gateway ] && [ "$2" = --port ] && { ${line}; }\n` +
      `export DEV_SESSIONS_EXECUTABLE="$HOME/.local/bin/${name}"\n` +
      `exec ${PROGRAM_FOLDER}/deno run -A --quiet --no-config ${PROGRAM_FOLDER}/dist/main.js "$@"\n`,
    "755",
  );
}

/** Whether it starts by itself, and whether it runs. */
async function standing(host: SecondHost): Promise<[string, string]> {
  const { stdout } = await host.shell(
    `systemctl --user is-enabled ${UNIT} 2>/dev/null; systemctl --user is-active ${UNIT}`,
  );
  const lines = stdout.trim().split("\n");
  return [lines.at(-2) ?? "", lines.at(-1) ?? ""];
}

/** Asks the gateway, as a container would. */
function list(host: SecondHost): Promise<string> {
  return sh(
    host,
    "DEV_SESSIONS_SANDBOX=1 DEV_SESSIONS_GATEWAY_URL=http://127.0.0.1:6767 " +
      "DEV_SESSIONS_GATEWAY_TOKEN_FILE=$HOME/.dev-sessions/gateway-token dev-sessions list",
  );
}

test("a session that the service started outlives upgrade, crash, stop and removal of the service", async (host) => {
  const installed = await host.shell("dev-sessions gateway install");
  strictEqual(
    installed.stdout,
    `[gateway] daemon installed at ${UNIT_FILE}\nGateway daemon installed and started on port ${PORT}\n`,
    installed.stderr,
  );
  strictEqual(installed.stderr, "", "lingering is on: there is nothing to be said");
  const first = await status(host);
  deepStrictEqual([first.state, first.installed, first.answers, first.port], ["running", true, true, PORT]);
  match(first.since ?? "", /^\d{4}-\d\d-\d\dT/);

  const id = (await sh(
    host,
    "DEV_SESSIONS_SANDBOX=1 DEV_SESSIONS_GATEWAY_URL=http://127.0.0.1:6767 " +
      "DEV_SESSIONS_GATEWAY_TOKEN_FILE=$HOME/.dev-sessions/gateway-token dev-sessions create -q -p $HOME",
  )).trim();
  const lives = async () => strictEqual(await sh(host, `dev-sessions status ${id}`), "idle\n");
  await lives();

  // Installed again: another process, the same sessions.
  await sh(host, "dev-sessions gateway install");
  const second = await status(host);
  ok(second.pid !== null && second.pid !== first.pid);
  await lives();
  match(await list(host), new RegExp(`^${id} `, "m"));

  // A crash: systemd starts it again.
  await sh(host, `kill -KILL ${second.pid}`);
  await eventually(
    async () => {
      const { state, answers, pid } = await status(host);
      return state === "running" && answers && pid !== second.pid;
    },
    { what: "the gateway runs again after a crash" },
  );
  await lives();

  await sh(host, `systemctl --user stop ${UNIT}`);
  strictEqual((await status(host)).state, "stopped");
  await lives();

  strictEqual(
    await sh(host, "dev-sessions gateway uninstall"),
    `[gateway] daemon uninstalled (${UNIT_FILE})\nGateway daemon uninstalled\n`,
  );
  await lives();
  deepStrictEqual([(await status(host)).installed, (await status(host)).answers], [false, false]);
  strictEqual(await sh(host, "dev-sessions gateway uninstall"), "Gateway daemon is not installed\n");
  const units = await sh(host, "systemctl --user list-unit-files --no-legend");
  doesNotMatch(units, new RegExp(UNIT));
});

test("the commands of docs/service.md print what stands there", async (host) => {
  const page = "docs/service.md";
  const blocks = docBlocks(page, await Deno.readTextFile(`${CHECKOUT}/${page}`));
  const shown = (text: string) =>
    normalised(text.replaceAll(USER_HOME, "/home/ada"), null).replaceAll(/^pid: \d+$/gm, "pid: N");
  for (const { text, line, kind } of blocks) {
    strictEqual(kind, "console", `${page}:${line}`);
    for (const { command, output } of consoleSteps(text)) {
      const actual = shown(await sh(host, command));
      ok(fits(shown(output), actual), `${page}:${line}: ${command}\n${actual}`);
    }
  }
});

test("install.sh installs the service and removes it again", async (host) => {
  // The release: this dev-sessions, started as an executable of one file would be.
  const asset = `dev-sessions-${Deno.build.target}`;
  const executable = `#!/bin/sh\nexport DEV_SESSIONS_EXECUTABLE="$HOME/.local/bin/dev-sessions"\n` +
    `exec ${PROGRAM_FOLDER}/deno run -A --quiet --no-config ${PROGRAM_FOLDER}/dist/main.js "$@"\n`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(executable));
  const files: Record<string, string> = {
    [`/latest/download/${asset}`]: executable,
    "/latest/download/SHA256SUMS": `${new Uint8Array(digest).toHex()}  ${asset}\n`,
  };
  await using server = Deno.serve(
    { hostname: host.address.replace(/\.2$/, ".1"), port: 0, onListen: () => {} },
    (request) => {
      const file = files[new URL(request.url).pathname];
      return file === undefined ? new Response(null, { status: 404 }) : new Response(file);
    },
  );
  await host.write(`${USER_HOME}/install.sh`, await Deno.readTextFile(`${CHECKOUT}/install.sh`));
  await sh(host, "rm .local/bin/dev-sessions");
  const base = `DEV_SESSIONS_BASE_URL=http://${server.addr.hostname}:${server.addr.port}`;
  const installed = await sh(host, `${base} sh install.sh --service --no-skills`);
  match(installed, /^Installed dev-sessions /m);
  match(installed, /Gateway daemon installed and started on port 6767/);
  const before = await status(host);
  ok(before.answers);

  const upgraded = await sh(host, `${base} sh install.sh --service --no-skills`);
  match(upgraded, /Gateway daemon installed and started on port 6767/);
  ok((await status(host)).pid !== before.pid);

  match(await sh(host, "sh install.sh --uninstall --yes"), /Gateway daemon uninstalled[\s\S]*Removed /);
  strictEqual((await host.shell(`test -e ${UNIT_FILE} || test -e .local/bin/dev-sessions`)).code, 1);
});

test("the service comes up with the machine, and says which sessions the reboot has ended", async (host) => {
  await sh(host, "dev-sessions gateway install");
  const id = (await sh(host, "dev-sessions create -q -p $HOME")).trim();
  await host.reboot();
  await eventually(async () => (await status(host)).answers, {
    what: "the gateway answers after the reboot",
  });
  strictEqual(await sh(host, `dev-sessions status ${id}`), "gone\n");
  await sh(host, `dev-sessions resume ${id}`);
  strictEqual(await sh(host, `dev-sessions status ${id}`), "idle\n");
  match(await list(host), new RegExp(`^${id} `, "m"));
});

test("an installation that fails is undone, and shows why", async (host) => {
  // Nobody listens there yet when it looks; the gateway itself finds the folder of its socket in the way.
  await host.write(`${USER_HOME}/.dev-sessions/gateway/not-a-socket`, "x");
  const failed = await host.shell("dev-sessions gateway install");
  strictEqual(failed.code, 1);
  strictEqual(failed.stdout, "");
  match(failed.stderr, /^Cannot install the gateway's service: the gateway was started, but /);
  match(failed.stderr, /Nothing of it was left/);
  match(failed.stderr, /not-a-socket|gateway/);
  strictEqual((await host.shell(`test -e ${UNIT_FILE}`)).code, 1);
  doesNotMatch(await sh(host, "systemctl --user list-units --all --no-legend"), new RegExp(UNIT));

  await sh(host, `rm ${USER_HOME}/.dev-sessions/gateway/not-a-socket`);
  await sh(host, "dev-sessions gateway install");
  const before = await status(host);
  // An upgrade to something that does not run: the earlier service runs again.
  await instead(host, "dev-sessions-broken", 'echo "cannot load" >&2; exit 3');
  const unit = await sh(host, `cat ${UNIT_FILE}`);
  const upgrade = await host.shell("dev-sessions-broken gateway install");
  strictEqual(upgrade.code, 1, upgrade.stdout);
  match(upgrade.stderr, /The earlier service runs again/);
  match(upgrade.stderr, /cannot load/);
  strictEqual(await sh(host, `cat ${UNIT_FILE}`), unit);
  const after = await status(host);
  ok(after.answers && after.pid !== before.pid, "it is said only when it is so");
});

test("an upgrade keeps port, addresses, names and variables, says so, and drops them when it is told to", async (host) => {
  await sh(
    host,
    "FOO='a $b 5% \"c\"' dev-sessions gateway install --port 7100 --bind 127.0.0.2 --allow-host box.example --env FOO",
  );
  const upgrade = await host.shell("dev-sessions gateway install");
  match(upgrade.stdout, /started on port 7100$/m);
  strictEqual(
    upgrade.stderr,
    "[dev-sessions] Kept from the service before: --port 7100 --bind 127.0.0.2 --allow-host box.example --env FOO. " +
      "To install it without them, add --reset\n",
  );
  const { pid, port } = await status(host);
  strictEqual(port, 7100);
  const environment = await sh(host, `tr '\\0' '\\n' </proc/${pid}/environ`);
  match(environment, /^FOO=a \$b 5% "c"$/m);
  strictEqual(await sh(host, "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.2:7100/health"), "200");
  const asked = "curl -s -o /dev/null -w '%{http_code}' -H 'Host: box.example' http://127.0.0.1:7100/health";
  strictEqual(await sh(host, asked), "200");

  const changed = await sh(host, "dev-sessions gateway install --port 7200 --json");
  deepStrictEqual((JSON.parse(changed) as { kept: string[] }).kept, [
    "--bind",
    "127.0.0.2",
    "--allow-host",
    "box.example",
    "--env",
    "FOO",
  ]);
  const fresh = await host.shell("dev-sessions gateway install --reset");
  deepStrictEqual([fresh.code, fresh.stderr], [0, ""]);
  doesNotMatch(await sh(host, `cat ${UNIT_FILE}`), /FOO|box\.example|127\.0\.0\.2|7[12]00/);
});

test("an upgrade that fails leaves the service enabled or not, and running or not, as it was", async (host) => {
  await instead(host, "dev-sessions-broken", "exit 3");
  await sh(host, "dev-sessions gateway install");
  await sh(host, `systemctl --user stop ${UNIT}`);
  const stopped = await host.shell("dev-sessions-broken gateway install");
  match(stopped.stderr, /ended at once \(exit 3\)\. The earlier definition is there again$/m);
  deepStrictEqual(await standing(host), ["enabled", "inactive"]);

  await sh(host, "dev-sessions gateway install");
  await sh(host, `systemctl --user disable ${UNIT}`);
  match((await host.shell("dev-sessions-broken gateway install")).stderr, /The earlier service runs again$/m);
  deepStrictEqual(await standing(host), ["disabled", "active"]);
});

test("an upgrade in place to something broken does not say that the earlier service runs", async (host) => {
  await sh(host, "dev-sessions gateway install");
  await instead(host, "dev-sessions", "exit 3");
  const upgrade = await host.shell("dev-sessions gateway install");
  strictEqual(upgrade.code, 1);
  match(upgrade.stderr, /The earlier definition is there again, but does not run either$/m);
});

test("an interrupted installation is undone, and no other command meddles with it meanwhile", async (host) => {
  await instead(host, "dev-sessions-slow", "exec sleep 300");
  const begin = (options = "") =>
    host.shell(`echo $$ >pid; exec dev-sessions-slow gateway install ${options}`);
  const underWay = () =>
    eventually(
      async () =>
        (await host.shell(`grep -q slow ${UNIT_FILE} && systemctl --user is-active ${UNIT}`)).code === 0,
      {
        what: "the service is started",
      },
    );

  for (const signal of ["INT", "TERM"]) {
    const first = begin();
    await underWay();
    for (const verb of ["install", "uninstall"]) {
      const other = await host.shell(`dev-sessions gateway ${verb}`);
      deepStrictEqual([other.code, other.stdout], [1, ""]);
      match(
        other.stderr,
        /: another command is just installing or removing it\. Try again when that has ended$/m,
      );
    }
    await sh(host, `kill -${signal} $(cat pid)`);
    const { code, stdout, stderr } = await first;
    deepStrictEqual([code, stdout], [130, ""]);
    strictEqual(stderr, "Interrupted: the gateway's service was not installed. Nothing of it was left\n");
    deepStrictEqual(await standing(host), ["", "inactive"]);
    strictEqual((await host.shell(`find .config/systemd -name '*${UNIT}*' | grep .`)).code, 1);
  }

  await sh(host, "dev-sessions gateway install");
  const [before, unit] = [await status(host), await sh(host, `cat ${UNIT_FILE}`)];
  const upgrade = begin();
  await underWay();
  await sh(host, "kill -INT $(cat pid)");
  const { code, stderr } = await upgrade;
  strictEqual(code, 130);
  strictEqual(
    stderr,
    "Interrupted: the gateway's service was not installed. The earlier service runs again\n",
  );
  strictEqual(await sh(host, `cat ${UNIT_FILE}`), unit);
  const after = await status(host);
  ok(after.answers && after.pid !== before.pid);
});

test("uninstall changes nothing where systemd can't be asked, and removes what is left when the definition is gone", async (host) => {
  await sh(host, "dev-sessions gateway install");
  const id = (await sh(
    host,
    "DEV_SESSIONS_SANDBOX=1 DEV_SESSIONS_GATEWAY_URL=http://127.0.0.1:6767 " +
      "DEV_SESSIONS_GATEWAY_TOKEN_FILE=$HOME/.dev-sessions/gateway-token dev-sessions create -q -p $HOME",
  )).trim();
  for (
    const [where, why] of [
      [
        "XDG_RUNTIME_DIR=/nonexistent",
        /systemd does not manage services of this user here .*Log in over ssh/,
      ],
      ["PATH=$HOME/.local/bin", /systemctl is not on PATH, though systemd runs this machine/],
    ] as const
  ) {
    const refused = await host.shell(`${where} dev-sessions gateway uninstall`);
    deepStrictEqual([refused.code, refused.stdout], [1, ""]);
    match(refused.stderr, /^Cannot remove the gateway's service: .* Nothing has changed$/m);
    match(refused.stderr, why);
    deepStrictEqual(await standing(host), ["enabled", "active"]);
    ok((await status(host)).answers);
  }

  for (const readAgain of ["true", "systemctl --user daemon-reload"]) {
    await sh(host, `rm ${UNIT_FILE}; ${readAgain}`);
    const meanwhile = await host.shell("dev-sessions gateway install");
    match(
      meanwhile.stderr,
      /its definition is gone, but it still runs\. .*: dev-sessions gateway uninstall$/m,
    );
    const removed = await host.shell("dev-sessions gateway uninstall");
    strictEqual(removed.stdout, `[gateway] daemon uninstalled (${UNIT_FILE})\nGateway daemon uninstalled\n`);
    match(removed.stderr, /Its definition was gone already/);
    deepStrictEqual(await standing(host), ["", "inactive"]);
    strictEqual((await host.shell(`find .config/systemd -name '*${UNIT}*' | grep .`)).code, 1);
    strictEqual(await sh(host, `dev-sessions status ${id}`), "idle\n");
    const none = await host.shell("dev-sessions gateway uninstall");
    deepStrictEqual([none.stdout, none.stderr], ["Gateway daemon is not installed\n", ""]);
    const unasked = await host.shell("XDG_RUNTIME_DIR=/nonexistent dev-sessions gateway uninstall");
    deepStrictEqual([unasked.code, unasked.stdout], [0, "Gateway daemon is not installed\n"]);
    match(unasked.stderr, /whether one runs without its definition can't be told/);
    await sh(host, "dev-sessions gateway install");
  }
});

test("the unit goes where systemd looks for it, whatever the shell's XDG_CONFIG_HOME is", async (host) => {
  const elsewhere = "XDG_CONFIG_HOME=$HOME/elsewhere";
  const installed = await sh(host, `${elsewhere} dev-sessions gateway install`);
  ok(installed.includes(`installed at ${UNIT_FILE}\n`), installed);
  ok((await status(host)).answers);
  match(
    await sh(host, `${elsewhere} dev-sessions gateway status`),
    new RegExp(`^service: ${UNIT_FILE}$`, "m"),
  );
  match(await sh(host, `${elsewhere} dev-sessions gateway uninstall`), /Gateway daemon uninstalled/);
  strictEqual((await host.shell("test -e elsewhere")).code, 1);
});

test("a gateway that can't stay up is given up, and said to have failed", async (host) => {
  await sh(host, "dev-sessions gateway install");
  await sh(host, "dev-sessions gateway status");
  // From now on each start ends at once.
  await host.write(`${USER_HOME}/.local/bin/dev-sessions`, "#!/bin/sh\nexit 3\n", "755");
  const program =
    `DEV_SESSIONS_EXECUTABLE=$HOME/.local/bin/dev-sessions ${PROGRAM_FOLDER}/deno run -A --quiet ` +
    `--no-config ${PROGRAM_FOLDER}/dist/main.js`;
  const now = async () => JSON.parse(await sh(host, `${program} gateway status --json`)) as Status;
  await sh(host, `kill -KILL ${(await now()).pid}`);
  await eventually(async () => (await now()).state === "failed", {
    what: "systemd gives up",
    timeoutMs: GIVES_UP_WITHIN_MS,
  });
  match(
    await sh(host, `${program} gateway status`),
    /^Gateway daemon: failed \(port 6767\)\n(.*\n)*ended with: exit 3\n/,
  );
});

test("systemd runs what is installed from folders with any characters in their names", async (host) => {
  for (const name of ["a b & é;=#", "100%h", "$HOME ${X}", `it's "q" \\back`]) {
    const folder = `${USER_HOME}/${name}`;
    const quoted = `'${folder.replaceAll("'", `'\\''`)}'`;
    await host.write(
      `${folder}/dev-sessions`,
      `#!/bin/sh\nexport DEV_SESSIONS_EXECUTABLE=${quoted}/dev-sessions\n` +
        `exec ${PROGRAM_FOLDER}/deno run -A --quiet --no-config ${PROGRAM_FOLDER}/dist/main.js "$@"\n`,
      "755",
    );
    await sh(host, `PATH=${quoted}:$PATH; export ODD=${quoted}; dev-sessions gateway install --env ODD`);
    const { pid, answers } = await status(host);
    ok(answers && pid !== null, name);
    const environment = await sh(host, `tr '\\0' '\\n' </proc/${pid}/environ`);
    ok(environment.includes(`\nPATH=${folder}:`) || environment.startsWith(`PATH=${folder}:`), environment);
    ok(`\n${environment}`.includes(`\nODD=${folder}\n`), environment);
    const verify = await host.shell(`systemd-analyze verify --user ${UNIT_FILE}`);
    deepStrictEqual([verify.code, verify.stderr], [0, ""], name);
  }
});

test("what is missing or in the way is said before anything is changed", async (host) => {
  const busy = await host.shell(
    `${PROGRAM_FOLDER}/deno eval --quiet 'Deno.listen({ hostname: "127.0.0.1", port: 6767 }); await new Promise((r) => setTimeout(r, 20000))' & ` +
      "for _ in $(seq 200); do (: </dev/tcp/127.0.0.1/6767) 2>/dev/null && break; sleep 0.05; done; " +
      "dev-sessions gateway install; code=$?; kill $!; exit $code",
  );
  strictEqual(busy.code, 1);
  match(
    busy.stderr,
    /port 6767 is taken by another program\. Stop it, or choose another port: dev-sessions gateway install --port 6768/,
  );

  const noBus = await host.shell("XDG_RUNTIME_DIR=/nonexistent dev-sessions gateway install");
  strictEqual(noBus.code, 1);
  match(noBus.stderr, /systemd does not manage services of this user here/);

  const noSystemd = await host.shell("PATH=$HOME/.local/bin dev-sessions gateway install");
  match(
    noSystemd.stderr,
    /systemctl is not on PATH, though systemd runs this machine\. Add its folder to PATH/,
  );
  strictEqual((await host.shell(`test -e ${UNIT_FILE}`)).code, 1);

  await host.exec(["loginctl", "disable-linger", "dev"]);
  // Without lingering, only a login keeps the user's systemd.
  const noted = await host.ssh("dev-sessions gateway install");
  match(noted.stderr, /Lingering is off .* loginctl enable-linger/);
});
