/**
 * Where the socket of a shared connection stands: in a folder that is this user's alone, and short enough for a unix
 * socket. Where there is no such folder, connections are not shared.
 */

import { controlFolders } from "../../lib/paths.ts";

/** Of macOS, whose limit of 104 with the final NUL is the smallest. */
const MAX_SOCKET_PATH_BYTES = 103;
/** `%C` is a SHA-1 in hexadecimal digits. */
const NAME_BYTES = 40;
/** ssh binds the socket under its name with `.` and 16 characters, then renames it. */
const TEMPORARY_SUFFIX_BYTES = 17;
const FOLDER_MODE = 0o700;
const GROUP_AND_OTHERS = 0o077;

/** Whether a socket in this folder can have its name, and ssh understands the path. Pure. */
export function fits(folder: string): boolean {
  const bytes = new TextEncoder().encode(folder).length + 1 + NAME_BYTES + TEMPORARY_SUFFIX_BYTES;
  // deno-lint-ignore no-control-regex
  return bytes <= MAX_SOCKET_PATH_BYTES && !/["\\\x00-\x1f\x7f]|\$\{/.test(folder);
}

/** For `ControlPath`; null when no folder will do. */
export function controlPath(env: Readonly<Record<string, string>>, uid: number): string | null {
  const folder = controlFolders(env, uid).find((folder) => fits(folder) && isOurs(folder, uid));
  return folder === undefined ? null : `${folder.replaceAll("%", "%%")}/%C`;
}

/** Makes it, when it is not there; one that others could write to, or that is a link, will not do. */
function isOurs(folder: string, uid: number): boolean {
  try {
    try {
      Deno.mkdirSync(folder, { mode: FOLDER_MODE });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) return false;
    }
    const info = Deno.lstatSync(folder);
    if (!info.isDirectory || info.uid !== uid) return false;
    if (((info.mode ?? 0) & GROUP_AND_OTHERS) !== 0) Deno.chmodSync(folder, FOLDER_MODE);
    return true;
  } catch {
    return false;
  }
}
