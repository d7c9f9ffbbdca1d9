/**
 * What a release needs beside the executables: the tag must be the version, and `install.sh` must know where the
 * release is. `check <tag>`, and `installer <address of the releases> <install.sh> <copy>`.
 */

import { VERSION } from "../lib/version.ts";

const MARK = 'DEFAULT_BASE_URL=""';
/** Nothing in it means anything to a shell. */
const ADDRESS = /^https:\/\/[A-Za-z0-9.-]+(\/[A-Za-z0-9._-]+)*$/;

/** @throws Error unless the tag is `v` and the version. */
export function checkTag(tag: string, version: string): void {
  if (tag === `v${version}`) return;
  throw new Error(
    `Cannot release "${tag}": the version in deno.json is ${version}. Change it, or push the tag v${version}`,
  );
}

/** `install.sh` with the address as its default. @throws Error unless its empty default stands there once. */
export function stampInstaller(script: string, address: string): string {
  if (!ADDRESS.test(address)) {
    throw new Error(`Cannot stamp install.sh: "${address}" is not the address of a folder`);
  }
  const lines = script.split("\n");
  const found = lines.filter((line) => line === MARK).length;
  if (found !== 1) {
    throw new Error(`Cannot stamp install.sh: the line ${MARK} stands there ${found} times, not once`);
  }
  return lines.map((line) => line === MARK ? `DEFAULT_BASE_URL="${address}"` : line).join("\n");
}

async function main([command, ...args]: readonly string[]): Promise<void> {
  const [first, from, to, ...excess] = args;
  if (command === "check" && first !== undefined && from === undefined) return checkTag(first, VERSION);
  if (
    command === "installer" && first !== undefined && from !== undefined && to !== undefined &&
    excess.length === 0
  ) {
    return await Deno.writeTextFile(to, stampInstaller(await Deno.readTextFile(from), first), {
      mode: 0o755,
    });
  }
  throw new Error(
    "Usage: deno task release check <tag> | installer <address of the releases> <install.sh> <copy>",
  );
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    await Deno.stderr.write(new TextEncoder().encode(`${error instanceof Error ? error.message : error}\n`));
    Deno.exit(1);
  }
}
