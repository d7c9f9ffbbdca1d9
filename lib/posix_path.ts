/**
 * The few path operations of the hot path, on absolute POSIX paths. `node:path` would do, but importing it costs every
 * command 4 to 10 ms (measured with Deno 2.9.6).
 */

/** The last segment. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** What contains it; `/` contains itself. */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** Absolute and without empty, `.` and `..` segments or a NUL: means what it says. */
export function isPlainAbsolute(path: string): boolean {
  if (!path.startsWith("/") || path.includes("\0")) return false;
  return path.slice(1).split("/").every((segment) => segment !== "" && segment !== "." && segment !== "..");
}

/** Absolute; a function is asked only where a path is relative, since the current folder may be gone. */
export type Folder = string | (() => string);

/** Absolute, with `.` and `..` taken away as text; symlinks are not looked at. */
export function resolvePath(cwd: Folder, path: string): string {
  const segments: string[] = [];
  for (
    const segment of (path.startsWith("/") ? path : `${typeof cwd === "string" ? cwd : cwd()}/${path}`).split(
      "/",
    )
  ) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

/** Without slashes at the end, so that a name can be appended after one; `/` becomes empty. */
export function withoutTrailingSlash(path: string): string {
  return path.replace(/\/+$/, "");
}

/** Equal, or below by whole names: `/workspace` is not within `/work`. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
