/**
 * What stands at a path, links followed; for those to whom what can't be looked at is as good as not there. Who would
 * change or forget anything because of the answer looks for himself.
 */

export function isFolder(path: string): boolean {
  return look(path)?.isDirectory ?? false;
}

export function isFile(path: string): boolean {
  return look(path)?.isFile ?? false;
}

export function isThere(path: string): boolean {
  return look(path) !== null;
}

/** In bytes; null where there is no regular file. */
export function sizeOf(path: string): number | null {
  const info = look(path);
  return info?.isFile ? info.size : null;
}

/** Without links; as it is named where there is nothing. */
export function realPathOf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function look(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}
