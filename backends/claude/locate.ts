/** Finds the Claude Code executable as the user's shell would, by absolute path. */

import { AppError } from "../../lib/errors.ts";
import { executableOnPath, isExecutableFile } from "../executable.ts";

/** Where Claude's own installer puts it, for shells whose PATH lacks it. */
const USUAL_PLACES = [".local/bin/claude", ".claude/local/claude"];

/** @throws AppError that says how to install it. */
export function locateClaude(env: Readonly<Record<string, string>>, home: string): string {
  const found = executableOnPath(env, "claude") ??
    USUAL_PLACES.map((at) => `${home}/${at}`).find(isExecutableFile);
  if (found !== undefined) return found;
  throw new AppError(
    "failure",
    'Cannot create a session: Claude Code ("claude") was not found on PATH. ' +
      "Install it with: npm install -g @anthropic-ai/claude-code",
  );
}
