/** The environment of an app-server that we start: everybody's, so nothing that belongs to one caller. Pure. */

import { isOfCallersPlace, withoutOuterAgent } from "../outer_agents.ts";

type Env = Readonly<Record<string, string>>;

/** Of an outer agent, or of a session of ours. `CLAUDE_CONFIG_DIR` too: it is one caller's, not everybody's. */
const OUTER_PREFIXES = ["CLAUDE_", "DEV_SESSIONS_", "CODEX_MANAGED_"];
const OUTER_NAMES: ReadonlySet<string> = new Set(["CODEX_SESSION_ID", "IS_SANDBOX"]);

/** `codexHome` is absolute. Commands of all its threads see this environment. */
export function serverEnvironment(caller: Env, codexHome: string): Record<string, string> {
  const kept = Object.entries(withoutOuterAgent(caller)).filter(([name]) =>
    !OUTER_NAMES.has(name) && !isOfCallersPlace(name) &&
    !OUTER_PREFIXES.some((prefix) => name.startsWith(prefix))
  );
  return { ...Object.fromEntries(kept), CODEX_HOME: codexHome };
}
