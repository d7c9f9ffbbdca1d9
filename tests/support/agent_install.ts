/** Provides the pinned, real agents: installed once from the npm registry, shared by all processes and runs. */

import { join } from "node:path";

export const CLAUDE_VERSION = "2.1.330";
export const CODEX_VERSION = "0.169.0";

interface Agent {
  readonly name: string;
  /** In the cache's folder. */
  readonly short: string;
  readonly package: string;
  readonly version: string;
  /** Where its native executable may be below an npm prefix. */
  readonly candidates: readonly string[];
}

const OS = Deno.build.os === "darwin" ? "darwin" : "linux";
const ARCH = Deno.build.arch === "aarch64" ? "arm64" : "x64";
const TRIPLE = `${Deno.build.arch}-${OS === "darwin" ? "apple-darwin" : "unknown-linux-musl"}`;

const CLAUDE: Agent = {
  name: "Claude Code",
  short: "claude",
  package: "@anthropic-ai/claude-code",
  version: CLAUDE_VERSION,
  candidates: [
    `@anthropic-ai/claude-code-${OS}-${ARCH}/claude`,
    `@anthropic-ai/claude-code-${OS}-${ARCH}-musl/claude`,
    "@anthropic-ai/claude-code/bin/claude.exe",
  ],
};
const CODEX: Agent = {
  name: "Codex",
  short: "codex",
  package: "@openai/codex",
  version: CODEX_VERSION,
  candidates: [`@openai/codex-${OS}-${ARCH}/vendor/${TRIPLE}/bin/codex`],
};

/**
 * The absolute path of Claude Code's executable; calls npm only when it is not there yet.
 * @throws Error when npm is missing or fails, with npm's stderr.
 */
export function ensureClaude(): Promise<string> {
  return ensure(CLAUDE);
}

/** As `ensureClaude()`, of Codex. */
export function ensureCodex(): Promise<string> {
  return ensure(CODEX);
}

async function ensure(agent: Agent): Promise<string> {
  const cache = cacheFolder();
  const folder = `${agent.short}-${agent.version}`;
  const label = `${agent.name} ${agent.version}`;
  const target = join(cache, folder);
  const present = await executableIn(target, agent);
  if (present !== null) return await Deno.realPath(present);

  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(join(cache, `${folder}.lock`), { create: true, write: true });
  await lock.lock(true);
  const meanwhile = await executableIn(target, agent);
  if (meanwhile !== null) return await Deno.realPath(meanwhile);

  // We hold the lock: other attempts' folders belong to killed processes.
  for await (const entry of Deno.readDir(cache)) {
    if (entry.name.startsWith(`${folder}.partial-`)) {
      await Deno.remove(join(cache, entry.name), { recursive: true });
    }
  }
  const partial = await Deno.makeTempDir({ dir: cache, prefix: `${folder}.partial-` });
  try {
    await npmInstall(partial, `${agent.package}@${agent.version}`, label);
    if (await executableIn(partial, agent) === null) {
      throw new Error(`Cannot use ${label}: npm installed no executable for this platform`);
    }
    await Deno.remove(target, { recursive: true }).catch(() => {});
    await Deno.rename(partial, target);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    throw error;
  }
  const installed = await executableIn(target, agent);
  if (installed === null) throw new Error(`Cannot find ${label} in ${target} after its installation`);
  return await Deno.realPath(installed);
}

async function executableIn(prefix: string, { candidates }: Agent): Promise<string | null> {
  for (const candidate of candidates) {
    const path = join(prefix, "node_modules", candidate);
    try {
      if ((await Deno.stat(path)).isFile) return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

function cacheFolder(): string {
  const configured = Deno.env.get("DEV_SESSIONS_AGENT_CACHE");
  if (configured) return configured;
  const here = import.meta.dirname;
  if (here === undefined) throw new Error("Cannot find the checkout: this module is not a local file");
  return join(here, "..", "..", ".cache", "agents");
}

async function npmInstall(prefix: string, what: string, label: string): Promise<void> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("npm", {
      args: ["install", "--no-audit", "--no-fund", "--prefix", prefix, what],
      cwd: prefix,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot install ${label}: npm is not on PATH. Install Node.js with npm, or point ` +
        "DEV_SESSIONS_AGENT_CACHE at a folder that has it",
    );
  }
  if (!output.success) {
    const stderr = new TextDecoder().decode(output.stderr).trim();
    throw new Error(`Cannot install ${label}: npm exited with ${output.code}:\n${stderr}`);
  }
}
