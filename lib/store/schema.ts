/** The registry's tables. Changes only ever add, so that an older program goes on working beside a newer one. */

import { AppError } from "../errors.ts";
import type { Database } from "./database.ts";
import { registryTooNew } from "./errors.ts";

export interface Migration {
  /** `PRAGMA user_version` after it. */
  readonly version: number;
  /** The lowest schema version whose programs may still use the registry afterwards. */
  readonly minReader: number;
  readonly sql: readonly string[];
}

export const MIGRATIONS: readonly Migration[] = [{
  version: 1,
  minReader: 1,
  sql: [
    `CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT`,
    `CREATE TABLE sessions (
      id TEXT PRIMARY KEY NOT NULL,
      token TEXT NOT NULL UNIQUE,
      agent TEXT NOT NULL,
      mode TEXT NOT NULL,
      path TEXT NOT NULL,
      description TEXT,
      model TEXT,
      lifecycle TEXT NOT NULL,
      created_at TEXT NOT NULL,
      last_used_at TEXT NOT NULL,
      ended_at TEXT,
      end_reason TEXT,
      parent TEXT,
      group_name TEXT,
      creator TEXT,
      process TEXT,
      agent_session_id TEXT,
      handle TEXT,
      legacy TEXT,
      last_send TEXT
    ) STRICT`,
    `CREATE TABLE sends (
      receipt TEXT PRIMARY KEY NOT NULL,
      session_id TEXT NOT NULL,
      session_token TEXT NOT NULL,
      at TEXT NOT NULL,
      result TEXT NOT NULL,
      anchor TEXT,
      details TEXT
    ) STRICT`,
    `CREATE INDEX sends_by_session ON sends (session_token)`,
    `CREATE TABLE keyed (
      verb TEXT NOT NULL,
      key TEXT NOT NULL,
      claim TEXT NOT NULL,
      created_at TEXT NOT NULL,
      request_hash TEXT NOT NULL,
      owner TEXT,
      session_id TEXT,
      receipt TEXT,
      result TEXT,
      PRIMARY KEY (verb, key)
    ) STRICT`,
  ],
}, {
  version: 2,
  minReader: 1,
  sql: [
    `ALTER TABLE sessions ADD COLUMN launch TEXT`,
    `ALTER TABLE sessions ADD COLUMN worktree TEXT`,
    `ALTER TABLE sessions ADD COLUMN resumer TEXT`,
    // What the row itself forgets: a session may end and live again between two looks.
    `CREATE TABLE lifecycle (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      session_id TEXT NOT NULL,
      session_token TEXT NOT NULL,
      type TEXT NOT NULL,
      at TEXT NOT NULL,
      reason TEXT
    ) STRICT`,
    `CREATE INDEX lifecycle_by_session ON lifecycle (session_token)`,
  ],
}, {
  version: 3,
  minReader: 1,
  sql: [
    // The gateway's token with which it was made.
    `ALTER TABLE sessions ADD COLUMN owner TEXT`,
    `CREATE INDEX sessions_by_owner ON sessions (owner) WHERE owner IS NOT NULL`,
    `CREATE TABLE tokens (
      id TEXT PRIMARY KEY NOT NULL,
      hash TEXT NOT NULL,
      name TEXT,
      scope TEXT NOT NULL,
      created_at TEXT NOT NULL,
      expires_at TEXT,
      revoked_at TEXT
    ) STRICT`,
  ],
}, {
  version: 4,
  minReader: 1,
  sql: [
    // Sessions that live on other hosts; an id is in one of the two tables at most.
    `CREATE TABLE remote_sessions (
      id TEXT PRIMARY KEY NOT NULL,
      token TEXT NOT NULL UNIQUE,
      host TEXT NOT NULL,
      remote_bin TEXT,
      remote_token TEXT,
      agent TEXT NOT NULL,
      mode TEXT NOT NULL,
      path TEXT NOT NULL,
      description TEXT,
      model TEXT,
      lifecycle TEXT NOT NULL,
      created_at TEXT NOT NULL,
      last_used_at TEXT NOT NULL,
      ended_at TEXT,
      end_reason TEXT,
      parent TEXT,
      group_name TEXT,
      agent_session_id TEXT,
      creator TEXT,
      request TEXT,
      legacy TEXT
    ) STRICT`,
    // What was imported from 0.4.4 before there was a place for it.
    `INSERT INTO remote_sessions (id, token, host, remote_bin, agent, mode, path, description, model, lifecycle,
      created_at, last_used_at, ended_at, end_reason, agent_session_id, legacy)
      SELECT id, token, json_extract(legacy, '$.host'), json_extract(legacy, '$.remoteBin'), agent, mode, path,
        description, model, lifecycle, created_at, last_used_at, ended_at, end_reason, agent_session_id,
        json_remove(legacy, '$.host', '$.remoteBin')
      FROM sessions WHERE json_valid(legacy) AND json_type(legacy, '$.host') = 'text'`,
    `DELETE FROM sessions WHERE id IN (SELECT id FROM remote_sessions)`,
  ],
}, {
  version: 5,
  minReader: 1,
  sql: [
    // A JSON array: the tokens that owner stands on, see SessionOwner.
    `ALTER TABLE sessions ADD COLUMN owner_above TEXT`,
  ],
}, {
  version: 6,
  minReader: 1,
  sql: [`ALTER TABLE remote_sessions ADD COLUMN remote_registry TEXT`],
}];

/**
 * Brings an empty or older registry up to the last migration; leaves a newer one as it is.
 * @param prepareEmpty chooses the journal of a registry that is being created.
 * @throws AppError when the registry says that this program is too old for it.
 */
export function prepareSchema(
  database: Database,
  prepareEmpty: () => void,
  migrations: readonly Migration[] = MIGRATIONS,
): void {
  const target = migrations.at(-1)?.version ?? 0;
  const version = database.userVersion();
  if (version === target) return;
  if (version > target) return checkReader(database, target);
  if (version === 0 && isEmpty(database)) prepareEmpty();
  database.mutate(() => migrate(database, migrations, target));
}

function migrate(database: Database, migrations: readonly Migration[], target: number): void {
  // Another process may have been here in the meantime.
  const version = database.userVersion();
  if (version >= target) return checkReader(database, target);
  if (version === 0 && !isEmpty(database)) {
    throw new AppError(
      "failure",
      `Cannot use the ${database.subject.name} "${database.path}": it is a database of another program. Move it away`,
    );
  }
  for (const migration of migrations) {
    if (migration.version <= version) continue;
    for (const statement of migration.sql) database.run(statement);
    setMeta(database, "schema_version", String(migration.version));
    setMeta(database, "min_reader", String(migration.minReader));
  }
  database.run(`PRAGMA user_version = ${target}`);
}

function checkReader(database: Database, ours: number): void {
  const required = Number(getMeta(database, "min_reader") ?? Number.POSITIVE_INFINITY);
  if (!(required <= ours)) throw registryTooNew(database.path, database.subject);
}

function isEmpty(database: Database): boolean {
  return database.get("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined;
}

export function getMeta(database: Database, key: string): string | null {
  const value = database.get("SELECT value FROM meta WHERE key = ?", key)?.["value"];
  return typeof value === "string" ? value : null;
}

/** Only inside of a transaction. */
export function setMeta(database: Database, key: string, value: string): void {
  database.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}
