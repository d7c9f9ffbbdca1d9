/**
 * The event log: what happened to all sessions in one order that every reader sees, together with how far each
 * session's records were read. Both change in one transaction, so that nothing is in it twice and nothing is left out.
 */

import * as v from "valibot";
import { AppError } from "../errors.ts";
import { type Cursor, type EventRecord, formatCursor, type Happened } from "../events.ts";
import type { Paths } from "../paths.ts";
import type { SessionId } from "../session.ts";
import { Database, type Row } from "./database.ts";
import type { StoreSubject } from "./errors.ts";
import { isOnNetworkFileSystem } from "./network_file_system.ts";
import { getMeta, type Migration, prepareSchema } from "./schema.ts";
import type { SessionRef } from "./sessions.ts";

const SUBJECT: StoreSubject = {
  name: "event log",
  afterwards: ". It is built again from the agents' records; cursors of the old one are refused then",
};

const MIGRATIONS: readonly Migration[] = [{
  version: 1,
  minReader: 1,
  sql: [
    `CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT`,
    `INSERT INTO meta (key, value) VALUES ('log', lower(hex(randomblob(4))))`,
    `CREATE TABLE events (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      session_token TEXT NOT NULL,
      session_id TEXT NOT NULL,
      at TEXT NOT NULL,
      body TEXT NOT NULL
    ) STRICT`,
    `CREATE INDEX events_by_session ON events (session_token, seq)`,
    `CREATE TABLE positions (
      session_token TEXT PRIMARY KEY NOT NULL,
      revision INTEGER NOT NULL,
      position TEXT NOT NULL,
      settled TEXT
    ) STRICT`,
  ],
}];

const PAGE_EVENTS = 500;

const PositionSchema = v.looseObject({
  /** The last change of the session's life that is in the log. */
  lifecycle: v.number(),
  /** Whether it lives as far as the log knows; null before its creation is in it. */
  alive: v.nullable(v.boolean()),
  agent: v.unknown(),
});

/** How far one session was read. */
export interface Position {
  readonly lifecycle: number;
  readonly alive: boolean | null;
  /** Backend's own. */
  readonly agent: unknown;
}

export interface StoredPosition {
  /** Changes with every change of the position; 0 before the first. */
  readonly revision: number;
  readonly position: Position;
}

export interface EventStore {
  /** The newest event's place, also when that event was forgotten since. */
  newest(): Cursor;
  /** @throws AppError when a newer version has written it and this one does not understand it. */
  position(token: string): StoredPosition;
  /**
   * Appends what happened to a session, together with how far it was read by that.
   * @param settled names the end up to which nothing is left to be read; null while the session may go on.
   * @returns false, with nothing changed, when another reader has moved the position since `revision`.
   */
  append(
    ref: SessionRef,
    revision: number,
    change: {
      readonly position: Position;
      readonly events: readonly Happened[];
      readonly settled: string | null;
    },
  ): boolean;
  /** For each session that was read to an end: which end that was. */
  settled(): Map<string, string>;
  /** At most one page of the events after a place, in order; of these sessions only, unless null. */
  after(seq: number, tokens: readonly string[] | null): (EventRecord & { readonly seq: number })[];
  /** Removes a session's events and position; for a session that the registry has forgotten. */
  forget(token: string): void;
  close(): void;
}

/**
 * Opens the event log, and creates it where there is none.
 * @throws AppError when it is damaged, can't be reached or belongs to a newer version; it is left untouched then.
 */
export function openEventStore(
  paths: Pick<Paths, "state" | "events">,
  options: {
    readonly isOnNetworkFileSystem?: (folder: string) => boolean;
    readonly busyTimeoutMs?: number;
  } = {},
): EventStore {
  const { busyTimeoutMs } = options;
  const database = new Database(paths.state, paths.events, {
    subject: SUBJECT,
    ...(busyTimeoutMs === undefined ? {} : { busyTimeoutMs }),
  });
  try {
    prepareSchema(database, () => {
      const shared = (options.isOnNetworkFileSystem ?? isOnNetworkFileSystem)(paths.state);
      if (!shared) database.useWriteAheadLog();
    }, MIGRATIONS);
    return eventStore(database, getMeta(database, "log") ?? "00000000");
  } catch (error) {
    database.close();
    throw error;
  }
}

function eventStore(database: Database, log: string): EventStore {
  function position(token: string): StoredPosition {
    const row = database.get("SELECT revision, position FROM positions WHERE session_token = ?", token);
    if (row === undefined) return { revision: 0, position: { lifecycle: 0, alive: null, agent: null } };
    const parsed = v.safeParse(PositionSchema, parseJson(String(row["position"])));
    if (!parsed.success) throw notUnderstood(database.path);
    const { lifecycle, alive, agent } = parsed.output;
    return { revision: Number(row["revision"]), position: { lifecycle, alive, agent } };
  }

  function append(
    ref: SessionRef,
    revision: number,
    change: Parameters<EventStore["append"]>[2],
  ): boolean {
    const json = JSON.stringify(change.position);
    return database.mutate(() => {
      const moved = revision === 0
        ? database.run(
          `INSERT INTO positions (session_token, revision, position, settled) VALUES (?, 1, ?, ?)
            ON CONFLICT (session_token) DO NOTHING`,
          ref.token,
          json,
          change.settled,
        )
        : database.run(
          `UPDATE positions SET revision = revision + 1, position = ?, settled = ?
            WHERE session_token = ? AND revision = ?`,
          json,
          change.settled,
          ref.token,
          revision,
        );
      if (moved === 0) return false;
      for (const { at, body } of change.events) {
        database.run(
          "INSERT INTO events (session_token, session_id, at, body) VALUES (?, ?, ?, ?)",
          ref.token,
          ref.id,
          new Date(at).toISOString(),
          JSON.stringify(body),
        );
      }
      return true;
    });
  }

  function recordOf(row: Row): EventRecord & { readonly seq: number } {
    const seq = Number(row["seq"]);
    return {
      seq,
      cursor: formatCursor({ log, seq }),
      at: String(row["at"]),
      id: String(row["session_id"]) as SessionId,
      body: parseJson(String(row["body"])) as EventRecord["body"],
    };
  }

  return {
    newest: () => {
      const row = database.get("SELECT seq FROM sqlite_sequence WHERE name = 'events'");
      return { log, seq: Number(row?.["seq"] ?? 0) };
    },
    position,
    append,
    settled: () =>
      new Map(
        database.all("SELECT session_token, settled FROM positions WHERE settled IS NOT NULL").map((row) => [
          String(row["session_token"]),
          String(row["settled"]),
        ]),
      ),
    after: (seq, tokens) => {
      const which = tokens === null ? "" : "AND session_token IN (SELECT value FROM json_each(?))";
      const given = tokens === null ? [] : [JSON.stringify(tokens)];
      return database.all(
        `SELECT seq, session_id, at, body FROM events WHERE seq > ? ${which} ORDER BY seq LIMIT ${PAGE_EVENTS}`,
        seq,
        ...given,
      ).map(recordOf);
    },
    forget: (token) => {
      database.mutate(() => {
        database.run("DELETE FROM events WHERE session_token = ?", token);
        database.run("DELETE FROM positions WHERE session_token = ?", token);
      });
    },
    close: () => database.close(),
  };
}

function notUnderstood(path: string): AppError {
  return new AppError(
    "failure",
    `Cannot read the event log "${path}": it holds what this version does not understand. Upgrade dev-sessions`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
