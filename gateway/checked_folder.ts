/** The real folder behind a path that a token's holder names, and whether it is still that one. */

import * as v from "valibot";
import { AppError } from "../lib/errors.ts";
import type { Mode, Session } from "../lib/session.ts";
import type { Store } from "../lib/store.ts";
import { isWithin } from "../lib/posix_path.ts";
import { isNamedBelow, isReallyBelow, type Scope, scopeSchema } from "./scope.ts";
import { validityOf } from "./tokens.ts";

/** Modes without a container. */
const OUTSIDE: ReadonlySet<string> = new Set<Mode>(["yolo", "native"]);

/** A folder without symlinks on its way, as it was when it was checked. */
export interface CheckedFolder {
  readonly path: string;
  readonly dev: number;
  readonly ino: number | null;
}

/**
 * Says the same whatever is wrong with a path, so that nobody learns what there is outside of the roots.
 *
 * @throws AppError (refused)
 */
export async function checkFolder(scope: Scope, path: string): Promise<CheckedFolder> {
  const found = isNamedBelow(scope, path) ? await look(path) : null;
  if (found !== null && isReallyBelow(scope, found.path)) return found;
  throw new AppError(
    "refused",
    `Cannot use the workspace "${path}": it is no folder below ${
      rootsOf(scope)
    }, and this token permits no other`,
  );
}

/**
 * A container engine takes a folder by its name, when it starts the container. Whoever has a folder mounted can put a link
 * to elsewhere below it at that moment, and take it away again; the folder itself he can't replace. So it must be a root,
 * and below none of those that anybody may have in a container.
 *
 * @param mounted real paths, see `mountedFolders()`.
 * @throws AppError (refused)
 */
export function assertMountable(
  { roots }: Scope,
  { path }: CheckedFolder,
  mounted: readonly string[],
  action: string,
): void {
  if (!roots.some(({ real }) => real === path)) {
    throw new AppError(
      "refused",
      `Cannot ${action}: in docker mode the workspace must be a root of the token itself, and "${path}" is only below ` +
        `one. Make one for it in the place of this token, on the host, with: dev-sessions gateway token create --root ${path}`,
    );
  }
  if (mounted.some((folder) => folder !== path && isWithin(path, folder))) {
    throw new AppError(
      "refused",
      `Cannot ${action}: "${path}" is a part of another folder that containers may have, and could be replaced from ` +
        "there. Ask whoever made the token for folders that do not contain each other",
    );
  }
}

/**
 * What agents in containers and those who may start them have mounted, or can have; real paths.
 *
 * @throws AppError for a token that can't be read.
 */
export async function mountedFolders(
  registry: Pick<Store, "listTokens" | "atWork">,
  now: number,
): Promise<string[]> {
  const rooted = registry.listTokens().filter((token) => validityOf(token, now) === "valid").flatMap(
    ({ scope }) => {
      const parsed = v.safeParse(scopeSchema, scope);
      // Who may start agents outside of containers need not go this way.
      return parsed.success && parsed.output.mode === "docker" ? parsed.output.roots : [];
    },
  );
  // A mode that only a newer version knows may be one in containers.
  const contained = registry.atWork().filter(({ mode }) => !OUTSIDE.has(mode));
  // As it was named there may be links on its way. What is gone by now can't be replaced from anywhere.
  const real = await Promise.all(contained.map(({ path }) => Deno.realPath(path).catch(() => path)));
  return [...rooted.map(({ real }) => real), ...real];
}

/**
 * Whether the agent that was just started works in the folder that was checked: someone may have put another one into
 * its place meanwhile.
 */
export async function isInFolder(
  session: Pick<Session, "process" | "mode">,
  folder: CheckedFolder,
): Promise<boolean> {
  const now = await look(folder.path);
  if (now === null || now.path !== folder.path || !isSame(now, folder)) return false;
  // In a container the process is elsewhere.
  if (session.process === null || session.mode === "docker") return true;
  const at = await stat(`/proc/${session.process.pid}/cwd`);
  // Where the system does not tell, the look at the path is all there is.
  return at === null || isSame(at, folder);
}

async function look(path: string): Promise<CheckedFolder | null> {
  try {
    const real = await Deno.realPath(path);
    const info = await stat(real);
    return info === null || !info.isDirectory ? null : { path: real, dev: info.dev, ino: info.ino };
  } catch {
    return null;
  }
}

async function stat(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch {
    return null;
  }
}

function isSame(a: { dev: number; ino: number | null }, b: { dev: number; ino: number | null }): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

function rootsOf({ roots }: Scope): string {
  return roots.map(({ named }) => `"${named}"`).join(" or ");
}
