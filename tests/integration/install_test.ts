/** install.sh installs a release that was checked; stopped in the middle, it leaves what was there. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { launcherScript } from "../../build/launcher.ts";
import { ASSET, NEW, OLD, refuses, SCRIPT, testShells } from "../support/install_cases.ts";
import { INSTALL_SH, Installer, type Shell, standIn } from "../support/installer.ts";
import { VERSION } from "../../lib/version.ts";
import { isRunning } from "../support/processes.ts";

testShells("install.sh installs a release", {
  "the latest, executable and recorded, and nothing else": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    const { code, stdout, stderr } = await installer.run([], {
      env: { PATH: `${installer.bin}:${installer.sandbox.env["PATH"]}` },
    });
    strictEqual(code, 0, stderr);
    strictEqual(stderr, "");
    deepStrictEqual(stdout.split("\n"), [
      `Downloading ${installer.server.url}/latest/download/${ASSET}`,
      `Installed dev-sessions 1.2.3: ${installer.executable}`,
      "It is a self-contained executable.",
      "",
    ]);
    deepStrictEqual(installer.contents(), {
      ".dev-sessions/": "700",
      ".dev-sessions/executable": `600 ${installer.executable}\n`,
      ".local/": "755",
      ".local/bin/": "755",
      ".local/bin/dev-sessions": `755 ${standIn(NEW)}`,
    });
  },
  "one version, with or without its v": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish("1.1.0", standIn({ version: "1.1.0" }));
    await installer.server.publish(NEW.version, standIn(NEW));
    const first = await installer.run(["--version", "1.1.0"]);
    match(first.stdout, /^Installed dev-sessions 1\.1\.0: /m, first.stderr);
    const second = await installer.run(["--version=v1.1.0"]);
    match(second.stdout, /^Installed dev-sessions 1\.1\.0 again: /m, second.stderr);
    const third = await installer.run([]);
    match(third.stdout, /^Replaced dev-sessions 1\.1\.0 with 1\.2\.3: /m, third.stderr);
    strictEqual(installer.server.requests[0], "/releases/download/v1.1.0/SHA256SUMS");
  },
  "into a home with spaces and quotes": async (shell) => {
    await using installer = await Installer.create(shell, `my ho'me "$x`);
    await installer.server.publish(NEW.version, standIn(NEW));
    const { code, stderr } = await installer.run();
    strictEqual(code, 0, stderr);
    strictEqual(
      (await installer.sandbox.spawn(installer.executable, ["--version"]).done()).stdout,
      "1.2.3\n",
    );
  },
  "below --prefix, absolute or not": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    const absolute = join(installer.sandbox.root, "a b", "c");
    match(
      (await installer.run(["--prefix", absolute])).stdout,
      new RegExp(`: ${absolute}/bin/dev-sessions$`, "m"),
    );
    const relative = await installer.run(["--prefix=tools/"]);
    match(relative.stdout, new RegExp(`: ${installer.sandbox.workspace}/tools/bin/dev-sessions$`, "m"));
    const tilde = await installer.run(["--prefix=~/tools"]);
    match(tilde.stdout, new RegExp(`: ${installer.home}/tools/bin/dev-sessions$`, "m"));
  },
  "over a pipe, with the address stamped into the script": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    const stamped = SCRIPT.replace(/^DEFAULT_BASE_URL=""$/m, `DEFAULT_BASE_URL="${installer.server.url}/"`);
    const { code, stdout, stderr } = await installer.pipe(stamped, ["--version", NEW.version], {
      env: { DEV_SESSIONS_BASE_URL: undefined },
    });
    strictEqual(code, 0, stderr);
    match(stdout, /^Installed dev-sessions 1\.2\.3: /m);
  },
  "with wget where there is no curl": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    const tools =
      "cat chmod cp cut dirname env getconf grep head id ldd mkdir mktemp mv rm rmdir sed sha256sum tail tmux tr uname wget";
    const env = { PATH: await installer.only([...tools.split(" "), shell[0]]) };
    const { code, stdout, stderr } = await installer.run([], { env });
    strictEqual(code, 0, stderr);
    match(stdout, /^Installed dev-sessions 1\.2\.3: /m);
    const missing = await installer.run(["--version", "7.0.0"], { env });
    match(missing.stderr, /there is no http.*SHA256SUMS \(404\)\. Is there a version 7\.0\.0\?/);
  },
  "while the version before runs": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.installed(OLD);
    const old = installer.sandbox.spawn(installer.executable, ["sit"], { env: { HOME: installer.home } });
    await installer.sandbox.eventually(() => old.stdout.includes("sitting"), { what: "the old one runs" });
    await installer.server.publish(NEW.version, standIn(NEW));
    const { stdout, stderr } = await installer.run();
    match(stdout, /^Replaced dev-sessions 1\.0\.0 with 1\.2\.3: /m, stderr);
    await Deno.writeTextFile(join(installer.home, "stop"), "");
    match((await old.done()).stdout, /still 1\.0\.0/);
  },
  "in place of a launcher, whose library goes with the next one unless it is in use": async (shell) => {
    await using installer = await Installer.create(shell);
    const lib = join(installer.home, ".local", "lib", "dev-sessions");
    const [deno, main] = [join(lib, "1.0.0-abc", "deno"), join(lib, "1.0.0-abc", "main.js")];
    await Deno.mkdir(join(deno, ".."), { recursive: true });
    await Deno.writeTextFile(
      deno,
      `#!/bin/sh\nshift 5\nHOME=$DEV_SESSIONS_CALLER_HOME exec '${main}' "$@"\n`,
      { mode: 0o755 },
    );
    await Deno.writeTextFile(main, standIn(OLD), { mode: 0o755 });
    await installer.installed(OLD);
    const { executable } = installer;
    await Deno.writeTextFile(executable, launcherScript({ executable, deno, main }));
    const running = installer.sandbox.spawn(executable, ["sit"], { env: { HOME: installer.home } });
    await installer.sandbox.eventually(() => running.stdout.includes("sitting"), {
      what: "the old one runs",
    });
    await installer.server.publish(NEW.version, standIn(NEW));
    const install = async () => {
      const { code, stderr } = await installer.run();
      deepStrictEqual([code, stderr.replace(/^Note: .*\n/, "")], [0, ""]);
    };
    await install();
    await install();
    deepStrictEqual([...Deno.readDirSync(lib)].map(({ name }) => name), ["1.0.0-abc"], "it is in use");
    await Deno.writeTextFile(join(installer.home, "stop"), "");
    match((await running.done()).stdout, /still 1\.0\.0/);
    await install();
    deepStrictEqual([...Deno.readDirSync(join(lib, ".."))], []);
  },
  "in place of a link, without touching what it points to": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.installed(OLD);
    await Deno.rename(installer.executable, join(installer.home, "elsewhere"));
    await Deno.symlink(join(installer.home, "elsewhere"), installer.executable);
    await installer.server.publish(NEW.version, standIn(NEW));
    strictEqual((await installer.run()).code, 0);
    strictEqual(await Deno.readTextFile(installer.executable), standIn(NEW));
    strictEqual(await Deno.readTextFile(join(installer.home, "elsewhere")), standIn(OLD));
  },
});

/** Answers as Deno does to what the installer asks of it; its compilation makes a stand-in of this version. */
function standInDeno(version: string): string {
  return `case "$1 $3" in
  "eval "*) printf '%s\\n' 2.9.6 "$0" ;;
  "run build/compile.ts") mkdir -p "$7" && cat >"$7/dev-sessions-$5" <<'END'
${standIn({ version })}END
  ;;
esac`;
}

testShells("install.sh compiles a checkout", {
  "and installs the executable": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.fakes({ deno: standInDeno(VERSION) });
    const env = { DEV_SESSIONS_DENO: join(installer.sandbox.root, "fakes", "deno") };
    const { code, stdout, stderr } = await installer.run(["--from-source"], { env });
    strictEqual(code, 0, stderr);
    match(stdout, new RegExp(`^Installed dev-sessions ${VERSION}: `, "m"));
    match(stdout, /^It is a self-contained executable, compiled from /m);
    strictEqual(await Deno.readTextFile(installer.executable), standIn({ version: VERSION }));
    deepStrictEqual([...Deno.readDirSync(installer.bin)].map(({ name }) => name), ["dev-sessions"]);
  },
  "but installs no other program": (shell) =>
    refuses(shell, /the compiled file is version 6\.6\.6, not /, async (installer) => {
      await installer.fakes({ deno: standInDeno("6.6.6") });
      const env = { DEV_SESSIONS_DENO: join(installer.sandbox.root, "fakes", "deno") };
      return await installer.run(["--from-source"], { env });
    }),
});

/** An installer in the middle of its download, with an old version in place. */
async function downloading(
  shell: Shell,
  body: (installer: Installer, running: ReturnType<Installer["start"]>) => Promise<void>,
): Promise<void> {
  await using installer = await Installer.create(shell);
  await installer.installed(OLD);
  await installer.server.publish(NEW.version, standIn(NEW));
  installer.server.fault = "held";
  const running = installer.start();
  await installer.sandbox.eventually(
    () => installer.server.requests.some((path) => path.endsWith(ASSET)),
    { what: "the executable is asked for" },
  );
  await body(installer, running);
}

const SIGNALS = { "SIGTERM": 143, "SIGINT": 130, "SIGHUP": 129 } as const;

testShells("install.sh is stopped in the middle", {
  ...Object.fromEntries(
    Object.entries(SIGNALS).map(([signal, expected]) => [
      `by ${signal}: nothing has changed and nothing is left`,
      (shell: Shell) =>
        downloading(shell, async (installer, running) => {
          running.kill(signal as Deno.Signal);
          const { code, stderr } = await running.doneWithin(10_000, "the stopped installer");
          strictEqual(code, expected);
          strictEqual(stderr, "install.sh: stopped; nothing was changed\n");
          deepStrictEqual(installer.contents(), {
            ".local/": "755",
            ".local/bin/": "755",
            ".local/bin/dev-sessions": `755 ${standIn(OLD)}`,
          });
          await installer.sandbox.eventually(
            async () => (await installer.sandbox.processesOf()).length === 0,
            { what: "the download has ended, too" },
          );
        }),
    ]),
  ),
  "by SIGKILL: nothing has changed, and the next one tidies up": (shell) =>
    downloading(shell, async (installer, running) => {
      running.kill("SIGKILL");
      await running.child.status;
      strictEqual(await Deno.readTextFile(installer.executable), standIn(OLD));
      for (const { pid } of await installer.sandbox.processesOf()) {
        Deno.kill(pid, "SIGKILL");
        await installer.sandbox.eventually(async () => !await isRunning(pid), {
          what: "the download has ended",
        });
      }
      strictEqual([...Deno.readDirSync(installer.bin)].length, 2);
      installer.server.fault = "none";
      const { code, stderr } = await installer.run();
      strictEqual(code, 0, stderr);
      deepStrictEqual([...Deno.readDirSync(installer.bin)].map(({ name }) => name), ["dev-sessions"]);
    }),
  "when its own end has not arrived": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    const ends = [...SCRIPT.matchAll(/\n/g)].map(({ index }) => index);
    // Some lines of all, and every byte of the last ones. Without its last line break it is complete.
    const cuts = [
      ...ends.slice(0, -1).filter((_, line) => line % 20 === 0),
      ...Array.from({ length: 40 }, (_, i) => SCRIPT.length - 2 - i),
    ];
    for (const cut of cuts) {
      const { stdout } = await installer.pipe(SCRIPT.slice(0, cut), ["--uninstall"]);
      strictEqual(stdout, "", SCRIPT.slice(0, cut).slice(-80));
    }
    deepStrictEqual(installer.contents(), {});
    deepStrictEqual(installer.server.requests, []);
  },
});

Deno.test("install.sh is clean, stamped at one place, and builds with the Deno of the checks", async () => {
  const { code, stdout } = await new Deno.Command("shellcheck", { args: ["-s", "sh", INSTALL_SH] }).output();
  strictEqual(code, 0, new TextDecoder().decode(stdout));
  strictEqual(SCRIPT.match(/^DEFAULT_BASE_URL=""$/gm)?.length, 1);
  strictEqual(SCRIPT.match(/DEFAULT_BASE_URL=/g)?.length, 1);
  const ci = await Deno.readTextFile(join(INSTALL_SH, "..", ".ci", "run"));
  strictEqual(/^DENO_VERSION="(.*)"$/m.exec(SCRIPT)?.[1], /^DENO="deno@(.*)"$/m.exec(ci)?.[1]);
});
