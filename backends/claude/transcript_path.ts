/** Computes where Claude Code keeps a conversation, and accepts no other place for one. */

import { isPlainAbsolute, withoutTrailingSlash } from "../../lib/posix_path.ts";

/** Longest folder name that is used as it is. Source: Claude Code 2.1.330, measured. */
const MAX_FOLDER_NAME_UNITS = 200;

/**
 * Name of a project's folder under `<config>/projects`.
 * @param realPath the working folder with symlinks resolved.
 */
export function projectFolderName(realPath: string): string {
  const name = realPath.replace(/[^a-zA-Z0-9]/g, "-");
  if (name.length <= MAX_FOLDER_NAME_UNITS) return name;
  return `${name.slice(0, MAX_FOLDER_NAME_UNITS)}-${Math.abs(javaHash(realPath)).toString(36)}`;
}

/**
 * Path of a conversation's transcript; the file comes into being with the first prompt.
 * @param realCwd the working folder with symlinks resolved.
 */
export function transcriptPath(configFolder: string, realCwd: string, sessionId: string): string {
  return `${configFolder}/projects/${projectFolderName(realCwd)}/${sessionId}.jsonl`;
}

/** The conversation's file in whichever project's folder it is, else the usual path. */
export function findTranscript(configFolder: string, sessionId: string, usual: string): string {
  if (isFile(usual)) return usual;
  try {
    for (
      const { name } of [...Deno.readDirSync(`${configFolder}/projects`)].sort((a, b) =>
        a.name < b.name ? -1 : 1
      )
    ) {
      const path = `${configFolder}/projects/${name}/${sessionId}.jsonl`;
      if (isFile(path)) return path;
    }
  } catch {
    // No folder: no conversation was begun where we could see it.
  }
  return usual;
}

function isFile(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * Whether a path that something else told us may be read as a transcript: absolute, already normalised, below
 * `<config>/projects/`, ending with `.jsonl`. Compares text only: a symlink below that folder is not seen.
 */
export function isInsideProjects(configFolder: string, path: string): boolean {
  if (!isPlainAbsolute(path) || !path.startsWith(`${withoutTrailingSlash(configFolder)}/projects/`)) {
    return false;
  }
  return path.endsWith(".jsonl") && !path.endsWith("/.jsonl");
}

/** Java's `String.hashCode`: over UTF-16 units, 32 bits, signed. */
function javaHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = ((hash << 5) - hash + text.charCodeAt(i)) | 0;
  return hash;
}
