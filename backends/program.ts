/** Which program of an agent is installed, and in which version: asked of the program itself, for a bounded time. */

import type { Deps, RunResult } from "../lib/deps.ts";
import { firstLine } from "../lib/doctor/world.ts";
import { AppError, messageOf } from "../lib/errors.ts";

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

/** How `<program> --version` ended. */
export type VersionEvidence =
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "silent"; readonly why: string };

/** Null when it is not installed. Never throws for what the program does. */
export async function installedAgent(program: AgentProgram, deps: Deps): Promise<InstalledAgent | null> {
  const path = locatedProgram(program, deps);
  if (path === null) return null;
  const found = await versionOf(program, path, deps);
  return { path, version: found.kind === "version" ? found.version : null };
}

/** Its absolute path; null when it is not installed. */
export function locatedProgram(program: AgentProgram, deps: Pick<Deps, "env">): string | null {
  try {
    return program.locate(deps.env, deps.env["HOME"] ?? "");
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Never throws for what the program does. */
export async function versionOf(program: AgentProgram, path: string, deps: Deps): Promise<VersionEvidence> {
  const options = { env: program.quietly(deps.env), timeoutMs: VERSION_TIMEOUT_MS };
  const silent = (why: string) => ({ kind: "silent", why }) as const;
  let said: RunResult;
  try {
    said = await deps.run(path, ["--version"], options);
  } catch (error) {
    // E.g. a program of another architecture.
    return silent(`it can't be executed (${messageOf(error)})`);
  }
  switch (said.kind) {
    case "not_found":
      return silent("what it is started with is missing");
    case "timed_out":
      return silent(`--version gave no answer within ${VERSION_TIMEOUT_MS / 1000} s`);
    case "exited": {
      const version = said.code === 0 ? program.versionIn(said.stdout) : null;
      if (version !== null) return { kind: "version", version };
      const words = firstLine(said.stderr) || firstLine(said.stdout) || "nothing said";
      return silent(`--version ended with ${said.code} (${words})`);
    }
  }
}
