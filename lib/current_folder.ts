/** The folder that a command runs in. Whoever needs it and has none is told so, and what to do. */

import { AppError } from "./errors.ts";

let isGone = false;

/**
 * For a launcher, whose caller's folder is gone: Deno does not start in such a folder, and stands in another one, which
 * nobody has named.
 */
export function takeFolderForGone(): void {
  isGone = true;
}

/** Absolute. @throws AppError when it is gone. */
export function currentFolder(): string {
  if (isGone) throw gone();
  try {
    return Deno.cwd();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw gone();
    throw error;
  }
}

function gone(): AppError {
  return new AppError(
    "failure",
    "Cannot use the current folder: it is gone. Go to another one with: cd <folder>",
  );
}
