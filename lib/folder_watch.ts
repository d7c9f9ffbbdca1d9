/** Tells of changes in a folder as they happen; where nothing can be watched it tells nothing, and its user polls. */

import { baseName } from "./posix_path.ts";

/** Calls `changed` after changes of files that `counts` accepts, until the signal; never throws. */
export async function watchFolder(
  folder: string,
  counts: (name: string) => boolean,
  changed: () => void,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(folder, { recursive: false });
  } catch {
    return;
  }
  const close = () => watcher.close();
  signal.addEventListener("abort", close);
  try {
    for await (const event of watcher) {
      if (event.kind !== "access" && event.paths.some((path) => counts(baseName(path)))) changed();
    }
  } catch {
    // The folder is gone: what polls beside it goes on.
  } finally {
    signal.removeEventListener("abort", close);
  }
}
