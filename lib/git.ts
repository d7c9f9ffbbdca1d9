/** Asks git, in the folder that is named and nowhere else: whatever the caller's environment says of a repository. */

import type { Deps, RunResult } from "./deps.ts";
import { AppError } from "./errors.ts";

/** For a question; git answers in milliseconds unless a file system hangs. */
const QUESTION_TIMEOUT_MS = 10_000;

/** The caller's environment without any of git's own variables: a hook's GIT_DIR would name another repository. */
function gitEnvironment(env: Deps["env"]): Record<string, string> {
  const others = Object.entries(env).filter(([name]) => !name.startsWith("GIT_"));
  return { ...Object.fromEntries(others), LC_ALL: "C", GIT_TERMINAL_PROMPT: "0" };
}

/** A question changes nothing, fetches nothing, and sees the commits as they are. */
const QUESTION = { GIT_OPTIONAL_LOCKS: "0", GIT_NO_LAZY_FETCH: "1", GIT_NO_REPLACE_OBJECTS: "1" } as const;
/** A monitor of the file system would be started, and outlive us. */
const NO_MONITOR = ["-c", "core.fsmonitor=false"] as const;

type GitDeps = Pick<Deps, "run" | "env">;

/** Asks git something. */
export function queryGit(deps: GitDeps, folder: string, args: readonly string[]): Promise<RunResult> {
  return deps.run("git", ["-C", folder, ...NO_MONITOR, ...args], {
    env: { ...gitEnvironment(deps.env), ...QUESTION },
    timeoutMs: QUESTION_TIMEOUT_MS,
  });
}

/** Has git change something. */
export function runGit(
  deps: GitDeps,
  folder: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<RunResult> {
  return deps.run("git", ["-C", folder, ...NO_MONITOR, ...args], {
    env: gitEnvironment(deps.env),
    timeoutMs,
  });
}

/** What git said instead of an answer, on one line. */
export function gitComplaint(result: RunResult): string {
  switch (result.kind) {
    case "not_found":
      return "git was not found on PATH";
    case "timed_out":
      return "git did not answer in time";
    case "exited": {
      const lines = result.stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
      const said = lines.find((line) => /^(?:fatal|error): /.test(line)) ?? lines.at(-1);
      return said === undefined ? `git ended with code ${result.code}` : `git says: ${said}`;
    }
  }
}

/** Stdout without the line end, or null when git ended with another code than 0. @throws AppError when it did not end. */
export async function askGit(
  deps: GitDeps,
  folder: string,
  args: readonly string[],
  cannot: string,
): Promise<string | null> {
  const result = await queryGit(deps, folder, args);
  if (result.kind !== "exited") throw new AppError("failure", `${cannot}: ${gitComplaint(result)}`);
  return result.code === 0 ? result.stdout.replace(/\n$/, "") : null;
}
