/** Looks at the registry's files without changing them: whole, known, writable, and what its rows say. */

import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../errors.ts";
import { sizeOf } from "../files.ts";
import type { Session } from "../session.ts";
import type { Row } from "./database.ts";
import { storeError, type StoreSubject } from "./errors.ts";
import { parseSession, SELECT_SESSION } from "./rows.ts";
import { MIGRATIONS } from "./schema.ts";

/** Of others that write just now. */
const BUSY_TIMEOUT_MS = 500;
/** Checking more would take longer than a person waits: 64 MiB take about 0.1 s. */
const CHECK_LIMIT_BYTES = 256 * 1024 * 1024;

export type FileEvidence =
  | { readonly kind: "missing" }
  /** `why`: an error that tells the way out. */
  | { readonly kind: "unusable"; readonly why: string }
  | {
    readonly kind: "readable";
    readonly version: number;
    /** The lowest schema version whose programs may use it. */
    readonly minReader: number;
    /** What `quick_check` says when it is not `ok`; null also for a file that is too large to be checked. */
    readonly damage: string | null;
    /** Why it can't be written now; null when it can. */
    readonly unwritable: string | null;
    readonly busy: boolean;
  };

/** The schema version that this program writes. */
export const KNOWN_VERSION: number = MIGRATIONS.at(-1)?.version ?? 0;

export function inspectFile(path: string, subject?: StoreSubject): FileEvidence {
  let size: number;
  try {
    size = Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "missing" };
    return { kind: "unusable", why: storeError(path, error, subject).message };
  }
  // SQLite deletes the log of an empty database: one that was emptied must not even be opened.
  if (size <= 1) {
    const log = sizeOf(`${path}-wal`);
    return (log ?? 0) === 0
      ? { kind: "missing" }
      : { kind: "unusable", why: `"${path}" is empty, but its -wal file is not` };
  }
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    return {
      kind: "readable",
      version,
      minReader: version === 0 ? 0 : minReader(database),
      damage: size > CHECK_LIMIT_BYTES ? null : damageOf(database),
      ...writability(path),
    };
  } catch (error) {
    return { kind: "unusable", why: storeError(path, error, subject).message };
  } finally {
    database?.close();
  }
}

/** What the registry has of this machine's sessions. */
export interface SeenRows {
  /** Those that can be understood. */
  readonly sessions: readonly Session[];
  /** The others. */
  readonly unread: readonly { readonly id: string; readonly reason: string }[];
  /** Tokens of all. */
  readonly tokens: ReadonlySet<string>;
  /** Tokens of all to which something outside of the registry may belong. */
  readonly atWork: ReadonlySet<string>;
}

/** Null when the registry can't be read, or is of an earlier version. */
export function readRows(path: string): SeenRows | null {
  const size = sizeOf(path);
  if (size === null) return seenRows([]);
  if (size <= 1) return null;
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    if (version < KNOWN_VERSION) return null;
    return seenRows(database.prepare(SELECT_SESSION).all());
  } catch {
    return null;
  } finally {
    database?.close();
  }
}

/** Pure. */
function seenRows(rows: readonly Row[]): SeenRows {
  const sessions: Session[] = [];
  const unread: { id: string; reason: string }[] = [];
  for (const row of rows) {
    const parsed = parseSession(row);
    if (parsed.ok) sessions.push(parsed.value);
    else unread.push({ id: String(row["id"]), reason: parsed.reason });
  }
  const tokens = (some: readonly Row[]) => new Set(some.map(({ token }) => String(token)));
  return {
    sessions,
    unread,
    tokens: tokens(rows),
    atWork: tokens(rows.filter(({ lifecycle, resumer }) => lifecycle !== "ended" || resumer !== null)),
  };
}

function minReader(database: DatabaseSync): number {
  const value = database.prepare("SELECT value FROM meta WHERE key = 'min_reader'").get()?.["value"];
  return Number(value ?? Number.POSITIVE_INFINITY);
}

function damageOf(database: DatabaseSync): string | null {
  const lines = database.prepare("PRAGMA quick_check(3)").all().map((row) => String(row["quick_check"]));
  return lines.length === 1 && lines[0] === "ok" ? null : lines.join("; ");
}

/** Takes the lock of those that write, and gives it back. */
function writability(path: string): { readonly unwritable: string | null; readonly busy: boolean } {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    database.exec("BEGIN IMMEDIATE");
    database.exec("ROLLBACK");
    return { unwritable: null, busy: false };
  } catch (error) {
    const why = messageOf(error);
    return /locked|busy/.test(why) ? { unwritable: null, busy: true } : { unwritable: why, busy: false };
  } finally {
    database?.close();
  }
}
