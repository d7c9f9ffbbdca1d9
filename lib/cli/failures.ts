/** What could not be done to some of several sessions, as the error that makes the exit code. */

import { AppError } from "../errors.ts";
import type { Failure } from "../service.ts";

/** Null when there is none; that something may have been done goes before what surely was not. */
export function failureOf(failed: readonly Failure[]): AppError | null {
  const [first, ...others] = new Set(failed.map(({ reason }) => reason));
  if (first === undefined) return null;
  const code = failed.some(({ unproven = false }) => unproven) ? "unproven" : "failure";
  return new AppError(code, first, others.length === 0 ? null : others.join("\n"));
}
