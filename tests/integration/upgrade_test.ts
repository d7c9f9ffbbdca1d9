/** `upgrade` puts a release in place of the executable that runs, or says why not and leaves it. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { placeOf } from "../../lib/cli/upgrade.ts";
import { VERSION } from "../../lib/version.ts";
import { Installer, SHELLS, standIn } from "../support/installer.ts";
import type { RunOutput } from "../support/harness.ts";

const MAIN = join(import.meta.dirname ?? "", "..", "..", "main.ts");
const NEXT = "99.1.0";

/** This version, started as by the launcher of `install.sh --from-source`. */
async function launched(installer: Installer): Promise<string> {
  const { executable } = installer;
  await Deno.mkdir(installer.bin, { recursive: true });
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const script = `#!/bin/sh\nexport DEV_SESSIONS_EXECUTABLE=${quote(executable)}\n` +
    `exec ${quote(Deno.execPath())} run -A --quiet ${quote(MAIN)} "$@"\n`;
  await Deno.writeTextFile(executable, script, { mode: 0o755 });
  return script;
}

async function upgrade(installer: Installer, args: readonly string[] = [], env = {}): Promise<RunOutput> {
  const command = ["upgrade", ...args];
  const settings = { env: { ...installer.env, ...env } };
  return await installer.sandbox.spawn(installer.executable, command, settings).doneWithin(60_000, "upgrade");
}

Deno.test("upgrade installs the latest release in its own place, and says from which version to which", async () => {
  await using installer = await Installer.create(SHELLS.dash, "a ho'me");
  await installer.server.publish(NEXT, standIn({ version: NEXT }));
  await launched(installer);
  const { code, stdout, stderr } = await upgrade(installer);
  strictEqual(code, 0, stderr);
  strictEqual(stdout, `Upgraded dev-sessions ${VERSION} to ${NEXT}\n`);
  match(
    stderr,
    new RegExp(`^Replaced dev-sessions ${VERSION.replaceAll(".", "\\.")} with 99\\.1\\.0: `, "m"),
  );
  strictEqual(await Deno.readTextFile(installer.executable), standIn({ version: NEXT }));
});

Deno.test("upgrade --to installs that version; --json tells both", async () => {
  await using installer = await Installer.create(SHELLS.dash);
  await installer.server.publish("98.0.0", standIn({ version: "98.0.0" }));
  await installer.server.publish(NEXT, standIn({ version: NEXT }));
  await launched(installer);
  const { stdout, stderr } = await upgrade(installer, ["--to", "v98.0.0", "--json"]);
  deepStrictEqual(
    JSON.parse(stdout),
    { from: VERSION, to: "98.0.0", executable: installer.executable },
    stderr,
  );
});

Deno.test("an upgrade that fails says why, and leaves what was there", async () => {
  await using installer = await Installer.create(SHELLS.dash);
  const before = await launched(installer);
  const missing = await upgrade(installer);
  strictEqual(missing.code, 1);
  strictEqual(missing.stdout, "");
  match(missing.stderr, /^Cannot upgrade dev-sessions: (?!Cannot)/m);
  await installer.server.publish(NEXT, standIn({ version: NEXT }));
  installer.server.fault = "short";
  match((await upgrade(installer)).stderr, /^Cannot upgrade dev-sessions: .*(checksum|SHA-?256)/im);
  strictEqual(await Deno.readTextFile(installer.executable), before);
});

Deno.test("upgrade refuses what no release can replace, and names the way out", async () => {
  await using installer = await Installer.create(SHELLS.dash);
  await launched(installer);
  const built = await upgrade(installer, [], { DEV_SESSIONS_BASE_URL: undefined });
  match(
    built.stderr,
    /it was built from a checkout\. In its checkout run: git pull && sh install\.sh --from-source/,
  );
  const checkout = await installer.sandbox.run(["upgrade"]);
  strictEqual(checkout.code, 1);
  match(checkout.stderr, /it runs from a checkout or a bundle/);
  const wrong = await upgrade(installer, ["--to", "newest"]);
  deepStrictEqual([wrong.code, wrong.stdout], [2, ""]);
});

Deno.test("placeOf() takes the folder above bin, and no other name", () => {
  const executable = "/home/me/.local/bin/dev-sessions";
  deepStrictEqual(placeOf({ kind: "compiled", executable }, {}), { prefix: "/home/me/.local", executable });
  for (const other of ["/opt/dev-sessions", "/home/me/.local/bin/ds"]) {
    let message = "";
    try {
      placeOf({ kind: "compiled", executable: other }, {});
    } catch (error) {
      message = String(error);
    }
    match(message, /was not put there by install\.sh/);
  }
});
