/**
 * The registry's SQLite file: private, never recreated over anything, every change one immediate transaction,
 * and no raw SQLite error ever leaves this file.
 */

import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { isBusy, REGISTRY, storeError, type StoreSubject } from "./errors.ts";

export type Row = Record<string, SQLOutputValue>;
export type SqlValue = SQLInputValue;

/** How long a command waits for others that are writing. */
const BUSY_TIMEOUT_MS = 30_000;
/**
 * One attempt's part of it. SQLite asks ever more rarely the longer it waits, so that a hundred writers would starve
 * the oldest; beginning anew makes them equal.
 */
export const ATTEMPT_TIMEOUT_MS = 100;

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const GROUP_AND_OTHERS = 0o077;
const JOURNAL_RETRY_MS = 5;

export interface DatabaseOptions {
  readonly busyTimeoutMs?: number;
  /** What its errors call it; the default is the session registry. */
  readonly subject?: StoreSubject;
}

export class Database {
  readonly path: string;
  readonly subject: StoreSubject;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #busyTimeoutMs: number;

  /** @throws AppError when the file can't be created or opened. */
  constructor(folder: string, path: string, options: DatabaseOptions = {}) {
    this.path = path;
    this.subject = options.subject ?? REGISTRY;
    this.#busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
    this.#database = guard(this, () => {
      ensureFolder(folder);
      ensureFile(path);
      return new DatabaseSync(path, { timeout: Math.min(ATTEMPT_TIMEOUT_MS, this.#busyTimeoutMs) });
    });
    try {
      // NORMAL may lose the last commits in a power failure, and with them the proof that a key was used.
      this.run("PRAGMA synchronous = FULL");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#patiently(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#patiently(() => this.#statement(sql).all(...values));
  }

  /** As `all`, each row as the values of its columns: three times as fast for a thousand rows. */
  allValues(sql: string): SQLOutputValue[][] {
    return this.#patiently(() => {
      // The runtime has this method, its types do not yet.
      const statement = this.#statement(sql) as StatementSync & { setReturnArrays(enabled: boolean): void };
      statement.setReturnArrays(true);
      return statement.all() as unknown as SQLOutputValue[][];
    });
  }

  /** Returns how many rows changed. */
  run(sql: string, ...values: SqlValue[]): number {
    return this.#patiently(() => Number(this.#statement(sql).run(...values).changes));
  }

  /** Runs a function as one transaction that holds the write lock from its start; a throw undoes all of it. */
  mutate<T>(change: () => T): T {
    this.run("BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#patiently(() => this.#statement("COMMIT").run(), { retryable: true });
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  userVersion(): number {
    return Number(this.get("PRAGMA user_version")?.["user_version"] ?? 0);
  }

  /** Changing the mode does not wait for other connections as a transaction does, so that this retries. */
  useWriteAheadLog(): void {
    const deadline = performance.now() + this.#busyTimeoutMs;
    while (this.get("PRAGMA journal_mode")?.["journal_mode"] !== "wal") {
      try {
        this.#statement("PRAGMA journal_mode = WAL").get();
        return;
      } catch (error) {
        const busy = error instanceof Error && error.message.includes("locked");
        if (!busy || performance.now() > deadline) throw storeError(this.path, error, this.subject);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, JOURNAL_RETRY_MS);
      }
    }
  }

  /** Closing twice is once. */
  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) guard(this, () => this.#database.close());
  }

  /** Within a transaction only its COMMIT can be tried again; the rest has the lock already. */
  #patiently<T>(
    action: () => T,
    { retryable } = { retryable: this.#database.isOpen && !this.#database.isTransaction },
  ): T {
    const deadline = performance.now() + this.#busyTimeoutMs;
    for (;;) {
      try {
        return action();
      } catch (error) {
        const waiting = retryable && isBusy(error) && performance.now() < deadline;
        if (!waiting) throw storeError(this.path, error, this.subject);
      }
    }
  }

  /** Some errors (disk full, I/O) have ended the transaction already; the first error is the one to tell. */
  #rollBack(): void {
    try {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    } catch {
      // Closing the database undoes what is left.
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function guard<T>({ path, subject }: Pick<Database, "path" | "subject">, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storeError(path, error, subject);
  }
}

function ensureFolder(folder: string): void {
  let info = statOrNull(folder);
  if (info === null) {
    try {
      Deno.mkdirSync(folder, { mode: FOLDER_MODE });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    info = Deno.statSync(folder);
  }
  tighten(folder, info);
}

/** SQLite itself would create the file with the modes of the umask; `-wal` and `-shm` take over its mode. */
function ensureFile(path: string): void {
  let info = statOrNull(path);
  if (info === null) {
    try {
      Deno.openSync(path, { createNew: true, write: true, mode: FILE_MODE }).close();
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    info = Deno.statSync(path);
  }
  tighten(path, info);
  if (isEmptySize(info.size)) refuseEmptiedFile(path);
}

/**
 * SQLite deletes the log of an empty database, and with it perhaps the only copy of the rows. The log is looked at
 * first: where another process is creating the database, the file has grown by the time its log exists.
 */
function refuseEmptiedFile(path: string): void {
  const log = statOrNull(`${path}-wal`);
  if (log === null || log.size === 0) return;
  if (isEmptySize(Deno.statSync(path).size)) throw new EmptiedFileError();
}

/** SQLite takes a file of one byte for an empty one, because on some systems it makes such files itself. */
function isEmptySize(bytes: number): boolean {
  return bytes <= 1;
}

class EmptiedFileError extends Error {
  readonly code = "ERR_SQLITE_ERROR";
  readonly errcode = 11;
  constructor() {
    super("it is empty, but its -wal file is not");
  }
}

function tighten(path: string, info: Deno.FileInfo): void {
  if (info.mode !== null && (info.mode & GROUP_AND_OTHERS) !== 0) {
    Deno.chmodSync(path, info.mode & FOLDER_MODE);
  }
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
