/** The deliveries of the registry: each is stored before its first keystroke and keeps its result and anchor. */

import { AppError, sessionNotFound } from "../errors.ts";
import type { Receipt } from "../session.ts";
import type { Database } from "./database.ts";
import { type KeyRef, linkKey } from "./keys.ts";
import { parseSend, SELECT_SEND, type StoredSend, toJson } from "./rows.ts";
import type { SessionRef } from "./sessions.ts";

export interface SendStart {
  readonly receipt: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly anchor: unknown;
  /** The claim of `--key`, which then names this receipt. */
  readonly key?: KeyRef | null;
}

export interface SendStore {
  /**
   * Stores a delivery as `typing` and makes it the session's last one.
   * @throws AppError when the session is gone or not active; then nothing may be typed.
   */
  beginSend(ref: SessionRef, start: SendStart): void;
  /**
   * Stores the result; an anchor of null keeps the one it began with. A refused delivery is none: the session's
   * last delivery is again the one before it. False when there is no such delivery.
   */
  finishSend(receipt: Receipt): boolean;
  /** @throws AppError when there is such a row, but it can't be understood. */
  findSend(receipt: string): StoredSend | null;
}

export function sendStore(database: Database): SendStore {
  function beginSend({ id, token }: SessionRef, { receipt, at, anchor, key }: SendStart): void {
    database.mutate(() => {
      const row = database.get("SELECT lifecycle FROM sessions WHERE id = ? AND token = ?", id, token);
      if (row === undefined) throw sessionNotFound(id);
      if (row["lifecycle"] !== "active") {
        throw new AppError(
          "agent_gone",
          `Cannot send to "${id}": it has ended. Bring it back with: dev-sessions resume ${id}`,
        );
      }
      database.run(
        `INSERT INTO sends (receipt, session_id, session_token, at, result, anchor)
          VALUES (?, ?, ?, ?, 'typing', ?)`,
        receipt,
        id,
        token,
        at,
        toJson(anchor),
      );
      database.run(
        `UPDATE sessions SET last_send = ?, last_used_at = max(last_used_at, ?) WHERE id = ? AND token = ?`,
        receipt,
        at,
        id,
        token,
      );
      if (key) linkKey(database, key, { sessionId: id, receipt });
    });
  }

  function finishSend(details: Receipt): boolean {
    return database.mutate(() => {
      const changes = database.run(
        "UPDATE sends SET result = ?, anchor = coalesce(?, anchor), details = ? WHERE receipt = ?",
        details.result,
        toJson(details.anchor),
        toJson(details),
        details.receipt,
      );
      if (changes > 0 && details.result === "refused") withdraw(details.receipt);
      return changes > 0;
    });
  }

  function withdraw(receipt: string): void {
    database.run(
      `UPDATE sessions SET last_send = (
          SELECT receipt FROM sends WHERE session_token = sessions.token AND result <> 'refused'
          ORDER BY rowid DESC LIMIT 1
        ) WHERE last_send = ?`,
      receipt,
    );
  }

  function findSend(receipt: string): StoredSend | null {
    const row = database.get(`${SELECT_SEND} WHERE receipt = ?`, receipt);
    if (row === undefined) return null;
    const parsed = parseSend(row);
    if (parsed.ok) return parsed.value;
    throw new AppError(
      "failure",
      `Cannot read delivery ${
        JSON.stringify(receipt)
      } in the registry "${database.path}": ${parsed.reason}. ` +
        `It may belong to a newer version: upgrade dev-sessions`,
    );
  }

  return { beginSend, finishSend, findSend };
}
