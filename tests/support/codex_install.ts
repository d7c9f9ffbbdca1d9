/** Provides the pinned, real Codex: installed once from the npm registry, shared by all processes and runs. */

import { join } from "node:path";

export const CODEX_VERSION = "0.169.0";

const PACKAGE_FOLDER = "node_modules/@openai";

/** The native executable below an npm prefix, or null. */
async function executableIn(prefix: string): Promise<string | null> {
  const [os, triple] = Deno.build.os === "darwin"
    ? ["darwin", "apple-darwin"]
    : ["linux", "unknown-linux-musl"];
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const target = `${Deno.build.arch}-${triple}`;
  const path = join(prefix, PACKAGE_FOLDER, `codex-${os}-${arch}`, "vendor", target, "bin", "codex");
  try {
    return (await Deno.stat(path)).isFile ? path : null;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return null;
  }
}

function cacheFolder(): string {
  const configured = Deno.env.get("DEV_SESSIONS_AGENT_CACHE");
  if (configured) return configured;
  const here = import.meta.dirname;
  if (here === undefined) throw new Error("Cannot find the checkout: this module is not a local file");
  return join(here, "..", "..", ".cache", "agents");
}

async function npmInstall(prefix: string): Promise<void> {
  const args = ["install", "--no-audit", "--no-fund", "--prefix", prefix];
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("npm", {
      args: [...args, `@openai/codex@${CODEX_VERSION}`],
      cwd: prefix,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot install Codex ${CODEX_VERSION}: npm is not on PATH. Install Node.js with npm, or point ` +
        "DEV_SESSIONS_AGENT_CACHE at a folder that has it",
    );
  }
  if (!output.success) {
    const stderr = new TextDecoder().decode(output.stderr).trim();
    throw new Error(
      `Cannot install Codex ${CODEX_VERSION}: npm exited with ${output.code}:\n${stderr}`,
    );
  }
}

/**
 * The absolute path of Codex's executable; calls npm only when it is not there yet.
 * @throws Error when npm is missing or fails, with npm's stderr.
 */
export async function ensureCodex(): Promise<string> {
  const cache = cacheFolder();
  const name = `codex-${CODEX_VERSION}`;
  const target = join(cache, name);
  const present = await executableIn(target);
  if (present !== null) return await Deno.realPath(present);

  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(join(cache, `${name}.lock`), { create: true, write: true });
  await lock.lock(true);
  const meanwhile = await executableIn(target);
  if (meanwhile !== null) return await Deno.realPath(meanwhile);

  // We hold the lock: other attempts' folders belong to killed processes.
  for await (const entry of Deno.readDir(cache)) {
    if (entry.name.startsWith(`${name}.partial-`)) {
      await Deno.remove(join(cache, entry.name), { recursive: true });
    }
  }
  const partial = await Deno.makeTempDir({ dir: cache, prefix: `${name}.partial-` });
  try {
    await npmInstall(partial);
    if (await executableIn(partial) === null) {
      throw new Error(
        `Cannot use Codex ${CODEX_VERSION}: npm installed no executable for this platform`,
      );
    }
    await Deno.remove(target, { recursive: true }).catch(() => {});
    await Deno.rename(partial, target);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    throw error;
  }
  const installed = await executableIn(target);
  if (installed === null) throw new Error(`Cannot find Codex in ${target} after its installation`);
  return await Deno.realPath(installed);
}

if (import.meta.main) {
  await Deno.stdout.write(new TextEncoder().encode(await ensureCodex() + "\n"));
}
