/** Finds the Claude Code executable as the user's shell would, by absolute path. */

import { AppError } from "../../lib/errors.ts";

/** Where Claude's own installer puts it, for shells whose PATH lacks it. */
const USUAL_PLACES = [".local/bin/claude", ".claude/local/claude"];

/** @throws AppError that says how to install it. */
export function locateClaude(env: Readonly<Record<string, string>>, home: string): string {
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  const candidates = [
    ...folders.map((folder) => `${folder}/claude`),
    ...USUAL_PLACES.map((at) => `${home}/${at}`),
  ];
  const found = candidates.find(isExecutableFile);
  if (found !== undefined) return found;
  throw new AppError(
    "failure",
    'Cannot create a session: Claude Code ("claude") was not found on PATH. ' +
      "Install it with: npm install -g @anthropic-ai/claude-code",
  );
}

/** By absolute path; null when PATH has none. */
export function executableOnPath(env: Readonly<Record<string, string>>, name: string): string | null {
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => `${folder}/${name}`).find(isExecutableFile) ?? null;
}

function isExecutableFile(path: string): boolean {
  try {
    const info = Deno.statSync(path);
    return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}
