/** The sessions of other hosts: their ids are never those of sessions of this machine, nor the other way round. */

import * as v from "valibot";
import type { RemoteSession } from "../remote_session.ts";
import { AGENT_KINDS, type Lifecycle, MODES, type Session, type SessionId } from "../session.ts";
import type { CreateRequest } from "../service.ts";
import { countLive, countLiveOf } from "./counts.ts";
import type { Database, Row } from "./database.ts";
import { assertUsableId, chooseId } from "./names.ts";
import { type KeyRef, linkKey } from "./keys.ts";
import { json, type Parsed, processJson, toJson } from "./rows.ts";
import type { Admit, SessionRef } from "./sessions.ts";
import { nameOf, understanding } from "./understood.ts";

export type RemoteDraft = Pick<
  RemoteSession,
  | "host"
  | "remoteBin"
  | "remoteRegistry"
  | "agent"
  | "mode"
  | "path"
  | "description"
  | "model"
  | "parent"
  | "group"
  | "creator"
>;

export interface ReserveRemoteOptions {
  /** A given id; null picks a free champion. */
  readonly id: SessionId | null;
  /** Names that are taken on the host. */
  readonly exclude: ReadonlySet<string>;
  /** The claim of `create --key`, which then names this session. */
  readonly key: KeyRef | null;
  readonly admit: Admit;
  /** What the host will be asked for. */
  readonly request: (id: SessionId) => CreateRequest;
}

/** What a host says of its session. */
export type Heard = Pick<
  Session,
  "token" | "path" | "model" | "lifecycle" | "lastUsedAt" | "endedAt" | "endReason" | "agentSessionId"
>;

export interface RemoteStore {
  /**
   * Inserts a row with lifecycle `creating` under an id that is free here.
   * @throws AppError when the given id is in use or not the form of one.
   */
  reserveRemote(draft: RemoteDraft, options: ReserveRemoteOptions): RemoteSession;
  /** @throws AppError when there is such a row, but it can't be understood. */
  findRemote(id: SessionId): RemoteSession | null;
  /** Whether there are any at all. */
  hasRemotes(): boolean;
  /** By creation; those that can't be understood are left out, with a warning. */
  listRemotes(): RemoteSession[];
  /**
   * Notes what the host says: null when the row is gone. A session that is still being created there stays `creating`.
   *
   * @param registry that the host has it from, if it says so.
   */
  heardOf(ref: SessionRef, heard: Heard, registry?: string | null): RemoteSession | null;
  /**
   * Counts an ended one as live before its host is asked to bring it back; false when it is not ended (any more).
   * @throws what `admit` throws.
   */
  reviveRemote(ref: SessionRef, admit: Admit): boolean;
  /** Ends a live one; false when it is not live (any more). */
  endRemote(ref: SessionRef, end: { readonly at: string; readonly reason: string }): boolean;
  /** Forgets it, whatever its lifecycle; false when it is gone. */
  forgetRemote(ref: SessionRef): boolean;
}

export interface RemoteStoreOptions {
  /** ISO 8601, UTC. */
  readonly now: () => string;
  readonly random: () => number;
  readonly randomUuid: () => string;
  readonly warn: (text: string) => void;
}

const text = v.string();
const textOrNull = v.nullable(text);
/** Written by ourselves; its host checks it again. */
const request = v.custom<CreateRequest>((value) =>
  typeof value === "object" && value !== null && "path" in value && "key" in value
);
const remoteRow = v.object({
  id: text,
  token: text,
  host: text,
  remote_bin: textOrNull,
  remote_token: textOrNull,
  remote_registry: textOrNull,
  agent: v.picklist(AGENT_KINDS),
  mode: v.picklist(MODES),
  path: text,
  description: textOrNull,
  model: textOrNull,
  lifecycle: v.picklist(["creating", "active", "ended"]),
  created_at: text,
  last_used_at: text,
  ended_at: textOrNull,
  end_reason: textOrNull,
  parent: textOrNull,
  group_name: textOrNull,
  agent_session_id: textOrNull,
  creator: processJson,
  request: v.pipe(json, v.nullable(request)),
  legacy: v.pipe(json, v.nullable(v.record(text, v.unknown()))),
});

const COLUMNS = Object.keys(remoteRow.entries).join(", ");
const SELECT = `SELECT ${COLUMNS} FROM remote_sessions`;

export function remoteStore(database: Database, options: RemoteStoreOptions): RemoteStore {
  const { now, random, randomUuid, warn } = options;
  const understood = understanding(database.path, warn);

  function findRemote(id: SessionId): RemoteSession | null {
    const row = database.get(`${SELECT} WHERE id = ?`, id);
    return row === undefined ? null : understood.one(nameOf(row), parseRemote(row));
  }

  function reserveRemote(draft: RemoteDraft, asked: ReserveRemoteOptions): RemoteSession {
    const { id: given, exclude, key, admit } = asked;
    assertUsableId(given);
    return database.mutate(() => {
      admit(countLive(database), (owner) => countLiveOf(database, owner));
      const id = chooseId(database, given, exclude, random);
      const at = now();
      database.run(
        `INSERT INTO remote_sessions (id, token, host, remote_bin, remote_registry, agent, mode, path, description, model,
          lifecycle, created_at, last_used_at, parent, group_name, creator, request)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?)`,
        id,
        randomUuid(),
        draft.host,
        draft.remoteBin,
        draft.remoteRegistry,
        draft.agent,
        draft.mode,
        draft.path,
        draft.description,
        draft.model,
        at,
        at,
        draft.parent,
        draft.group,
        toJson(draft.creator),
        toJson(asked.request(id)),
      );
      if (key !== null) linkKey(database, key, { sessionId: id });
      return findRemote(id)!;
    });
  }

  function heardOf(ref: SessionRef, heard: Heard, registry: string | null = null): RemoteSession | null {
    const isKnown = (row: RemoteSession) =>
      row.remoteToken === heard.token && row.remoteRegistry === (registry ?? row.remoteRegistry) &&
      row.path === heard.path && row.model === heard.model &&
      row.lifecycle === heard.lifecycle && row.lastUsedAt >= heard.lastUsedAt &&
      row.endedAt === heard.endedAt && row.endReason === heard.endReason &&
      row.agentSessionId === heard.agentSessionId;
    const before = findRemote(ref.id);
    if (before?.token !== ref.token) return null;
    if (isKnown(before)) return before;
    return database.mutate(() => {
      const lifecycle: Lifecycle = heard.lifecycle;
      const changes = database.run(
        `UPDATE remote_sessions SET remote_token = ?, remote_registry = coalesce(?, remote_registry), path = ?, model = ?,
          lifecycle = ?, ended_at = ?, end_reason = ?, agent_session_id = ?, last_used_at = max(last_used_at, ?)
          WHERE id = ? AND token = ?`,
        heard.token,
        registry,
        heard.path,
        heard.model,
        lifecycle,
        heard.endedAt,
        heard.endReason,
        heard.agentSessionId,
        heard.lastUsedAt,
        ref.id,
        ref.token,
      );
      return changes === 0 ? null : findRemote(ref.id);
    });
  }

  return {
    reserveRemote,
    findRemote,
    heardOf,
    hasRemotes: () => database.get("SELECT 1 FROM remote_sessions LIMIT 1") !== undefined,
    listRemotes: () =>
      understood.all(database.all(`${SELECT} ORDER BY created_at, rowid`), parseRemote, nameOf),
    reviveRemote: (ref, admit) =>
      database.mutate(() => {
        const row = findRemote(ref.id);
        if (row?.token !== ref.token || row.lifecycle !== "ended") return false;
        admit(countLive(database), (owner) => countLiveOf(database, owner));
        database.run(
          `UPDATE remote_sessions SET lifecycle = 'active', ended_at = NULL, end_reason = NULL WHERE id = ?`,
          ref.id,
        );
        return true;
      }),
    endRemote: (ref, { at, reason }) =>
      database.mutate(() =>
        database.run(
          `UPDATE remote_sessions SET lifecycle = 'ended', ended_at = ?, end_reason = ?
            WHERE id = ? AND token = ? AND lifecycle <> 'ended'`,
          at,
          reason,
          ref.id,
          ref.token,
        )
      ) > 0,
    forgetRemote: (ref) =>
      database.mutate(() =>
        database.run("DELETE FROM remote_sessions WHERE id = ? AND token = ?", ref.id, ref.token)
      ) > 0,
  };
}

function parseRemote(row: Row): Parsed<RemoteSession> {
  const parsed = v.safeParse(remoteRow, row);
  return parsed.success
    ? { ok: true, value: fromRow(parsed.output) }
    : { ok: false, reason: parsed.issues[0].message };
}

function fromRow(row: v.InferOutput<typeof remoteRow>): RemoteSession {
  return {
    id: row.id,
    token: row.token,
    host: row.host,
    remoteBin: row.remote_bin,
    remoteToken: row.remote_token,
    remoteRegistry: row.remote_registry,
    agent: row.agent,
    mode: row.mode,
    path: row.path,
    description: row.description,
    model: row.model,
    lifecycle: row.lifecycle,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    parent: row.parent,
    group: row.group_name,
    agentSessionId: row.agent_session_id,
    creator: row.creator,
    request: row.request,
    legacy: row.legacy,
  };
}
