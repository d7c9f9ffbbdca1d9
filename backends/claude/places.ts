/** Folders that a session needs beside its own; looked at before anything is created. */

import { AppError, messageOf } from "../../lib/errors.ts";
import { isFolder, isThere } from "../../lib/files.ts";
import { folderOf } from "../../lib/posix_path.ts";

/**
 * tmux makes this folder itself, but not when it is told the socket's path; what is above it is not made.
 *
 * @throws AppError
 */
export function ensureSocketFolder(socket: string): void {
  const folder = folderOf(socket);
  if (isFolder(folder)) return;
  try {
    Deno.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another command has just made it.
    if (isFolder(folder)) return;
    throw new AppError(
      "failure",
      `Cannot create a session: tmux's folder "${folder}" can't be made: ${
        messageOf(error)
      }. TMUX or TMUX_TMPDIR ` +
        "may name a place that is not there: unset it, or set TMUX_TMPDIR to a folder",
    );
  }
}

/** Claude makes it where there is none. @throws AppError (usage) for anything else in its place. */
export function assertConfigFolder(folder: string): void {
  if (!isThere(folder) || isFolder(folder)) return;
  throw new AppError(
    "usage",
    `Cannot create a session: Claude's configuration folder "${folder}" is not a folder. Unset CLAUDE_CONFIG_DIR, ` +
      "or set it to a folder",
  );
}
