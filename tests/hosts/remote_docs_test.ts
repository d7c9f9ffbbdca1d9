/** The commands of docs/remote.md on a real second host; what they print is what stands there. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { CHECKOUT, consoleSteps, docBlocks, fits, normalised } from "../support/doc_blocks.ts";
import { lack, SshWorld } from "./ssh_world.ts";

const PAGE = "docs/remote.md";
const SHOWN_ID = "camille-jg";

Deno.test({
  name: lack === null ? "the commands of docs/remote.md" : `the commands of docs/remote.md (${lack})`,
  ignore: lack !== null,
  fn: async () => {
    await using world = await SshWorld.start();
    const { sandbox, host } = world;
    await Deno.writeTextFile(
      join(sandbox.root, "bin", "dev-sessions"),
      `#!/bin/sh\nexec '${Deno.execPath()}' run -A --quiet '${CHECKOUT}/main.ts' "$@"\n`,
      { mode: 0o755 },
    );
    // What the page takes for granted over there.
    const prepared = await host.shell(
      "git init -q src/api && cd src/api && git -c user.name=d -c user.email=d@x commit -q --allow-empty -m x && " +
        "mkdir ~/bin && ln -s ~/.local/bin/dev-sessions ~/bin/dev-sessions",
    );
    strictEqual(prepared.code, 0, prepared.stderr);
    await host.exec(["install", "-d", "-o", "dev", "/srv/codex"]);

    let id = SHOWN_ID;
    const run = async (command: string) => {
      const script = command.replaceAll(SHOWN_ID, id);
      const { code, stdout, stderr } = await sandbox.spawn("bash", ["-ec", script]).doneWithin(
        60_000,
        script,
      );
      strictEqual(code, 0, `${script}: ${stdout}${stderr}`);
      return stdout;
    };
    const kinds: string[] = [];
    for (const { kind, text, line } of docBlocks(PAGE, await Deno.readTextFile(join(CHECKOUT, PAGE)))) {
      kinds.push(kind);
      if (kind === "sh") {
        await run(text);
        continue;
      }
      for (const { command, output } of consoleSteps(text)) {
        const stdout = await run(command);
        id = /^Created session (\S+) on box$/m.exec(stdout)?.[1] ?? id;
        const shown = (words: string) => normalised(words.replaceAll(id, SHOWN_ID), null);
        ok(fits(shown(output), shown(stdout)), `${PAGE}:${line}: ${command}\n${stdout}`);
      }
    }
    deepStrictEqual(kinds, ["console", "sh", "sh"]);
  },
});
