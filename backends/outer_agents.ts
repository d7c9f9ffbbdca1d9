/** What an environment tells of the caller alone: an agent around it, its terminal, its repository. Pure. */

import { CLAUDE_MARKS } from "./claude/outer_marks.ts";
import { CODEX_MARKS } from "./codex/outer_marks.ts";

/** Variables that an agent sets for the processes it starts, by which they know that they run within it. */
export interface OuterMarks {
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
}

type Env = Readonly<Record<string, string>>;

const MARKS: readonly OuterMarks[] = [CLAUDE_MARKS, CODEX_MARKS];

/** Beside TERM. */
const TERMINAL_NAMES: ReadonlySet<string> = new Set([
  "TERM_PROGRAM",
  "TERM_PROGRAM_VERSION",
  "COLORTERM",
  "TMUX",
  "TMUX_PANE",
  "STY",
  "LINES",
  "COLUMNS",
  "SHLVL",
  "_",
  "OLDPWD",
  "PWD",
  "NO_COLOR",
  "FORCE_COLOR",
]);

/** What names a repository other than the one around the folder; a git hook sets it. Source: `git rev-parse --local-env-vars`. */
const REPOSITORY_NAMES: ReadonlySet<string> = new Set([
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_DIR",
  "GIT_GRAFT_FILE",
  "GIT_IMPLICIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_INTERNAL_SUPER_PREFIX",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_SHALLOW_FILE",
  "GIT_WORK_TREE",
]);

/** The caller's environment without marks of outer agents; for everything that we start. */
export function withoutOuterAgent(env: Env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) =>
      !MARKS.some(({ names, prefixes }) =>
        names.includes(name) || prefixes.some((prefix) => name.startsWith(prefix))
      )
    ),
  );
}

/** Whether a variable belongs to the caller's terminal, or to the repository that it works in. */
export function isOfCallersPlace(name: string): boolean {
  return TERMINAL_NAMES.has(name) || REPOSITORY_NAMES.has(name);
}
