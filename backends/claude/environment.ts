/** The environment an agent is started with: the caller's, without a trace of an agent around it. Pure. */

import { isOfCallersPlace, withoutOuterAgent } from "../outer_agents.ts";

type Env = Readonly<Record<string, string>>;

/** What tmux sets for a pane; the launcher passes it through by name. */
export const PANE_NAMES = ["TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "TMUX", "TMUX_PANE"];

/** Names from design and compatibility; set for each agent by us, so an outer session's must not leak in. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  "DEV_SESSIONS_ID",
  "DEV_SESSIONS_SANDBOX",
  // The caller's own way to a gateway: on the host nobody needs it, and it would give the agent the caller's token.
  "DEV_SESSIONS_GATEWAY_URL",
  "DEV_SESSIONS_GATEWAY_TOKEN",
  "DEV_SESSIONS_GATEWAY_TOKEN_FILE",
  // Ours for a trusted folder; inherited, it would trust any folder for a session within the session.
  "CLAUDE_CODE_SANDBOXED",
]);

/** What a user's own wrapper may hand on into its container, where commands need it. */
export function gatewayVariables(caller: Env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(caller).filter(([name]) => name.startsWith("DEV_SESSIONS_GATEWAY_")),
  );
}

/** What the agent gets, beside the pane's own terminal variables. */
export function agentEnvironment(
  caller: Env,
  session: { readonly id: string; readonly trusted: boolean; readonly configFolder: string | null },
): Record<string, string> {
  const base = Object.fromEntries(
    Object.entries(withoutOuterAgent(caller)).filter(([name]) =>
      !isOfCallersPlace(name) && name !== "TERM" && !OWN_NAMES.has(name) &&
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
