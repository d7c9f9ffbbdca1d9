/** A session's lock over processes, for whoever sends, answers or interrupts; without it nothing is done to the session. */

import type { Clock } from "../lib/deps.ts";
import { AppError, messageOf } from "../lib/errors.ts";
import { acquireLock } from "../lib/file_lock.ts";
import { folderOf } from "../lib/posix_path.ts";

/** What is about to be done to a session, for the errors of whatever keeps it from being begun. */
export interface Intent {
  /** As in `Cannot send to "fizz-top"`. */
  readonly verb: string;
  readonly id: string;
  /** What then holds, as in `Nothing was typed`. */
  readonly untouched: string;
}

/**
 * @param file in the session's own folder.
 * @returns `held`: others have kept it for all of that time.
 * @throws AppError: `not_delivered` when the lock can't be used, `interrupted` when the signal aborts.
 */
export async function lockSession(
  intent: Intent,
  file: string,
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Disposable | "held"> {
  let lock: Disposable | null;
  try {
    lock = await acquireLock(file, options);
  } catch (error) {
    throw unusableFolder(intent, folderOf(file), error);
  }
  if (!options.signal.aborted) return lock ?? "held";
  lock?.[Symbol.dispose]();
  throw interruptedBefore(intent);
}

/** A session's own folder, in which something has to be written first. */
export function unusableFolder({ verb, id, untouched }: Intent, folder: string, error: unknown): AppError {
  return new AppError(
    "not_delivered",
    `Cannot ${verb} "${id}": its folder "${folder}" can't be used: ${messageOf(error)}. ${untouched}. ` +
      "Check that the disk has room and that the folder is yours",
    null,
    { cause: error },
  );
}

export function interruptedBefore({ verb, id, untouched }: Intent): AppError {
  return new AppError("interrupted", `Cannot ${verb} "${id}": interrupted. ${untouched}`);
}
