/** Codex's own program. */

import { withoutOuterAgent } from "../outer_agents.ts";
import type { AgentProgram } from "../program.ts";
import { locateCodex } from "./locate.ts";

export const CODEX_PROGRAM: AgentProgram = {
  locate: locateCodex,
  // Every command of Codex writes into its folder, and makes it.
  quietly: (env) => ({ ...withoutOuterAgent(env), CODEX_HOME: "/dev/null" }),
  // codex-cli 0.169.0
  versionIn: (stdout) => /^\S+ (\d+\.\d+\.\d+\S*)/m.exec(stdout)?.[1] ?? null,
};
