/** install.sh says why it does not install, and leaves what was there, byte for byte. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { ASSET, NEW, OLD, refuses, SCRIPT, testShells } from "../support/install_cases.ts";
import { INSTALL_SH, Installer, type Shell, SHELLS, standIn } from "../support/installer.ts";
import { redirectingServer } from "../support/redirecting_server.ts";

/** A PATH on which there is wget, and no curl. */
function withWget(installer: Installer, [shell]: Shell): Promise<string> {
  const tools =
    "cat cut dirname env getconf grep head id ldd mkdir mktemp rm rmdir sed sha256sum tail tr uname wget";
  return installer.only([...tools.split(" "), shell]);
}

/** A server that answers everything with this status line, which that of Deno could not. */
function failingServer(status: string): AsyncDisposable & { readonly url: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096));
      const answer = `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  })();
  return {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/releases`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

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
  "when the server is gone, whatever its port is called": (shell) =>
    refuses(
      shell,
      /Cannot download "http:\/\/127\.0\.0\.1:404\/.*": (?!.*\(404\)).*connect.*\. Try again\n$/i,
      async (installer) => {
        // Below those that a test can be given, too.
        return await installer.run([], { env: { DEV_SESSIONS_BASE_URL: "http://127.0.0.1:404/releases" } });
      },
    ),
  "when wget does not know the server, whatever it is called": (shell) =>
    refuses(
      shell,
      /Cannot download "http:\/\/404\.invalid\/.*": wget: .*address .?404\.invalid.?\. Try again\n$/,
      async (installer) => {
        const env = { PATH: await withWget(installer, shell) };
        return await installer.run([], {
          env: { ...env, DEV_SESSIONS_BASE_URL: "http://404.invalid/releases" },
        });
      },
    ),
  "when the server fails and says 404 by the way": (shell) =>
    refuses(shell, /Cannot download "http.*": .*\b500\b.*\. Try again\n$/, async (installer) => {
      await using server = failingServer("500 Upstream said 404: Not Found");
      const env = { PATH: await withWget(installer, shell), DEV_SESSIONS_BASE_URL: server.url };
      return await installer.run([], { env });
    }),
  "when there is no release, and GNU's wget says so in another language, or wget2": async (shell) => {
    await using installer = await Installer.create(shell);
    const path = await withWget(installer, shell);
    await Deno.remove(join(path, "wget"));
    // That of busybox comes before any on PATH, and has no languages.
    for (
      const words of ["2026-11-30 21:31:54 erreur 404 : Not Found.", "HTTP ERROR response 404 [http://x]"]
    ) {
      const script = `case $1 in --version) echo "GNU Wget" ;; *) echo "${words}" >&2; exit 8 ;; esac`;
      await Deno.writeTextFile(join(path, "wget"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const { stderr } = await installer.run([], { env: { PATH: path } });
      match(stderr, /SHA256SUMS \(404\)\. Is DEV_SESSIONS_BASE_URL right/);
    }
  },
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
  "when nothing there would check the server's certificate": (shell) =>
    refuses(
      shell,
      /there is no curl, and this wget is not known to check certificates \(that of busybox .*\. Install curl\n$/,
      async (installer) => {
        const tools =
          "cat cut dirname env getconf grep head id ldd mkdir mktemp rm rmdir sed sha256sum tail tr uname";
        const path = await installer.only([...new Set([...tools.split(" "), "busybox", shell[0]])]);
        await Deno.symlink(join(path, "busybox"), join(path, "wget"));
        const DEV_SESSIONS_BASE_URL = "https://127.0.0.1:1/releases";
        return await installer.run([], { env: { PATH: path, DEV_SESSIONS_BASE_URL } });
      },
    ),
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
        [
          ["--service", "--no-service"],
          '"--service" and "--no-service" exclude each other. Give one of them',
        ],
        [
          ["--no-service", "--yes", "--service"],
          '"--service" and "--no-service" exclude each other. Give one of them',
        ],
        [
          ["--uninstall", "--service"],
          '"--service" does not go with --uninstall, which removes the service. Give one of them',
        ],
        [
          ["--from-source", "--uninstall"],
          '"--from-source" does not go with --uninstall, which installs nothing. Give one of them',
        ],
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

// busybox's shell has a wget of its own.
Deno.test("install.sh under dash leaves what was there when wget is led from https to http", () =>
  refuses(
    SHELLS.dash,
    /Cannot download "https:\/\/localhost:\S+": .*Connection refused/,
    async (installer) => {
      await installer.server.publish("1.2.4", standIn({ version: "1.2.4" }));
      await using secure = await redirectingServer(installer.sandbox, installer.server.url);
      const env = {
        PATH: await installer.only([
          ..."cat cut dirname env getconf grep head id ldd mkdir mktemp rm rmdir sed sha256sum tail tr uname wget"
            .split(" "),
          "dash",
        ]),
        WGETRC: secure.wgetrc,
        DEV_SESSIONS_BASE_URL: secure.url,
      };
      return await installer.run([], { env });
    },
  ));

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
