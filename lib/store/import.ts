/** Takes over the sessions of dev-sessions 0.4.4 once, and leaves its `sessions.json` exactly as it is. */

import * as v from "valibot";
import { isSessionId } from "../champion_ids.ts";
import { messageOf } from "../errors.ts";
import { isSshHost } from "../ssh_host.ts";
import type { Database } from "./database.ts";
import { toJson } from "./rows.ts";
import { getMeta, setMeta } from "./schema.ts";
import { takenIds } from "./names.ts";

const IMPORTED = "legacy_import";

export interface ImportOptions {
  readonly file: string;
  /** ISO 8601, UTC. */
  readonly now: () => string;
  readonly randomUuid: () => string;
  readonly warn: (text: string) => void;
}

const isoDate = v.pipe(
  v.string(),
  v.check((value) => !Number.isNaN(Date.parse(value))),
  v.transform((value) => new Date(value).toISOString()),
);

const registry = v.object({ sessions: v.array(v.unknown()) });

const record = v.looseObject({
  championId: v.pipe(v.string(), v.check(isSessionId)),
  internalId: v.pipe(v.string(), v.nonEmpty()),
  cli: v.picklist(["claude", "codex"]),
  mode: v.picklist(["native", "docker"]),
  path: v.pipe(v.string(), v.nonEmpty()),
  status: v.picklist(["active", "inactive"]),
  host: v.nullish(v.pipe(v.string(), v.check(isSshHost))),
  remoteBin: v.nullish(v.string()),
  description: v.nullish(v.string()),
  model: v.nullish(v.string()),
  createdAt: isoDate,
  lastUsed: isoDate,
});

type LegacyRecord = v.InferOutput<typeof record>;

/** A file that can't be read is warned of and tried again by the next command. */
export function importLegacyRegistry(database: Database, options: ImportOptions): void {
  if (getMeta(database, IMPORTED) !== null) return;
  const records = readRecords(options);
  if (records === null) return;
  database.mutate(() => {
    // Another process may have been here in the meantime.
    if (getMeta(database, IMPORTED) !== null) return;
    records.forEach((entry, index) => importRecord(database, entry, index, options));
    setMeta(database, IMPORTED, options.now());
  });
}

/** Null when there is no such file, or none that can be read. */
function readRecords({ file, warn }: ImportOptions): readonly unknown[] | null {
  try {
    return v.parse(registry, JSON.parse(Deno.readTextFileSync(file))).sessions;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    const reason = error instanceof SyntaxError ? "it is not valid JSON" : messageOf(error);
    warn(`cannot import the sessions of ${file}: ${reason}`);
    return null;
  }
}

function importRecord(database: Database, entry: unknown, index: number, options: ImportOptions): void {
  const { file, warn } = options;
  const parsed = v.safeParse(record, entry);
  if (!parsed.success) {
    warn(`ignoring invalid session record in ${file} at index ${index} championId=${nameOf(entry)}`);
    return;
  }
  const id = parsed.output.championId;
  if (takenIds(database).has(id)) {
    warn(`ignoring session record in ${file} at index ${index} championId=${id}: this id is in use`);
    return;
  }
  insert(database, parsed.output, options.randomUuid());
}

function insert(database: Database, legacyRecord: LegacyRecord, token: string): void {
  const {
    championId,
    internalId,
    cli,
    mode,
    path,
    status,
    description,
    model,
    createdAt,
    lastUsed,
    host,
    remoteBin,
    ...rest
  } = legacyRecord;
  const ended = status === "inactive";
  if (host !== null && host !== undefined) {
    database.run(
      `INSERT INTO remote_sessions (id, token, host, remote_bin, agent, mode, path, description, model, lifecycle,
        created_at, last_used_at, end_reason, agent_session_id, legacy)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      championId,
      token,
      host,
      remoteBin ?? null,
      cli,
      mode === "native" ? "yolo" : "docker",
      path,
      description ?? null,
      model ?? null,
      ended ? "ended" : "active",
      createdAt,
      lastUsed,
      ended ? "inactive in dev-sessions 0.4.4" : null,
      internalId,
      toJson(rest),
    );
    return;
  }
  database.run(
    `INSERT INTO sessions (id, token, agent, mode, path, description, model, lifecycle, created_at, last_used_at,
      end_reason, agent_session_id, legacy) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    championId,
    token,
    cli,
    mode === "native" ? "yolo" : "docker",
    path,
    description ?? null,
    model ?? null,
    ended ? "ended" : "active",
    createdAt,
    lastUsed,
    ended ? "inactive in dev-sessions 0.4.4" : null,
    internalId,
    toJson(rest),
  );
}

function nameOf(entry: unknown): string {
  const named = v.safeParse(v.object({ championId: v.string() }), entry);
  if (!named.success) return "unknown";
  // deno-lint-ignore no-control-regex -- a damaged file must not drive the terminal
  return named.output.championId.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
