/** What nobody foresaw while an agent was acted upon: whether it was done is not known then. */

import { AppError, messageOf } from "./errors.ts";
import type { SessionId } from "./session.ts";

/** What to throw instead. An error that says what it is, and a caller's own stop, stay as they are. */
export function unforeseen(verb: string, id: SessionId, error: unknown, signal: AbortSignal): unknown {
  if (error instanceof AppError || (signal.aborted && error === signal.reason)) return error;
  return new AppError(
    "unproven",
    `Cannot ${verb} "${id}": it may have been done, but nothing proves it: ${messageOf(error)}. ` +
      `Look with: dev-sessions status ${id} --explain`,
    null,
    { cause: error },
  );
}
