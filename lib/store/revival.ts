/** Ended sessions that may live again: one process at most is at work on each, and its row stays `ended` meanwhile. */

import { AppError, sessionNotFound } from "../errors.ts";
import { isSameProcess } from "../process_identity.ts";
import type { ProcessIdentity, Session, SessionId, SessionSummary } from "../session.ts";
import { countLive, countLiveOf } from "./counts.ts";
import type { Database } from "./database.ts";
import { toJson } from "./rows.ts";
import type { Admit, SessionRef } from "./sessions.ts";

export interface ResumeClaim {
  readonly resumer: ProcessIdentity;
  /** What finds and removes whatever will be begun. */
  readonly handle: unknown;
  readonly agentSessionId: string | null;
  /** The agent's id of the conversation that goes on; no other session may be at it. */
  readonly conversation: string;
  readonly admit?: Admit;
}

/** An ended session with what tells whether it can be resumed, as cheaply as a thousand of them need it. */
export interface EndedSession {
  readonly session: SessionSummary;
  /** JSON text; the backend's own. */
  readonly handle: string | null;
  /** Whether a message was ever delivered to it. */
  readonly everSent: boolean;
}

export interface RevivalStore {
  /**
   * Notes the process that resumes an ended session, together with what it is about to begin.
   * @throws AppError when the session is gone or live, when another process is at it, or another session at its
   * conversation.
   */
  claimResume(ref: SessionRef, claim: ResumeClaim): Session;
  /** Another process takes over, to tidy up after the first; false when the first is no longer at it. */
  takeOverResume(ref: SessionRef, from: ProcessIdentity, to: ProcessIdentity): boolean;
  /** The session can be resumed anew; false when this process is not at it. */
  releaseResume(ref: SessionRef, resumer: ProcessIdentity): boolean;
  /** Those of the ended sessions that nobody is resuming. */
  resumeFacts(ended: readonly SessionSummary[]): EndedSession[];
}

export function revivalStore(
  database: Database,
  find: (id: SessionId) => Session | null,
): RevivalStore {
  function claimResume(ref: SessionRef, claim: ResumeClaim): Session {
    return database.mutate(() => {
      const session = find(ref.id);
      if (session?.token !== ref.token) throw sessionNotFound(ref.id);
      if (session.lifecycle !== "ended") throw isLive(ref.id);
      if (session.resumer !== null) throw isBeingResumed(ref.id);
      const other = database.get(
        `SELECT id FROM sessions WHERE agent_session_id = ? AND token <> ?
          AND (lifecycle IN ('creating', 'active') OR resumer IS NOT NULL)`,
        claim.conversation,
        ref.token,
      );
      if (other !== undefined) throw isShared(ref.id, String(other["id"]));
      claim.admit?.(countLive(database), (owner) => countLiveOf(database, owner));
      database.run(
        "UPDATE sessions SET resumer = ?, handle = ?, agent_session_id = ? WHERE id = ? AND token = ?",
        toJson(claim.resumer),
        toJson(claim.handle),
        claim.agentSessionId,
        ref.id,
        ref.token,
      );
      return { ...session, ...claimed(claim) };
    });
  }

  /** Changes a row that this very process is at; false when it is not. */
  function change(ref: SessionRef, holder: ProcessIdentity, next: ProcessIdentity | null): boolean {
    return database.mutate(() => {
      const session = find(ref.id);
      if (session?.token !== ref.token || session.lifecycle !== "ended") return false;
      if (session.resumer === null || !isSameProcess(session.resumer, holder)) return false;
      const sql = "UPDATE sessions SET resumer = ? WHERE id = ? AND token = ?";
      return database.run(sql, toJson(next), ref.id, ref.token) > 0;
    });
  }

  function resumeFacts(ended: readonly SessionSummary[]): EndedSession[] {
    const rows = database.allValues(
      `SELECT token, handle, last_send IS NOT NULL FROM sessions WHERE lifecycle = 'ended' AND resumer IS NULL`,
    );
    const byToken = new Map(rows.map((row) => [row[0], row]));
    return ended.flatMap((session) => {
      const row = byToken.get(session.token);
      if (row === undefined) return [];
      return [{ session, handle: typeof row[1] === "string" ? row[1] : null, everSent: row[2] === 1 }];
    });
  }

  return {
    claimResume,
    takeOverResume: change,
    releaseResume: (ref, resumer) => change(ref, resumer, null),
    resumeFacts,
  };
}

function claimed({ resumer, handle, agentSessionId }: ResumeClaim) {
  return { resumer, handle, agentSessionId };
}

/** The session needs no `resume`. */
export function isLive(id: SessionId): AppError {
  return new AppError(
    "failure",
    `Cannot resume "${id}": it is live already. See what it does with: dev-sessions status ${id}`,
  );
}

export function isBeingResumed(id: SessionId, action = "resume"): AppError {
  return new AppError(
    "failure",
    `Cannot ${action} "${id}": another command is resuming it. Look at it with: dev-sessions status ${id}`,
  );
}

function isShared(id: SessionId, other: string): AppError {
  return new AppError(
    "failure",
    `Cannot resume "${id}": the session "${other}" has the same conversation and is live. ` +
      `Go on with that one, or end it with: dev-sessions kill ${other}`,
  );
}
