/** What Claude Code sets for the processes it starts. */

import type { OuterMarks } from "../outer_agents.ts";

export const CLAUDE_MARKS: OuterMarks = {
  names: [
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
  ],
  prefixes: [
    "CLAUDE_CODE_CHILD_",
    "CLAUDE_CODE_SESSION_",
    "CLAUDE_CODE_MESSAGING_",
    "CLAUDE_CODE_BRIDGE_",
    "CLAUDE_CODE_AGENT_",
    "CLAUDE_AGENT_SDK_",
  ],
};
