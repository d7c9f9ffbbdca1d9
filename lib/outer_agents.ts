/** What an environment tells of the caller alone: an agent around it, its terminal, its repository. Pure. */

type Env = Readonly<Record<string, string>>;

/** What Claude Code and Codex set for the processes they start, i.e. marks of an outer session. */
const OUTER_AGENT_NAMES: ReadonlySet<string> = new Set([
  "AI_AGENT",
  "CLAUDECODE",
  "CLAUDE_PID",
  "CLAUDE_EFFORT",
  "CLAUDE_ENV_FILE",
  "CLAUDE_PROJECT_DIR",
  "CLAUDE_PLUGIN_ROOT",
  "CLAUDE_PLUGIN_DATA",
  "CLAUDE_JOB_DIR",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_SSE_PORT",
  "CLAUDE_CODE_AGENT",
  "CLAUDE_CODE_REMOTE",
  "CLAUDE_CODE_TEAM_NAME",
  "CLAUDE_CODE_TASK_LIST_ID",
  "CLAUDE_CODE_PARENT_SESSION_ID",
  "CODEX_CI",
  "CODEX_MANAGED_BY_NPM",
  "CODEX_MANAGED_BY_BUN",
  "CODEX_THREAD_ID",
]);
const OUTER_AGENT_PREFIXES = [
  "CLAUDE_CODE_CHILD_",
  "CLAUDE_CODE_SESSION_",
  "CLAUDE_CODE_MESSAGING_",
  "CLAUDE_CODE_BRIDGE_",
  "CLAUDE_CODE_AGENT_",
  "CLAUDE_AGENT_SDK_",
  "CODEX_SANDBOX",
  "CODEX_INTERNAL_",
];

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
      !OUTER_AGENT_NAMES.has(name) && !OUTER_AGENT_PREFIXES.some((prefix) => name.startsWith(prefix))
    ),
  );
}

/** Whether a variable belongs to the caller's terminal, or to the repository that it works in. */
export function isOfCallersPlace(name: string): boolean {
  return TERMINAL_NAMES.has(name) || REPOSITORY_NAMES.has(name);
}
