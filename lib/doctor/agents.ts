/** What the findings about the agents come to together: one that works is enough. Pure. */

import { AGENT_TITLES, type AgentKind, OFFERED_AGENTS } from "../session.ts";
import { type Found, problem, softened, warning } from "./finding.ts";
import type { Checkup } from "./world.ts";

export const NONE_INSTALLED = `neither ${
  OFFERED_AGENTS.map((agent) => AGENT_TITLES[agent]).join(" nor ")
} is installed`;

/**
 * Without any agent nothing can be done. Where the agent of `create` without `--cli` works, what keeps another one from
 * working is a warning only.
 */
export function weighAgents(checkups: readonly Checkup[], usual: AgentKind): Found[] {
  const installed = checkups.filter((checkup) => checkup.installed);
  if (installed.length === 0) {
    return [
      problem("agents", NONE_INSTALLED, {
        why: "dev-sessions starts them; on its own it does nothing",
        fix: ["Install one of them", "npm install -g @anthropic-ai/claude-code"],
      }),
    ];
  }
  const works = (checkup: Checkup | undefined) =>
    checkup !== undefined && checkup.installed && checkup.findings.every(({ level }) => level !== "problem");
  const usualWorks = works(checkups.find(({ agent }) => agent === usual));
  const findings = checkups.flatMap((checkup) =>
    checkup.agent !== usual && usualWorks ? checkup.findings.map(softened) : checkup.findings
  );
  const other = installed.find(({ agent }) => agent !== usual);
  if (installed.some(({ agent }) => agent === usual) || other === undefined) return findings;
  return [
    ...findings,
    warning("agents", `create without --cli starts ${usual}, which is not installed`, {
      why: `${other.agent} is`,
      fix:
        `Add --cli ${other.agent}, or set {"defaults":{"cli":"${other.agent}"}} in ~/.dev-sessions/config.json`,
    }),
  ];
}
