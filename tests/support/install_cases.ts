/** What the tests of install.sh have in common: versions, and cases that run under every shell. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { testAtOnce } from "./concurrent_steps.ts";
import { INSTALL_SH, Installer, type Shell, SHELLS, standIn } from "./installer.ts";

export const OLD = { version: "1.0.0" };
export const NEW = { version: "1.2.3" };
export const ASSET = `dev-sessions-${Deno.build.target}`;
export const SCRIPT = await Deno.readTextFile(INSTALL_SH);

/** One test per shell, whose cases run at once. */
export function testShells(
  name: string,
  cases: Readonly<Record<string, (shell: Shell) => Promise<void>>>,
): void {
  for (const [shell, command] of Object.entries(SHELLS)) {
    const bound = Object.entries(cases).map(([name, fn]) => [name, () => fn(command)]);
    testAtOnce(`${name} under ${shell}`, Object.fromEntries(bound));
  }
}

/** Every one of these must leave what was there, byte for byte, whatever was there. */
export async function refuses(
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
