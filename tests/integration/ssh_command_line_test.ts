/** The line that ssh is given: every login shell reads it in the same way. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { quote, remoteCommandLine } from "../../gateway/ssh/command.ts";

const RPC = { kind: "rpc" } as const;

const SHELLS = ["/bin/sh", "/bin/bash", "/usr/bin/dash", "/usr/bin/zsh", "/usr/bin/fish"];
const TEXTS = [
  "",
  "plain",
  "it's",
  "a\\b",
  "a\\\\b'c\\'d",
  "$HOME `id` $(id)",
  '"q"',
  "!x #y *",
  "ü 日本",
  "'''",
  "\\",
];

for (const shell of SHELLS) {
  const there = await Deno.stat(shell).then(() => true, () => false);
  Deno.test({ name: `${shell} reads a quoted word as it is`, ignore: !there }, async () => {
    for (const text of TEXTS) {
      const { stdout } = await new Deno.Command(shell, { args: ["-c", `printf %s ${quote(text)}`] }).output();
      strictEqual(new TextDecoder().decode(stdout), text);
    }
  });

  Deno.test({
    name: `given to ${shell}, the line runs the command with its arguments in a login shell`,
    ignore: !there,
  }, async () => {
    const home = await Deno.makeTempDir({ prefix: "ds-line-" });
    try {
      await Deno.mkdir(`${home}/.local/bin`, { recursive: true });
      const program = '#!/bin/sh\nfor one; do printf "<%s>" "$one"; done; printf " %s" "$WORD"\n';
      await Deno.writeTextFile(`${home}/.local/bin/ds-of-test`, program, { mode: 0o755 });
      const run = async (bin: string, login = shell) => {
        const { stdout, code } = await new Deno.Command(shell, {
          args: ["-c", remoteCommandLine(bin, RPC)],
          clearEnv: true,
          env: { HOME: home, SHELL: login, PATH: "/usr/bin:/bin" },
          stdin: "null",
        }).output();
        return { code, text: new TextDecoder().decode(stdout) };
      };
      deepStrictEqual(await run("ds-of-test"), { code: 0, text: "<rpc> " });
      deepStrictEqual(await run(`env WORD='it is' ds-of-test "two words" a\\\\b`), {
        code: 0,
        text: "<two words><a\\b><rpc> it is",
      });
      deepStrictEqual(await run("~/.local/bin/ds-of-test"), { code: 0, text: "<rpc> " });
      // A login shell that is none of those that we know.
      deepStrictEqual(await run("ds-of-test", "/bin/false"), { code: 0, text: "<rpc> " });
      strictEqual((await run("ds-not-there")).code, 127);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  });
}
