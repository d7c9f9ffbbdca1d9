/** A Codex session's own folder: its lock over processes, and the little that the server does not keep. */

/** For whoever has its lock before us; each needs it for well under a second. */
export const SESSION_LOCK_TIMEOUT_MS = 30_000;

export interface SessionFolder {
  readonly root: string;
  /** Held by whoever sends, answers or interrupts. */
  readonly lock: string;
  /** Id of the thread that was begun for it, until the registry has it. */
  readonly thread: string;
  readonly retry: string;
}

export function sessionFolder(root: string): SessionFolder {
  return { root, lock: `${root}/send.lock`, thread: `${root}/thread`, retry: `${root}/retry.json` };
}

export function makeFolder({ root }: SessionFolder): void {
  Deno.mkdirSync(root, { recursive: true, mode: 0o700 });
}

/** On disk when this returns. */
export function noteThread(folder: SessionFolder, threadId: string): void {
  using file = Deno.openSync(folder.thread, { write: true, create: true, truncate: true, mode: 0o600 });
  file.writeSync(new TextEncoder().encode(threadId));
  file.syncDataSync();
}

/** Null when none was begun. */
export function notedThread(folder: SessionFolder): string | null {
  try {
    return Deno.readTextFileSync(folder.thread).trim() || null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
