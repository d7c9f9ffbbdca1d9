/**
 * Installs and removes skills: what somebody has changed stays unless it is forced, whatever can fail has been tried
 * before the first file changes, and a reader never sees a part of one.
 */

import { AppError, messageOf } from "./errors.ts";
import { baseName, folderOf } from "./posix_path.ts";
import { type InstalledSkill, SKILLS, stamped } from "./skills.ts";

export interface SkillRequest {
  readonly uninstall: boolean;
  readonly force: boolean;
}

/**
 * `unchanged`: nothing to do. `kept`: somebody has changed it, and nothing was forced. `linked`: a link to another of
 * the same call, which decides.
 */
export type SkillAction = "install" | "remove" | "unchanged" | "kept" | "linked";

export interface PlannedSkill {
  readonly skill: InstalledSkill;
  readonly action: SkillAction;
  /** Why it can't be done; then nothing is. */
  readonly blocked: string | null;
}

/** What is to be done with each. `real`: where each lies when links are followed; equal for one file. */
export function planSkills(
  skills: readonly InstalledSkill[],
  real: readonly string[],
  { uninstall, force }: SkillRequest,
): PlannedSkill[] {
  // Of several ways to one file the first that is no link is the one that is gone.
  const owner = new Map<string, number>();
  skills.forEach(({ link }, index) => {
    const path = real[index]!;
    if (link === null && !owner.has(path)) owner.set(path, index);
  });
  return skills.map((skill, index) => {
    const { state, link, reason } = skill;
    const plan = (action: SkillAction, blocked: string | null = null) => ({ skill, action, blocked });
    if (state === (uninstall ? "missing" : "current")) return plan("unchanged");
    const through = owner.get(real[index]!);
    // Removed through a link, a link to nothing would stay.
    const follows = through !== undefined && through !== index && (link === null || !uninstall);
    if (follows) return plan("linked");
    if (link !== null) return plan("unchanged", `${quoted(link)} is a symbolic link. Remove it first`);
    if (state === "unknown") return plan("unchanged", reason ?? "it can't be read");
    if (state === "changed" && !force) return plan("kept");
    return plan(uninstall ? "remove" : "install");
  });
}

/** Where each file lies, or will lie. */
export async function realPaths(skills: readonly InstalledSkill[]): Promise<string[]> {
  return await Promise.all(skills.map(({ path }) => realPath(path)));
}

async function realPath(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch {
    return path === "/" ? path : `${await realPath(folderOf(path))}/${baseName(path)}`;
  }
}

/** @throws AppError that names every skill of the plan that can't be done. */
export function assertPossible(plan: readonly PlannedSkill[], { uninstall }: SkillRequest): void {
  const blocked = plan.flatMap(({ skill, blocked }) => blocked === null ? [] : [{ skill, why: blocked }]);
  if (blocked.length > 0) throw refusal(blocked, uninstall);
}

/** Does what is possible. @throws AppError before anything has changed, or naming what was not done. */
export async function carryOut(plan: readonly PlannedSkill[], unique: string): Promise<void> {
  const todo = plan.filter(({ action }) => action === "install" || action === "remove")
    .map(({ skill, action }) => ({ skill, action, part: `${folderOf(skill.path)}/.SKILL.md.${unique}` }));
  const made: string[] = [];
  try {
    for (const { skill, action, part } of todo) {
      try {
        await makeFolders(folderOf(skill.path), made);
        await Deno.writeTextFile(part, action === "install" ? await textOf(skill) : "", { createNew: true });
        if (skill.content !== null) {
          await Deno.chmod(part, ((await Deno.stat(skill.path)).mode ?? 0o644) & 0o777);
        }
      } catch (error) {
        throw refusal([{ skill, why: messageOf(error) }], action === "remove");
      }
    }
    for (const { skill, action, part } of todo) {
      await assertUntouched(skill, part);
      if (action === "install") await Deno.rename(part, skill.path);
      else await Deno.remove(skill.path);
    }
  } finally {
    for (const { part } of todo) await Deno.remove(part).catch(() => {});
    // Only an empty folder can be removed in this way.
    const emptied = todo.filter(({ action }) => action === "remove").map(({ skill }) => folderOf(skill.path));
    for (const folder of [...emptied, ...made.reverse()]) await Deno.remove(folder).catch(() => {});
  }
}

interface Blocked {
  readonly skill: InstalledSkill;
  readonly why: string;
}

function refusal([first, ...others]: readonly Blocked[], removing: boolean): AppError {
  const sentence = ({ skill: { name, path }, why }: Blocked) =>
    `Cannot ${removing ? "remove" : "install"} skill "${name}" ${removing ? "at" : "to"} ${quoted(path)}: ${
      why.replace(/\.$/, "")
    }`;
  return new AppError(
    "failure",
    `${sentence(first!)}. Nothing was changed`,
    others.length === 0 ? null : others.map(sentence).join("\n"),
  );
}

async function textOf({ name }: InstalledSkill): Promise<string> {
  const skill = SKILLS.find((one) => one.name === name);
  if (skill === undefined) throw new Error(`no such skill: ${name}`);
  return await stamped(skill.text);
}

/** Notes each folder that it made, the outermost first. */
async function makeFolders(path: string, made: string[]): Promise<void> {
  if (await isFolder(path)) return;
  await makeFolders(folderOf(path), made);
  try {
    await Deno.mkdir(path);
    made.push(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Another call has just made it, or it is a link to nothing.
    if (!await isFolder(path)) throw new Error(`${quoted(path)} is no folder`);
  }
}

/** @throws for what is there and is no folder. */
async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await Deno.stat(path)).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error(`${quoted(path)} is no folder`);
}

/** Another call may have written the same. */
async function assertUntouched({ name, path, content }: InstalledSkill, part: string): Promise<void> {
  let now: string | null;
  try {
    now = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    now = null;
  }
  // A file that is too long to be ours is known without its content.
  if (now === content || (content === "" && now !== null) || now === await Deno.readTextFile(part)) return;
  throw new AppError(
    "failure",
    `Cannot replace skill "${name}" at ${quoted(path)}: somebody has just changed it. Please run this again`,
  );
}

function quoted(path: string): string {
  return JSON.stringify(path);
}
