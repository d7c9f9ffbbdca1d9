/** install.sh installs a release that was checked, or says why not and leaves what was there. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { INSTALL_SH, Installer, type Shell, SHELLS, standIn } from "../support/installer.ts";
import { VERSION } from "../../lib/version.ts";
import { isRunning } from "../support/processes.ts";

const OLD = { version: "1.0.0" };
const NEW = { version: "1.2.3" };
const ASSET = `dev-sessions-${Deno.build.target}`;
const SCRIPT = await Deno.readTextFile(INSTALL_SH);

/** One test per shell, whose cases run at once. */
function testShells(name: string, cases: Readonly<Record<string, (shell: Shell) => Promise<void>>>): void {
  for (const [shell, command] of Object.entries(SHELLS)) {
    const bound = Object.entries(cases).map(([name, fn]) => [name, () => fn(command)]);
    testAtOnce(`${name} under ${shell}`, Object.fromEntries(bound));
  }
}

/** Every one of these must leave what was there, byte for byte, whatever was there. */
async function refuses(
  shell: Shell,
  expected: RegExp,
  attempt: (installer: Installer) => Promise<{ readonly code: number; readonly stderr: string }>,
): Promise<void> {
  for (const before of [null, OLD]) {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    if (before !== null) await installer.installed(before);
    const contents = installer.contents();
    const { code, stderr } = await attempt(installer);
    strictEqual(code, 1, stderr);
    match(stderr, expected);
    deepStrictEqual(installer.contents(), contents);
  }
}

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

/** Answers as Deno does to what the installer asks of it; its `task compile` makes a stand-in of this version. */
function standInDeno(version: string): string {
  return `case $1 in
  eval) printf '%s\\n' 2.9.6 "$0" ;;
  task) mkdir -p "$6" && cat >"$6/dev-sessions-$4" <<'END'
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

testShells("install.sh leaves what was there", {
  "when the checksum is another": (shell) =>
    refuses(
      shell,
      /: the checksum of dev-sessions-\S+ is [0-9a-f]{64}, and SHA256SUMS says [0-9a-f]{64}\./,
      (installer) => {
        installer.server.put(`latest/download/${ASSET}`, standIn({ version: "6.6.6" }));
        return installer.run();
      },
    ),
  "when the download ends early": (shell) =>
    refuses(
      shell,
      /: the checksum of .* is damaged or has been tampered with; nothing was changed/,
      (installer) => {
        installer.server.fault = "short";
        return installer.run();
      },
    ),
  "when the connection is cut": (shell) =>
    refuses(shell, /Cannot download "http.*": .*\. Try again/, (installer) => {
      installer.server.fault = "cut";
      return installer.run();
    }),
  "when there is no release": (shell) =>
    refuses(
      shell,
      /: there is no http.*\/nowhere\/latest\/download\/SHA256SUMS \(404\)\. Is DEV_SESSIONS_BASE_URL right/,
      (installer) => installer.run([], { env: { DEV_SESSIONS_BASE_URL: `${installer.server.url}/nowhere` } }),
    ),
  "when there is no such version": (shell) =>
    refuses(
      shell,
      /SHA256SUMS \(404\)\. Is there a version 9\.9\.9\?/,
      (installer) => installer.run(["--version", "9.9.9"]),
    ),
  "when the executable is missing": (shell) =>
    refuses(shell, new RegExp(`there is no http\\S*/${ASSET} \\(404\\)`), (installer) => {
      installer.server.put("download/v2.0.0/SHA256SUMS", `${"a".repeat(64)}  ${ASSET}\n`);
      return installer.run(["--version", "2.0.0"]);
    }),
  "when the release has nothing for this platform": (shell) =>
    refuses(shell, new RegExp(`SHA256SUMS" does not list ${ASSET}\\.`), (installer) => {
      installer.server.put("latest/download/SHA256SUMS", `${"a".repeat(64)}  ${ASSET}.txt\n`);
      return installer.run();
    }),
  "when a page of a portal comes instead": (shell) =>
    refuses(shell, /does not list/, (installer) => {
      installer.server.put(
        "latest/download/SHA256SUMS",
        `<html>\n<p>${ASSET}  ${ASSET}</p>\nlog in  ${ASSET}`,
      );
      return installer.run();
    }),
  "when the server is gone": (shell) =>
    refuses(shell, /Cannot download "http:\/\/127\.0\.0\.1:\S+": .*(refused|connect)/i, async (installer) => {
      // A port that no test can be given.
      return await installer.run([], { env: { DEV_SESSIONS_BASE_URL: "http://127.0.0.1:1/releases" } });
    }),
  "when the file does not run here": (shell) =>
    refuses(
      shell,
      /file does not run here: .*GLIBC_2\.99' not found.*This system's glibc is too old/,
      async (installer) => {
        const broken = '#!/bin/sh\necho "libc.so.6: version \\`GLIBC_2.99\' not found" >&2\nexit 1\n';
        await installer.server.publish("1.2.4", broken);
        return await installer.run();
      },
    ),
  "when the file is another program": (shell) =>
    refuses(
      shell,
      /the downloaded file says that its version is "deno 2\.9\.6 \(stable\)"/,
      async (installer) => {
        await installer.server.publish("1.2.4", standIn({ version: "'deno 2.9.6 (stable)'" }));
        return await installer.run();
      },
    ),
  "when the file is another version": (shell) =>
    refuses(shell, /the downloaded file is version 6\.6\.6, not 1\.2\.3/, async (installer) => {
      await installer.server.publish(NEW.version, standIn({ version: "6.6.6" }));
      return await installer.run(["--version", NEW.version]);
    }),
  "when it knows no address": (shell) =>
    refuses(
      shell,
      /Set DEV_SESSIONS_BASE_URL .* or build it from a checkout: sh install\.sh --from-source/,
      (installer) => installer.run([], { env: { DEV_SESSIONS_BASE_URL: undefined } }),
    ),
  "when the address is none": (shell) =>
    refuses(
      shell,
      /Cannot download from "ftp:\/\/example\.com": it is not an http address/,
      (installer) => installer.run([], { env: { DEV_SESSIONS_BASE_URL: "ftp://example.com" } }),
    ),
  "when --from-source comes over a pipe": (shell) =>
    refuses(
      shell,
      /--from-source builds from the checkout in which install\.sh stands, and this one was read from a pipe/,
      (installer) => installer.pipe(SCRIPT, ["--from-source"]),
    ),
  "when a folder is in the way": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    await Deno.mkdir(installer.executable, { recursive: true });
    const contents = installer.contents();
    match((await installer.run()).stderr, /Cannot install to ".*\/bin\/dev-sessions": it is a folder/);
    deepStrictEqual(installer.contents(), contents);
  },
  "when the target is below a file": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    await Deno.writeTextFile(join(installer.home, "file"), "mine");
    const contents = installer.contents();
    const { code, stderr } = await installer.run(["--prefix", join(installer.home, "file", "x")]);
    strictEqual(code, 1);
    match(
      stderr,
      /^install\.sh: Cannot install to ".*\/file\/x\/bin": the folder cannot be written\. .*--prefix <folder>\n$/,
    );
    deepStrictEqual(installer.contents(), contents);
  },
  "when the target is read-only": async (shell) => {
    await using installer = await Installer.create(shell);
    await installer.server.publish(NEW.version, standIn(NEW));
    await installer.installed(OLD);
    const contents = installer.contents();
    const command = [...shell, INSTALL_SH];
    // Modes mean nothing to root, a mount does.
    const script = Deno.uid() === 0
      ? 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
      : 'chmod 0555 "$0" && { "$@"; code=$?; chmod 0755 "$0"; exit "$code"; }';
    const inside = ["sh", "-c", script, installer.bin, ...command];
    const [program = "", ...args] = Deno.uid() === 0 ? ["unshare", "--mount", ...inside] : inside;
    const { code, stderr } = await installer.sandbox.spawn(program, args, { env: installer.env }).done();
    strictEqual(code, 1, stderr);
    match(stderr, /^install\.sh: Cannot install to ".*\/bin": the folder cannot be written/m);
    deepStrictEqual(installer.contents(), contents);
  },
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

testShells("install.sh refuses a wrong call", {
  "with the way to its help": async (shell) => {
    await using installer = await Installer.create(shell);
    for (
      const [args, expected] of [
        [["--wrong"], 'There is no option "--wrong"'],
        [["1.2.3"], 'There is no option "1.2.3"'],
        [["--version"], '"--version" needs a value'],
        [["--prefix="], '"--prefix" needs a value'],
        [["--version", "../1"], '"../1" is not a version, such as 0.5.0'],
        [["--version", "1/../2"], '"1/../2" is not a version'],
        [["--yes=no"], '"--yes" takes no value'],
        [["--purge"], '"--purge" goes with --uninstall'],
      ] as const
    ) {
      const { code, stdout, stderr } = await installer.run(args);
      strictEqual(stderr, `install.sh: ${expected}. See: sh install.sh --help\n`);
      strictEqual(code, 2);
      strictEqual(stdout, "");
    }
    const help = await installer.run(["--help"]);
    strictEqual(help.code, 0);
    for (const option of help.stdout.match(/--[a-z-]+/g) ?? []) ok(SCRIPT.includes(`${option}`), option);
    const homeless = await installer.run([], { env: { HOME: "relative" } });
    match(homeless.stderr, /Cannot find your home folder: HOME is "relative"/);
    deepStrictEqual(installer.contents(), {});
  },
});

interface Platform {
  readonly uname: readonly [system: string, machine: string];
  readonly getconf?: string;
  readonly ldd?: string;
  readonly expected: RegExp;
}

const PLATFORMS: Readonly<Record<string, Platform>> = {
  "Windows": { uname: ["MINGW64_NT-10.0-22631", "x86_64"], expected: /does not run on Windows .* WSL 2/ },
  "FreeBSD": {
    uname: ["FreeBSD", "amd64"],
    expected: /does not run on FreeBSD\. There are builds for Linux and macOS/,
  },
  "32-bit ARM": { uname: ["Linux", "armv7l"], expected: /this is a 32-bit system \(armv7l\)/ },
  "32-bit programs on a 64-bit kernel": {
    uname: ["Linux", "aarch64"],
    getconf: 'case $1 in LONG_BIT) echo 32 ;; *) echo "glibc 2.36" ;; esac',
    expected: /this is a 32-bit system \(aarch64\)/,
  },
  "another processor": { uname: ["Linux", "riscv64"], expected: /no build for this processor \(riscv64\)/ },
  "musl": {
    uname: ["Linux", "x86_64"],
    getconf: "case $1 in LONG_BIT) echo 64 ;; *) exit 1 ;; esac",
    ldd: 'echo "musl libc (x86_64)" >&2; exit 1',
    expected:
      /uses musl instead of glibc \(as Alpine does\)\. .*container with glibc .*DEV_SESSIONS_DENO=\/path\/to\/deno/,
  },
};

// busybox's own uname comes before any on PATH, so only dash can be told of another platform.
testAtOnce("install.sh names a platform that it does not serve", {
  ...Object.fromEntries(
    Object.entries(PLATFORMS).map(([name, { uname: [system, machine], getconf, ldd, expected }]) => [
      name,
      () =>
        refuses(SHELLS.dash, expected, async (installer) => {
          const path = await installer.fakes({
            uname: `case $1 in -m) echo ${machine} ;; -s) echo '${system}' ;; *) echo host ;; esac`,
            ...(getconf === undefined ? {} : { getconf }),
            ...(ldd === undefined ? {} : { ldd }),
          });
          return await installer.run([], { env: { PATH: path } });
        }),
    ]),
  ),
  "32-bit under busybox": async () => {
    if (Deno.build.arch !== "x86_64") return;
    await refuses(
      ["setarch", "i686", "busybox", "sh"],
      /this is a 32-bit system \(i686\)/,
      (installer) => installer.run(),
    );
  },
  "macOS and ARM get builds of their own": async () => {
    await using installer = await Installer.create(SHELLS.dash);
    for (
      const [system, machine, asset] of [
        ["Darwin", "arm64", "aarch64-apple-darwin"],
        ["Darwin", "x86_64", "x86_64-apple-darwin"],
        ["Linux", "aarch64", "aarch64-unknown-linux-gnu"],
        ["Linux", "amd64", "x86_64-unknown-linux-gnu"],
      ]
    ) {
      const script = `case $1 in -m) echo ${machine} ;; -s) echo ${system} ;; *) echo host ;; esac`;
      await Deno.remove(join(installer.sandbox.root, "fakes"), { recursive: true }).catch(() => {});
      const path = await installer.fakes({ uname: script });
      const { stdout } = await installer.run([], { env: { PATH: path } });
      strictEqual(stdout, `Downloading ${installer.server.url}/latest/download/dev-sessions-${asset}\n`);
    }
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
