/** The real folder behind a path that a token's holder names, and whether it is still that one. */

import { AppError } from "../lib/errors.ts";
import type { Session } from "../lib/session.ts";
import { isNamedBelow, isReallyBelow, type Scope } from "./scope.ts";

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
 * A container engine takes a folder by its name, when it starts the container. Whoever has a root mounted can put a link
 * to elsewhere below it at that moment, and take it away again; a root itself he can't replace.
 *
 * @throws AppError (refused)
 */
export function assertIsRoot({ roots }: Scope, { path }: CheckedFolder, action: string): void {
  if (roots.some(({ real }) => real === path)) return;
  throw new AppError(
    "refused",
    `Cannot ${action}: in docker mode the workspace must be a root of the token itself, and "${path}" is only below ` +
      `one. Make a token for it on the host with: dev-sessions gateway token create --root ${path}`,
  );
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
