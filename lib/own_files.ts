/** Whether a folder has dev-sessions' own files in it: whoever gets it has the registry and the master token. */

import { isWithin } from "./posix_path.ts";

/**
 * True when the folder contains the state folder, or is a part of it.
 * @param folder without symlinks.
 * @param state `Paths.state`; symlinks are followed.
 */
export function hasOwnFiles(folder: string, state: string): boolean {
  const own = realPathOf(state);
  return isWithin(own, folder) || isWithin(folder, own);
}

/** Also of what is not there yet. */
function realPathOf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    const cut = path.lastIndexOf("/");
    return cut <= 0 ? path : `${realPathOf(path.slice(0, cut)).replace(/\/$/, "")}${path.slice(cut)}`;
  }
}
