/** Turns whatever SQLite or the file system say about the registry into one error that tells the way out. */

import { AppError, messageOf } from "../errors.ts";

/** Which file it is about, for people. */
export interface StoreSubject {
  readonly name: string;
  /** What happens once a damaged one was moved away. */
  readonly afterwards: string;
}

export const REGISTRY: StoreSubject = { name: "session registry", afterwards: "" };

type Trouble = "damaged" | "busy" | "full" | "read_only" | "unreachable" | "other";

/** Primary result codes. Source: https://sqlite.org/rescode.html */
const TROUBLE_BY_CODE: ReadonlyMap<number, Trouble> = new Map<number, Trouble>([
  [5, "busy"],
  [6, "busy"],
  [8, "read_only"],
  [10, "unreachable"],
  [11, "damaged"],
  [13, "full"],
  [14, "unreachable"],
  [26, "damaged"],
]);

/** Errors of opening carry no code. */
const TROUBLE_BY_MESSAGE: readonly (readonly [RegExp, Trouble])[] = [
  [/database (table )?is locked/, "busy"],
  [/unable to open database file|disk I\/O error/, "unreachable"],
  [/readonly database/, "read_only"],
  [/malformed|not a database/, "damaged"],
  [/disk is full/, "full"],
];

/** An error that is an AppError already is returned as it is. */
export function storeError(path: string, error: unknown, subject: StoreSubject = REGISTRY): AppError {
  if (error instanceof AppError) return error;
  const { trouble, text } = diagnose(error);
  return new AppError("failure", explain(path, subject, trouble, text), null, { cause: error });
}

/** Whether nothing could be read, as told by `storeError()`; else there is something that is not understood. */
export function isUnread(error: unknown): boolean {
  return !(error instanceof AppError) || error.cause !== undefined;
}

/** Whether another connection holds the lock just now. */
export function isBusy(error: unknown): boolean {
  return !(error instanceof AppError) && diagnose(error).trouble === "busy";
}

/** It was written by a version with which this one can't share it. */
export function registryTooNew(path: string, subject: StoreSubject = REGISTRY): AppError {
  return new AppError(
    "failure",
    `Cannot read the ${subject.name} "${path}": it belongs to a newer version. Upgrade dev-sessions`,
  );
}

function explain(path: string, subject: StoreSubject, trouble: Trouble, text: string): string {
  const registry = `the ${subject.name} "${path}"`;
  switch (trouble) {
    case "damaged":
      return `Cannot read ${registry}: it is damaged (${text}). Nothing was changed. To start anew, move it away ` +
        `together with its -wal and -shm files: mv ${shellQuote(path)}* <folder>${subject.afterwards}`;
    case "busy":
      return `Cannot use ${registry}: another process keeps it locked (${text}). Try again; ` +
        `find the process with: fuser ${shellQuote(path)}`;
    case "full":
      return `Cannot write ${registry}: ${text}. Free some space, then try again`;
    case "read_only":
      return `Cannot write ${registry}: ${text}. Make the file and its folder writable for you`;
    case "unreachable":
      return `Cannot use ${registry}: ${text}. Check that its folder exists and is writable for you`;
    case "other":
      return `Cannot use ${registry}: ${text}. Check it with: sqlite3 ${
        shellQuote(path)
      } "PRAGMA integrity_check"`;
  }
}

function diagnose(error: unknown): { trouble: Trouble; text: string } {
  const text = messageOf(error);
  if (isSystemError(error)) return { trouble: "unreachable", text };
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  const trouble = TROUBLE_BY_CODE.get(code) ??
    TROUBLE_BY_MESSAGE.find(([pattern]) => pattern.test(text))?.[1] ?? "other";
  return { trouble, text };
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && /\(os error \d+\)/.test(error.message);
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
