/** Claude Code's own program. */

import { withoutOuterAgent } from "../outer_agents.ts";
import type { AgentProgram } from "../program.ts";
import { locateClaude } from "./locate.ts";

export const CLAUDE_PROGRAM: AgentProgram = {
  locate: locateClaude,
  quietly: withoutOuterAgent,
  // 2.1.330 (Claude Code)
  versionIn: (stdout) => /^(\d+\.\d+\.\d+\S*)/.exec(stdout.trim())?.[1] ?? null,
};
