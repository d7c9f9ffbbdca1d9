/** The backends of this build. Adding an agent is one folder beside this file and one line here. */

import type { AgentKind } from "../lib/session.ts";
import type { Deps } from "../lib/deps.ts";
import type { Examiner } from "../lib/doctor/world.ts";
import type { Paths } from "../lib/paths.ts";
import type { Backend } from "./backend.ts";
import type { AgentProgram } from "./program.ts";

type Loader = (deps: Deps, paths: Paths) => Promise<Backend>;

/** Loaded when the first session of that agent is touched. */
export const BACKENDS: Readonly<Partial<Record<AgentKind, Loader>>> = {
  claude: async (deps, paths) => new (await import("./claude/backend.ts")).ClaudeBackend(deps, paths),
  codex: async (deps, paths) => new (await import("./codex/backend.ts")).CodexBackend(deps, paths),
};

/** The agents' own programs. */
export const PROGRAMS: Readonly<Partial<Record<AgentKind, () => Promise<AgentProgram>>>> = {
  claude: async () => (await import("./claude/program.ts")).CLAUDE_PROGRAM,
  codex: async () => (await import("./codex/program.ts")).CODEX_PROGRAM,
};

/** What `doctor` examines of each agent. */
export const EXAMINERS: Readonly<Partial<Record<AgentKind, () => Promise<Examiner>>>> = {
  claude: async () => (await import("./claude/checkup.ts")).checkClaude,
  codex: async () => (await import("./codex/checkup.ts")).checkCodex,
};
