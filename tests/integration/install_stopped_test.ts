/** A signal in the very moment in which the new version takes the place of the old one leaves no halves, and no lies. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { INSTALL_SH, Installer, SHELLS, standIn } from "../support/installer.ts";

const VERSION = "7.0.1";

/** Renames the executable, does `then`, and leaves other files to the real one. */
const mvThat = (then: string) =>
  `/bin/mv "$@" || exit
for last do :; done
case $last in */bin/dev-sessions) ${then} ;; esac`;

/** A checkout in which the part of Deno is played by a script: it has no runtime, so a launcher is installed. */
async function checkoutWithoutRuntime(installer: Installer): Promise<string> {
  const checkout = await installer.sandbox.folder("checkout");
  await Deno.copyFile(INSTALL_SH, join(checkout, "install.sh"));
  await Deno.writeTextFile(join(checkout, "deno.json"), `{\n  "version": "${VERSION}"\n}\n`);
  await Deno.writeTextFile(join(checkout, "main.ts"), "");
  await Deno.writeTextFile(
    join(checkout, "deno"),
    `#!/bin/sh
case "$1 $3" in
  "eval "*) printf '%s\\n' 2.9.6 "$0" ;;
  "run build/bundle.ts") mkdir -p dist && echo bundle >dist/main.js ;;
  "run build/compile.ts") echo "no runtime" >&2; exit 69 ;;
  "run build/launcher.ts") printf '#!/bin/sh\\nexec '"'%s'"' run -A --quiet '"'%s'"' "$@"\\n' "$5" "$6" ;;
  *) [ -f "$4" ] && echo ${VERSION} ;;
esac
`,
    { mode: 0o755 },
  );
  return checkout;
}

async function installLauncher(installer: Installer, path: string) {
  const checkout = await checkoutWithoutRuntime(installer);
  const env = { ...installer.env, PATH: path, DEV_SESSIONS_DENO: join(checkout, "deno") };
  const running = installer.sandbox.spawn("dash", [join(checkout, "install.sh"), "--from-source"], { env });
  return await running.doneWithin(60_000, "install.sh --from-source");
}

async function worksAndIsRecorded(installer: Installer): Promise<void> {
  const { stdout, stderr } = await installer.sandbox.spawn(installer.executable, ["--version"]).done();
  strictEqual(stdout, `${VERSION}\n`, stderr);
  const record = join(installer.home, ".dev-sessions", "executable");
  strictEqual(await Deno.readTextFile(record), `${installer.executable}\n`);
  deepStrictEqual([...Deno.readDirSync(installer.bin)].map(({ name }) => name), ["dev-sessions"]);
}

// busybox has an mv of its own, which comes before any on PATH.
testAtOnce("install.sh and the moment of the rename", {
  ...Object.fromEntries(["TERM", "INT", "HUP"].flatMap((signal) => [
    [`a launcher whose rename SIG${signal} meets is installed as a whole`, async () => {
      await using installer = await Installer.create(SHELLS.dash);
      const path = await installer.fakes({ mv: mvThat(`kill -${signal} "$PPID"`) });
      const { code, stdout, stderr } = await installLauncher(installer, path);
      strictEqual(stderr, "");
      strictEqual(code, 0);
      match(stdout, /^Not compiled: no runtime$/m);
      match(stdout, /^It is a launcher: /m);
      await worksAndIsRecorded(installer);
    }],
    [`and so is a release with SIG${signal}`, async () => {
      await using installer = await Installer.create(SHELLS.dash);
      await installer.server.publish(VERSION, standIn({ version: VERSION }));
      const path = await installer.fakes({ mv: mvThat(`kill -${signal} "$PPID"`) });
      const { code, stderr } = await installer.run([], { env: { PATH: path } });
      deepStrictEqual([code, stderr], [0, ""]);
      await worksAndIsRecorded(installer);
    }],
  ])),
  "a rename that was done counts, though mv says that it failed": async () => {
    await using installer = await Installer.create(SHELLS.dash);
    const { code } = await installLauncher(installer, await installer.fakes({ mv: mvThat("exit 1") }));
    strictEqual(code, 0);
    await worksAndIsRecorded(installer);
  },
  "a rename that was not done changes nothing": async () => {
    await using installer = await Installer.create(SHELLS.dash);
    const mv = 'for last do :; done\ncase $last in */bin/dev-sessions) exit 1 ;; esac\nexec /bin/mv "$@"';
    const { code, stderr } = await installLauncher(installer, await installer.fakes({ mv }));
    strictEqual(code, 1);
    match(stderr, /Cannot put ".*" in place; nothing was changed/);
    deepStrictEqual(installer.contents(), {});
  },
  "a signal after it says what is installed": async () => {
    await using installer = await Installer.create(SHELLS.dash);
    await installer.server.publish(VERSION, standIn({ version: VERSION }));
    // Asked for where tmux is missing.
    const [id = ""] = (await installer.fakes({ id: 'kill -TERM "$PPID"' })).split(":");
    const tools =
      "cat chmod cp curl cut dash dirname env getconf grep head ldd mkdir mktemp mv rm rmdir sed sha256sum tail tr uname";
    const path = `${id}:${await installer.only(tools.split(" "))}`;
    const { code, stderr } = await installer.run([], { env: { PATH: path } });
    deepStrictEqual([code, stderr], [143, "install.sh: stopped; dev-sessions itself is installed\n"]);
    await worksAndIsRecorded(installer);
  },
});
