/** Which folders may be the workspace of a container. */

import { AppError } from "../../lib/errors.ts";
import { hasOwnFiles } from "../../lib/own_files.ts";

/**
 * @param workspace without symlinks.
 * @throws AppError (usage) when a container could read dev-sessions' own files there.
 */
export function assertMayBeMounted(workspace: string, state: string, action: string): void {
  if (!hasOwnFiles(workspace, state)) return;
  throw new AppError(
    "usage",
    `Cannot ${action}: the folder "${workspace}" would be mounted into the container, and has dev-sessions' own files ` +
      `and its gateway's master token in it (${state}). Choose the folder of a project with --path, or use --mode yolo`,
  );
}
