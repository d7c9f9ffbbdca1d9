/** The environment an agent is started with: the caller's, without a trace of an agent around it. Pure. */

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

/** Belongs to the terminal of the caller; the agent gets that of its own pane. */
const TERMINAL_NAMES: ReadonlySet<string> = new Set([
  "TERM",
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

/** What tmux sets for a pane; the launcher passes it through by name. */
export const PANE_NAMES = ["TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "TMUX", "TMUX_PANE"];

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

/** Names from design and compatibility; set for each agent by us, so an outer session's must not leak in. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  "DEV_SESSIONS_ID",
  "DEV_SESSIONS_SANDBOX",
  // Ours for a trusted folder; inherited, it would trust any folder for a session within the session.
  "CLAUDE_CODE_SANDBOXED",
]);

/** The caller's environment without marks of outer agents; for everything that we start. */
export function withoutOuterAgent(env: Env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) =>
      !OUTER_AGENT_NAMES.has(name) && !OUTER_AGENT_PREFIXES.some((prefix) => name.startsWith(prefix))
    ),
  );
}

/** What the agent gets, beside the pane's own terminal variables. */
export function agentEnvironment(
  caller: Env,
  session: { readonly id: string; readonly trusted: boolean; readonly configFolder: string | null },
): Record<string, string> {
  const base = Object.fromEntries(
    Object.entries(withoutOuterAgent(caller)).filter(([name]) =>
      !TERMINAL_NAMES.has(name) && !OWN_NAMES.has(name) && !REPOSITORY_NAMES.has(name) &&
      /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
    ),
  );
  return {
    ...base,
    ...(session.configFolder === null ? {} : { CLAUDE_CONFIG_DIR: session.configFolder }),
    ...(session.trusted ? { CLAUDE_CODE_SANDBOXED: "1" } : {}),
    IS_SANDBOX: "1",
    CLAUDE_CODE_FORCE_SESSION_PERSISTENCE: "1",
    CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN: "1",
    DISABLE_AUTOUPDATER: "1",
    DEV_SESSIONS_ID: session.id,
    DEV_SESSIONS_SANDBOX: "0",
  };
}
