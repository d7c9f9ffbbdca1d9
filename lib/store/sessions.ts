/** The sessions of the registry: every change names a row by id and token, so that a stale process misses. */

import { AppError, sessionNotFound } from "../errors.ts";
import type { Lifecycle, ProcessIdentity, Session, SessionId, SessionSummary, Worktree } from "../session.ts";
import { countLive, countLiveOf } from "./counts.ts";
import type { Database } from "./database.ts";
import { assertUsableId, chooseId } from "./names.ts";
import { type KeyRef, linkKey } from "./keys.ts";
import { parseSession, parseSummary, SELECT_ENDED, SELECT_SESSION, toJson } from "./rows.ts";
import { nameOf, understanding } from "./understood.ts";

/** Names exactly one row: an id may come to belong to another session, a token never does. */
export type SessionRef = Pick<Session, "id" | "token">;

/** What `create` knows before it begins. */
export type SessionDraft = Pick<
  Session,
  "agent" | "mode" | "path" | "description" | "model" | "parent" | "group" | "creator" | "launch"
>;

export interface ReserveOptions {
  /** A given id; null picks a free champion. */
  readonly id: SessionId | null;
  /** Names that are taken outside of the registry. */
  readonly exclude: ReadonlySet<string>;
  /** The claim of `create --key`, which then names this session. */
  readonly key?: KeyRef | null;
  /** Given how many sessions live now; what it throws keeps the row out. */
  readonly admit?: Admit;
  /** Null: made without a token. */
  readonly owner?: SessionOwner | null;
  /** What finds and removes whatever will be begun for this row; stored with it. */
  readonly plan?: (ref: SessionRef) => SessionPlan;
}

/** The gateway's token with which a session is made. */
export interface SessionOwner {
  readonly id: string;
  /** Tokens with which the session was made in whose container it is, and so on: what it makes counts as theirs, too. */
  readonly above: readonly string[];
}

/** What a session's row holds before anything exists outside of it. */
export interface SessionPlan extends Pick<RecordedHandle, "handle" | "agentSessionId"> {
  /** Instead of the draft's: where its worktree will be. */
  readonly path?: string;
  readonly worktree?: Worktree | null;
}

/**
 * Called within the transaction that is to add a live session, so that parallel commands can't go beyond a limit.
 * `liveOf` counts those that were made with one token.
 */
export type Admit = (live: number, liveOf: (owner: string) => number) => void;

/** What finds the agent again. */
export interface RecordedHandle {
  readonly handle: unknown;
  readonly process: ProcessIdentity | null;
  readonly agentSessionId: string | null;
}

interface SessionEnd {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly reason: string;
}

export interface SessionStore {
  /**
   * Inserts a row with lifecycle `creating` under a free id.
   * @throws AppError when the given id is in use or not the form of one.
   */
  reserve(draft: SessionDraft, options: ReserveOptions): Session;
  /** @throws AppError when the row is gone. */
  recordHandle(ref: SessionRef, handle: RecordedHandle): void;
  /**
   * Makes a `creating` or `ended` session live, with what finds its agent; when and why it ended is forgotten.
   * @throws AppError when the row is gone or live already.
   */
  activate(ref: SessionRef, handle?: RecordedHandle): Session;
  /** Forgets a `creating` row; false when there is none. */
  release(ref: SessionRef): boolean;
  /** Ends an `active` session; false when it was not active (any more). */
  markEnded(ref: SessionRef, end: SessionEnd): boolean;
  /**
   * As `markEnded`, by the command that has ended it: when another one has noticed the end first, this reason
   * replaces the one that was found.
   */
  markKilled(ref: SessionRef, end: SessionEnd): void;
  /** @throws AppError when there is such a row, but it can't be understood. */
  find(id: SessionId): Session | null;
  /** Ordered by creation. Rows that can't be understood are warned of and left out. */
  list(filter?: { readonly lifecycle?: Lifecycle }): Session[];
  /** As `list`, but only what is shown of ended sessions: there may be thousands of them. */
  listEnded(): SessionSummary[];
  /** Sessions whose `create` has not finished. */
  creating(): Session[];
  /** Sessions whose `create` or `resume` has not finished. */
  unfinished(): Session[];
  /**
   * All to which something outside of the registry may belong, see `isAtWork()`; also those that a newer version has made
   * and `list()` leaves out, so that only this proves that there is none.
   */
  atWork(): RowAtWork[];
  /** What the session went through after the change numbered `after` (0: from its start), oldest first. */
  lifecycleOf(token: string, after: number): LifecycleChange[];
}

export interface RowAtWork {
  readonly id: SessionId;
  readonly token: string;
  /** As it stands there: a newer version may know others. */
  readonly mode: string;
  /** Of the workspace. */
  readonly path: string;
}

export interface LifecycleChange {
  /** Ascending over all sessions. */
  readonly seq: number;
  readonly type: "created" | "resumed" | "ended";
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly reason: string | null;
}

export interface SessionStoreOptions {
  /** ISO 8601, UTC. */
  readonly now: () => string;
  readonly random: () => number;
  readonly randomUuid: () => string;
  readonly warn: (text: string) => void;
}

export function sessionStore(database: Database, options: SessionStoreOptions): SessionStore {
  const { now, random, randomUuid, warn } = options;
  const understood = understanding(database.path, warn);

  function find(id: SessionId): Session | null {
    const row = database.get(`${SELECT_SESSION} WHERE s.id = ?`, id);
    return row === undefined ? null : understood.one(nameOf(row), parseSession(row));
  }

  function list(filter: { readonly lifecycle?: Lifecycle } = {}): Session[] {
    const order = "ORDER BY s.created_at, s.rowid";
    if (filter.lifecycle === undefined) {
      return understood.all(database.all(`${SELECT_SESSION} ${order}`), parseSession, nameOf);
    }
    return understood.all(
      database.all(`${SELECT_SESSION} WHERE s.lifecycle = ? ${order}`, filter.lifecycle),
      parseSession,
      nameOf,
    );
  }

  function listEnded(): SessionSummary[] {
    return understood.all(database.allValues(SELECT_ENDED), parseSummary, ([id]) => JSON.stringify(id));
  }

  function reserve(
    draft: SessionDraft,
    { id: given, exclude, key, admit, owner, plan }: ReserveOptions,
  ): Session {
    assertUsableId(given);
    return database.mutate(() => {
      admit?.(countLive(database), (one) => countLiveOf(database, one));
      const id = chooseId(database, given, exclude, random);
      const at = now();
      const token = randomUuid();
      const planned = plan?.({ id, token });
      database.run(
        `INSERT INTO sessions (id, token, agent, mode, path, description, model, lifecycle, created_at,
          last_used_at, parent, group_name, creator, handle, agent_session_id, launch, worktree, owner,
          owner_above)
          VALUES (?, ?, ?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        id,
        token,
        draft.agent,
        draft.mode,
        planned?.path ?? draft.path,
        draft.description,
        draft.model,
        at,
        at,
        draft.parent,
        draft.group,
        toJson(draft.creator),
        toJson(planned?.handle),
        planned?.agentSessionId ?? null,
        toJson(draft.launch),
        toJson(planned?.worktree),
        owner?.id ?? null,
        toJson(owner?.above),
      );
      if (key) linkKey(database, key, { sessionId: id });
      return found(id);
    });
  }

  function found(id: SessionId): Session {
    const session = find(id);
    if (session === null) throw sessionNotFound(id);
    return session;
  }

  function recordHandle(ref: SessionRef, handle: RecordedHandle): void {
    database.mutate(() => setHandle(ref, handle));
  }

  function setHandle(ref: SessionRef, { handle, process, agentSessionId }: RecordedHandle): void {
    const changes = database.run(
      "UPDATE sessions SET handle = ?, process = ?, agent_session_id = ? WHERE id = ? AND token = ?",
      toJson(handle),
      toJson(process),
      agentSessionId,
      ref.id,
      ref.token,
    );
    if (changes === 0) throw rowIsGone(ref);
  }

  function activate(ref: SessionRef, handle?: RecordedHandle): Session {
    return database.mutate(() => {
      if (handle !== undefined) setHandle(ref, handle);
      const before = find(ref.id)?.lifecycle;
      const changes = database.run(
        `UPDATE sessions SET lifecycle = 'active', ended_at = NULL, end_reason = NULL, resumer = NULL,
          last_used_at = max(last_used_at, ?)
          WHERE id = ? AND token = ? AND lifecycle IN ('creating', 'ended')`,
        now(),
        ref.id,
        ref.token,
      );
      if (changes === 0) throw rowIsGone(ref);
      noteLifecycle(ref, before === "ended" ? "resumed" : "created", now(), null);
      return found(ref.id);
    });
  }

  function markEnded(ref: SessionRef, end: SessionEnd): boolean {
    return database.mutate(() => endActive(ref, end));
  }

  function markKilled(ref: SessionRef, end: SessionEnd): void {
    database.mutate(() => {
      if (endActive(ref, end)) return;
      const changes = database.run(
        "UPDATE sessions SET end_reason = ? WHERE id = ? AND token = ? AND lifecycle = 'ended'",
        end.reason,
        ref.id,
        ref.token,
      );
      if (changes === 0) return;
      database.run(
        `UPDATE lifecycle SET reason = ? WHERE type = 'ended' AND
          seq = (SELECT max(seq) FROM lifecycle WHERE session_token = ?)`,
        end.reason,
        ref.token,
      );
    });
  }

  /** Only inside of a transaction. */
  function endActive(ref: SessionRef, { at, reason }: SessionEnd): boolean {
    const changes = database.run(
      `UPDATE sessions SET lifecycle = 'ended', ended_at = ?, end_reason = ?
        WHERE id = ? AND token = ? AND lifecycle = 'active'`,
      at,
      reason,
      ref.id,
      ref.token,
    );
    if (changes > 0) noteLifecycle(ref, "ended", at, reason);
    return changes > 0;
  }

  /** Only inside of a transaction. */
  function noteLifecycle(ref: SessionRef, type: LifecycleChange["type"], at: string, reason: string | null) {
    database.run(
      "INSERT INTO lifecycle (session_id, session_token, type, at, reason) VALUES (?, ?, ?, ?, ?)",
      ref.id,
      ref.token,
      type,
      at,
      reason,
    );
  }

  function lifecycleOf(token: string, after: number): LifecycleChange[] {
    return database.all(
      "SELECT seq, type, at, reason FROM lifecycle WHERE session_token = ? AND seq > ? ORDER BY seq",
      token,
      after,
    ).map((row) => ({
      seq: Number(row["seq"]),
      type: String(row["type"]) as LifecycleChange["type"],
      at: String(row["at"]),
      reason: row["reason"] === null ? null : String(row["reason"]),
    }));
  }

  return {
    reserve,
    recordHandle,
    activate,
    find,
    list,
    listEnded,
    release: (ref) => database.mutate(() => deleteRow(database, ref, "creating")),
    // Asked by every command, and hardly ever there: found out without the long row.
    creating: () =>
      database.get("SELECT 1 FROM sessions WHERE lifecycle = 'creating' LIMIT 1") === undefined
        ? []
        : list({ lifecycle: "creating" }),
    // As above.
    unfinished: () =>
      database.get(`SELECT 1 FROM sessions s WHERE ${UNFINISHED} LIMIT 1`) === undefined
        ? []
        : understood.all(database.all(`${SELECT_SESSION} WHERE ${UNFINISHED}`), parseSession, nameOf),
    atWork: () =>
      database.all(`SELECT s.id, s.token, s.mode, s.path FROM sessions s WHERE ${AT_WORK}`).map((
        { id, token, mode, path },
      ) => ({
        id: String(id),
        token: String(token),
        mode: String(mode),
        path: String(path),
      })),
    markEnded,
    markKilled,
    lifecycleOf,
  };
}

const AT_WORK = "s.lifecycle <> 'ended' OR s.resumer IS NOT NULL";
const UNFINISHED = "s.lifecycle = 'creating' OR s.resumer IS NOT NULL";

/** Forgets a row with its deliveries, unless it is being resumed; only inside of a transaction. */
export function deleteRow(database: Database, ref: SessionRef, lifecycle: Lifecycle): boolean {
  const changes = database.run(
    "DELETE FROM sessions WHERE id = ? AND token = ? AND lifecycle = ? AND resumer IS NULL",
    ref.id,
    ref.token,
    lifecycle,
  );
  if (changes > 0) {
    database.run("DELETE FROM sends WHERE session_token = ?", ref.token);
    database.run("DELETE FROM lifecycle WHERE session_token = ?", ref.token);
  }
  return changes > 0;
}

function rowIsGone({ id }: SessionRef): AppError {
  return new AppError(
    "failure",
    `Cannot update session "${id}": another command has changed or removed it. Look at it with: dev-sessions inspect ${id}`,
  );
}
