/**
 * The skills, and whose each installed one is: the last line of a file that `install-skill` wrote says what the text
 * above it was, so that a text which somebody has changed is told from an old one of ours without a record elsewhere.
 */

import delegate from "../skills/delegate/SKILL.md" with { type: "text" };
import devSessions from "../skills/dev-sessions/SKILL.md" with { type: "text" };
import handoff from "../skills/handoff/SKILL.md" with { type: "text" };
import { messageOf } from "./errors.ts";
import { type SkillScope, skillsFolder } from "./paths.ts";
import { type Folder, folderOf } from "./posix_path.ts";
import type { AgentKind } from "./session.ts";
import { sha256 } from "./sha256.ts";

export interface Skill {
  readonly name: string;
  /** Without the last line that an installed one has. */
  readonly text: string;
}

export const SKILLS: readonly Skill[] = [
  { name: "dev-sessions", text: devSessions },
  { name: "handoff", text: handoff },
  { name: "delegate", text: delegate },
];

/**
 * `current`: what this version installs. `outdated`: what another version has installed, and nobody has changed.
 * `changed`: anything else, so somebody's own. `unknown`: it can't be read; the reason is beside it.
 */
export type SkillState = "current" | "outdated" | "changed" | "missing" | "unknown";

export interface InstalledSkill {
  readonly name: string;
  readonly agent: AgentKind;
  /** Of its SKILL.md. */
  readonly path: string;
  readonly state: SkillState;
  /** Why the state is unknown, else null. */
  readonly reason: string | null;
  /** What the file holds; null when it is missing or unknown. */
  readonly content: string | null;
  /** The link that stands in the place of the file or of its folder, else null. */
  readonly link: string | null;
}

export interface SkillPlaces {
  readonly agents: readonly AgentKind[];
  readonly scope: SkillScope;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: Folder;
}

const FILE = "SKILL.md";
const LAST_LINE =
  /^<!-- Installed by dev-sessions install-skill; sha256 of the text above: ([0-9a-f]{64}) -->$/;
/** No skill of ours is near; what is longer is not read. */
const MAX_BYTES = 1_000_000;

/** What stands in each place where `install-skill` installs. @throws AppError when HOME is needed and unset. */
export async function skillStates({ agents, scope, env, cwd }: SkillPlaces): Promise<InstalledSkill[]> {
  const places = agents.flatMap((agent) => {
    const folder = skillsFolder(agent, scope, env, cwd);
    return SKILLS.map((skill) => ({ agent, skill, path: `${folder}/${skill.name}/${FILE}` }));
  });
  return await Promise.all(places.map(async ({ agent, skill: { name, text }, path }) => {
    const found = await read(path);
    const state = found.reason === null ? await stateOf(found.content, text) : "unknown";
    return { name, agent, path, state, ...found };
  }));
}

/** What the content of a file says about whose it is; null: there is no file. */
export async function stateOf(
  content: string | null,
  text: string,
): Promise<Exclude<SkillState, "unknown">> {
  if (content === null) return "missing";
  const { above, hash } = split(content);
  if (hash === null) return content === text ? "current" : "changed";
  if (hash !== await sha256(above)) return "changed";
  return above === text ? "current" : "outdated";
}

/** The text as it is installed, with the line that tells later whether somebody has changed it. */
export async function stamped(text: string): Promise<string> {
  const above = text.endsWith("\n") ? text : `${text}\n`;
  return `${above}<!-- Installed by dev-sessions install-skill; sha256 of the text above: ${await sha256(
    above,
  )} -->\n`;
}

/** Hash is null for a content without our last line. */
function split(content: string): { readonly above: string; readonly hash: string | null } {
  const whole = content.replace(/\n$/, "");
  const at = whole.lastIndexOf("\n") + 1;
  const hash = LAST_LINE.exec(whole.slice(at))?.[1] ?? null;
  return { above: whole.slice(0, at), hash };
}

type Found = Pick<InstalledSkill, "content" | "reason" | "link">;

async function read(path: string): Promise<Found> {
  const link = await linkIn(folderOf(path)) ?? await linkIn(path);
  const unknown = (reason: string): Found => ({ content: null, reason, link });
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) return unknown("it is not a regular file");
    if (size > MAX_BYTES) return { content: "", reason: null, link };
    return { content: await Deno.readTextFile(path), reason: null, link };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return unknown(messageOf(error));
    return link === null
      ? { content: null, reason: null, link }
      : unknown("it is a symbolic link to what is not there");
  }
}

/** The path itself when it is a symbolic link. */
async function linkIn(path: string): Promise<string | null> {
  try {
    return (await Deno.lstat(path)).isSymlink ? path : null;
  } catch {
    return null;
  }
}
