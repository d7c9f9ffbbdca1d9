/** Whether the skills that teach agents to use dev-sessions are those of this version. */

import { isFolder } from "../files.ts";
import { folderOf } from "../posix_path.ts";
import { AGENT_KINDS } from "../session.ts";
import { type InstalledSkill, type SkillState, skillStates } from "../skills.ts";
import { counted, type Finding, note, ok, some } from "./finding.ts";
import type { World } from "./world.ts";

const CHECK = "skills";

export async function checkSkills({ deps }: World): Promise<Finding[]> {
  const { env } = deps;
  const states = await skillStates({ agents: AGENT_KINDS, scope: "global", env, cwd: deps.cwd });
  return judgeSkills(states.filter(({ path }) => isFolder(folderOf(folderOf(folderOf(path))))));
}

/** @param states of the agents whose own folder is there. Pure. */
export function judgeSkills(states: readonly Pick<InstalledSkill, "path" | "state">[]): Finding[] {
  if (states.length === 0) return [];
  if (states.every(({ state }) => state === "missing")) {
    return [note(CHECK, "no skills are installed", {
      why: "agents do not know by themselves how to use dev-sessions",
      fix: ["Install them", "dev-sessions install-skill"],
    })];
  }
  const findings = (["outdated", "changed", "missing", "unknown"] as const).flatMap((state) => {
    const paths = states.filter((one) => one.state === state).map(({ path }) => path);
    return paths.length === 0 ? [] : [noteOf(state, paths)];
  });
  return findings.length > 0 ? findings : [ok(CHECK, "the installed skills are those of this version")];
}

function noteOf(state: Exclude<SkillState, "current">, paths: readonly string[]): Finding {
  const skills = counted(paths.length, "skill");
  const are = paths.length === 1 ? "is" : "are";
  switch (state) {
    case "outdated":
      return note(CHECK, `${counted(paths.length, "installed skill")} of another version: ${some(paths)}`, {
        why: "agents may call what has changed since",
        fix: ["Install those of this version", "dev-sessions install-skill"],
      });
    case "changed":
      return note(CHECK, `${skills} ${are} not of this version: ${some(paths)}`, {
        why: "changed by you, or of 0.4.4, or somebody else's",
        fix: [
          "If nothing in the files is needed, replace them",
          "dev-sessions install-skill --force",
        ],
      });
    case "missing":
      return note(CHECK, `${skills} ${are} not installed: ${some(paths)}`, {
        why: "agents do not know what these would teach them",
        fix: ["Install the rest", "dev-sessions install-skill"],
      });
    case "unknown":
      return note(CHECK, `${skills} can't be read: ${some(paths)}`, {
        fix: ["See what would be installed", "dev-sessions install-skill --dry-run"],
      });
  }
}
