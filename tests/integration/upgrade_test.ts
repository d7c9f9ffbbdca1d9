/** `upgrade` puts a release in place of the executable that runs, or says why not and leaves it. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { placeOf } from "../../lib/cli/upgrade.ts";
import { SKILLS, stamped } from "../../lib/skills.ts";
import { VERSION } from "../../lib/version.ts";
import { Installer, SHELLS, standIn } from "../support/installer.ts";
import type { RunOutput } from "../support/harness.ts";

const MAIN = join(import.meta.dirname ?? "", "..", "..", "main.ts");
const NEXT = "99.1.0";
const OLDER = "0.4.9";

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

Deno.test("upgrade refuses a latest release that is older, and --to installs it and says so", async (t) => {
  await using installer = await Installer.create(SHELLS.dash);
  const { server } = installer;
  const before = await launched(installer);
  await server.publish(OLDER, standIn({ version: OLDER }));
  await t.step("nothing but the version is downloaded", async () => {
    const contents = installer.contents();
    for (const json of [[], ["--json"]]) {
      const { code, stdout, stderr } = await upgrade(installer, json);
      deepStrictEqual([code, stdout], [1, ""]);
      ok(
        stderr.includes(
          `Cannot upgrade dev-sessions: the latest release is ${OLDER}, older than this one, ${VERSION}. ` +
            `Nothing was changed; to install it nevertheless: dev-sessions upgrade --to ${OLDER}`,
        ),
        stderr,
      );
    }
    deepStrictEqual(server.requests, Array(2).fill("/releases/latest/download/VERSION"));
    deepStrictEqual(installer.contents(), contents);
  });
  await t.step("what can't be compared", async () => {
    server.put("latest/download/VERSION", "2027.1\n");
    const { code, stderr } = await upgrade(installer);
    strictEqual(code, 1);
    match(
      stderr,
      /: the latest release is 2027\.1, which can't be compared with this one, .* upgrade --to 2027\.1$/m,
    );
  });
  await t.step("this very version is current", async () => {
    server.put("latest/download/VERSION", `${VERSION}\n`);
    const { code, stdout, stderr } = await upgrade(installer);
    deepStrictEqual([code, stdout, stderr], [0, `dev-sessions ${VERSION} is current\n`, ""]);
    const { stdout: json } = await upgrade(installer, ["--json"]);
    const { executable } = installer;
    deepStrictEqual(JSON.parse(json), { from: VERSION, to: VERSION, executable });
    strictEqual(await Deno.readTextFile(executable), before);
  });
  await t.step("--to", async () => {
    const { code, stdout, stderr } = await upgrade(installer, ["--to", OLDER]);
    deepStrictEqual(
      [code, stdout],
      [0, `Installed dev-sessions ${OLDER} in the place of ${VERSION}, which is newer\n`],
      stderr,
    );
    strictEqual(await Deno.readTextFile(installer.executable), standIn({ version: OLDER }));
  });
});

Deno.test("upgrade installs the release that was the latest when it asked", async () => {
  await using installer = await Installer.create(SHELLS.dash);
  const { server } = installer;
  await launched(installer);
  await server.publish(NEXT, standIn({ version: NEXT }));
  // Meanwhile an older one has become the latest.
  await server.publish(OLDER, standIn({ version: OLDER }));
  server.put("latest/download/VERSION", `${NEXT}\n`);
  strictEqual((await upgrade(installer)).stdout, `Upgraded dev-sessions ${VERSION} to ${NEXT}\n`);
});

Deno.test("upgrade without curl asks with wget, and says where the version of the latest release can't be had", async (t) => {
  await using installer = await Installer.create(SHELLS.dash);
  const { server } = installer;
  const before = await launched(installer);
  const url = `${server.url}/latest/download/VERSION`;
  const way = "Name a version: dev-sessions upgrade --to <version>";
  for (const tool of ["curl", "wget", "busybox wget"]) {
    await t.step(tool, async () => {
      const PATH = await installer.only([tool.split(" ")[0]!, "tmux"]);
      if (tool !== tool.split(" ")[0]) await Deno.symlink("busybox", join(PATH, "wget"));
      const { code, stdout, stderr } = await upgrade(installer, [], { PATH });
      deepStrictEqual([code, stdout], [1, ""]);
      match(stderr, /^Cannot tell which release is the latest: .*404/);
      ok(stderr.includes(`"${url}" can't be read: `) && stderr.includes(way), stderr);
      server.put("latest/download/VERSION", `${VERSION}\n`);
      strictEqual((await upgrade(installer, [], { PATH })).stdout, `dev-sessions ${VERSION} is current\n`);
      server.put("latest/download/VERSION", "<html>Please sign in</html>");
      match(
        (await upgrade(installer, [], { PATH })).stderr,
        /^Cannot tell which release is the latest: what ".*" holds is no version\. Name a version/,
      );
      server.remove("latest/download/VERSION");
      await Deno.remove(PATH, { recursive: true });
    });
  }
  await t.step("neither", async () => {
    const PATH = await installer.only(["tmux"]);
    match(
      (await upgrade(installer, [], { PATH })).stderr,
      /^Cannot download dev-sessions: there is neither curl nor wget/,
    );
  });
  strictEqual(await Deno.readTextFile(installer.executable), before);
});

Deno.test("upgrade says which installed skills the version in place would replace", async (t) => {
  await using installer = await Installer.create(SHELLS.dash);
  const { server, home } = installer;
  // Another version, with the skills of this one.
  const script = await launched(installer);
  const next = script.replace("exec ", `[ "$*" = --version ] && { echo ${NEXT}; exit; }\nexec `);
  await server.publish(NEXT, next);
  const file = join(home, ".claude", "skills", "handoff", "SKILL.md");
  await Deno.mkdir(join(file, ".."), { recursive: true });
  const said = "1 installed skill is of another version; to replace it: dev-sessions install-skill\n";
  for (
    const [name, text, expected] of [
      ["its own", SKILLS.find(({ name }) => name === "handoff")!.text, ""],
      ["changed by somebody", "my own words\n", ""],
      ["another version's", await stamped("---\nname: handoff\n---\nearlier\n"), said],
    ] as const
  ) {
    await t.step(name, async () => {
      await Deno.writeTextFile(file, text);
      await launched(installer);
      const upgraded = await upgrade(installer);
      strictEqual(upgraded.stdout, `Upgraded dev-sessions ${VERSION} to ${NEXT}\n`);
      ok(
        upgraded.stderr.endsWith(expected) && upgraded.stderr.includes("install-skill") === (expected !== ""),
      );
      await launched(installer);
      server.put("latest/download/VERSION", `${VERSION}\n`);
      const current = await upgrade(installer);
      deepStrictEqual([current.stdout, current.stderr], [`dev-sessions ${VERSION} is current\n`, expected]);
      server.put("latest/download/VERSION", `${NEXT}\n`);
      strictEqual(await Deno.readTextFile(file), text);
    });
  }
});

Deno.test("an upgrade that fails says why, and leaves what was there", async () => {
  await using installer = await Installer.create(SHELLS.dash);
  const before = await launched(installer);
  const missing = await upgrade(installer);
  strictEqual(missing.code, 1);
  strictEqual(missing.stdout, "");
  match(missing.stderr, /^Cannot tell which release is the latest: /);
  const named = await upgrade(installer, ["--to", NEXT]);
  strictEqual(named.code, 1);
  match(
    named.stderr,
    /^Cannot upgrade dev-sessions: there is no .* \(404\)\. Is there a version 99\.1\.0\? Without --to you get the latest\n/,
  );
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
  const wrongBase = await upgrade(installer, [], { DEV_SESSIONS_BASE_URL: "ftp://x/releases" });
  match(
    wrongBase.stderr,
    /^Cannot download from "ftp:.*: it is not an http address\. Correct DEV_SESSIONS_BASE_URL\n$/,
  );
  const checkout = await installer.sandbox.run(["upgrade"]);
  strictEqual(checkout.code, 1);
  match(checkout.stderr, /it runs from a checkout or a bundle/);
  const wrong = await upgrade(installer, ["--to", "newest"]);
  deepStrictEqual([wrong.code, wrong.stdout], [2, ""]);
});

Deno.test("placeOf() takes the folder above bin, and no other name", () => {
  const executable = "/home/me/.local/bin/dev-sessions";
  deepStrictEqual(placeOf({ kind: "compiled", executable }), { prefix: "/home/me/.local", executable });
  for (const other of ["/opt/dev-sessions", "/home/me/.local/bin/ds"]) {
    let message = "";
    try {
      placeOf({ kind: "compiled", executable: other });
    } catch (error) {
      message = String(error);
    }
    match(message, /was not put there by install\.sh/);
  }
});
