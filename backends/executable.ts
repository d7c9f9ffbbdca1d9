/** Finds programs as the user's shell would, by absolute path. */

type Env = Readonly<Record<string, string>>;

/** By absolute path; null when PATH has none. */
export function executableOnPath(env: Env, name: string): string | null {
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => `${folder}/${name}`).find(isExecutableFile) ?? null;
}

export function isExecutableFile(path: string): boolean {
  try {
    const info = Deno.statSync(path);
    return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}
