/** Whether the skills that teach agents to use dev-sessions are those of this version. */

import { folderOf } from "../posix_path.ts";
import { AGENT_KINDS } from "../session.ts";
import { type InstalledSkill, skillStates } from "../skills.ts";
import { counted, type Finding, note, ok, some } from "./finding.ts";
import type { World } from "./world.ts";

export async function checkSkills({ deps }: World): Promise<Finding[]> {
  const { env } = deps;
  const states = await skillStates({ agents: AGENT_KINDS, scope: "global", env, cwd: deps.cwd() });
  return judgeSkills(states.filter(({ path }) => isThere(folderOf(folderOf(folderOf(path))))));
}

/** @param states of the agents whose own folder is there. Pure. */
export function judgeSkills(states: readonly Pick<InstalledSkill, "path" | "state">[]): Finding[] {
  const check = "skills";
  const pathsOf = (state: InstalledSkill["state"]) =>
    states.filter((one) => one.state === state).map(({ path }) => path);
  const findings: Finding[] = [];
  const outdated = pathsOf("outdated");
  if (outdated.length > 0) {
    findings.push(
      note(check, `${counted(outdated.length, "installed skill")} of another version: ${some(outdated)}`, {
        why: "agents may call what has changed since",
        fix: ["Install those of this version", "dev-sessions install-skill"],
      }),
    );
  }
  const unknown = pathsOf("unknown");
  if (unknown.length > 0) {
    findings.push(note(check, `${counted(unknown.length, "skill")} can't be read: ${some(unknown)}`, {
      fix: ["See what would be installed", "dev-sessions install-skill --dry-run"],
    }));
  }
  const isMissing = states.length > 0 && states.every(({ state }) => state === "missing");
  if (isMissing) {
    findings.push(note(check, "no skills are installed", {
      why: "agents do not know by themselves how to use dev-sessions",
      fix: ["Install them", "dev-sessions install-skill"],
    }));
  }
  if (findings.length > 0 || states.length === 0) return findings;
  const changed = pathsOf("changed");
  return [
    ok(
      check,
      "the installed skills are those of this version",
      changed.length === 0 ? null : `changed by you: ${some(changed)}`,
    ),
  ];
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
