/** Which program of an agent is installed, and in which version: asked of the program itself, for a bounded time. */

import type { Deps } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";

type Env = Readonly<Record<string, string>>;

/** It answers within 100 ms, from a cold disk within 3 s. */
const VERSION_TIMEOUT_MS = 5_000;

/** What an agent knows of its own program. */
export interface AgentProgram {
  /** Its absolute path. @throws AppError when it is not installed. */
  readonly locate: (env: Env, home: string) => string;
  /** The environment in which `--version` writes nothing. */
  readonly quietly: (env: Env) => Env;
  readonly versionIn: (stdout: string) => string | null;
}

export interface InstalledAgent {
  readonly path: string;
  /** Null: it did not say, or not in time. */
  readonly version: string | null;
}

/** Null when it is not installed. Never throws for what the program does. */
export async function installedAgent(program: AgentProgram, deps: Deps): Promise<InstalledAgent | null> {
  let path: string;
  try {
    path = program.locate(deps.env, deps.env["HOME"] ?? "");
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
  const options = { env: program.quietly(deps.env), timeoutMs: VERSION_TIMEOUT_MS };
  // What can't be executed, e.g. of another architecture, says nothing either.
  const said = await deps.run(path, ["--version"], options).catch(() => null);
  const version = said?.kind === "exited" && said.code === 0 ? program.versionIn(said.stdout) : null;
  return { path, version };
}
