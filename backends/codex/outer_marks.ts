/** What Codex sets for the processes it starts. */

import type { OuterMarks } from "../outer_agents.ts";

export const CODEX_MARKS: OuterMarks = {
  names: ["CODEX_CI", "CODEX_MANAGED_BY_NPM", "CODEX_MANAGED_BY_BUN", "CODEX_THREAD_ID"],
  prefixes: ["CODEX_SANDBOX", "CODEX_INTERNAL_"],
};
