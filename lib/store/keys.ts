/** Results by `--key`: a claim is stored before anything is delivered, and only its owner's claim can be settled. */

import * as v from "valibot";
import { AppError } from "../errors.ts";
import type { ProcessIdentity, SessionId } from "../session.ts";
import type { Database, Row } from "./database.ts";
import { processJson, toJson } from "./rows.ts";

/** Names one claim of a key: a later claim of the same key has another `claim`. */
export interface KeyRef {
  readonly verb: string;
  readonly key: string;
  readonly claim: string;
}

export interface KeyRequest {
  readonly verb: string;
  readonly key: string;
  /** Of everything that makes the request what it is. */
  readonly requestHash: string;
  /** Null where the request will only make the session. */
  readonly sessionId: SessionId | null;
  /** The claiming process: once it is dead, an open claim without a receipt has delivered nothing. */
  readonly owner: ProcessIdentity | null;
}

export type KeyClaim =
  /** The caller is to do it. */
  | { readonly state: "new"; readonly ref: KeyRef }
  | { readonly state: "done"; readonly resultJson: string; readonly sessionId: SessionId | null }
  /** Begun by `owner`, who is at it or died; `receipt` once typing had begun. */
  | {
    readonly state: "open";
    readonly ref: KeyRef;
    /** ISO 8601, UTC. */
    readonly claimedAt: string;
    readonly sessionId: SessionId | null;
    readonly receipt: string | null;
    readonly owner: ProcessIdentity | null;
  };

export interface KeyStore {
  /** @throws AppError when the key was used for another request. */
  claimKey(request: KeyRequest): KeyClaim;
  /** Stores the result that every repetition gets; false when the claim is not open any more. */
  finishKey(ref: KeyRef, resultJson: string): boolean;
  /** Gives up an open claim, when nothing was delivered; false when it is not open any more. */
  dropKey(ref: KeyRef): boolean;
}

export interface KeyStoreOptions {
  /** ISO 8601, UTC. */
  readonly now: () => string;
  readonly randomUuid: () => string;
}

const keyedRow = v.object({
  claim: v.string(),
  created_at: v.string(),
  request_hash: v.string(),
  owner: processJson,
  session_id: v.nullable(v.string()),
  receipt: v.nullable(v.string()),
  result: v.nullable(v.string()),
});

export function keyStore(database: Database, { now, randomUuid }: KeyStoreOptions): KeyStore {
  function claimKey(request: KeyRequest): KeyClaim {
    return database.mutate(() => {
      const row = database.get(
        `SELECT claim, created_at, request_hash, owner, session_id, receipt, result FROM keyed
          WHERE verb = ? AND key = ?`,
        request.verb,
        request.key,
      );
      return row === undefined ? insert(request) : repeated(row, request);
    });
  }

  function insert({ verb, key, requestHash, sessionId, owner }: KeyRequest): KeyClaim {
    const ref = { verb, key, claim: randomUuid() };
    database.run(
      `INSERT INTO keyed (verb, key, claim, created_at, request_hash, owner, session_id)
        VALUES (?, ?, ?, ?, ?, ?, ?)`,
      verb,
      key,
      ref.claim,
      now(),
      requestHash,
      toJson(owner),
      sessionId,
    );
    return { state: "new", ref };
  }

  function repeated(row: Row, { verb, key, requestHash }: KeyRequest): KeyClaim {
    const parsed = v.safeParse(keyedRow, row);
    if (!parsed.success) {
      throw new AppError(
        "failure",
        `Cannot repeat ${verb} with key ${JSON.stringify(key)}: its row in the registry "${database.path}" ` +
          `can't be read (${parsed.issues[0].message}). Use another key`,
      );
    }
    const { claim, created_at, request_hash, owner, session_id, receipt, result } = parsed.output;
    if (request_hash !== requestHash) {
      throw new AppError(
        "usage",
        `Cannot ${verb} with key ${JSON.stringify(key)}: it was used for another request. Use another key`,
      );
    }
    if (result !== null) return { state: "done", resultJson: result, sessionId: session_id };
    const ref = { verb, key, claim };
    return { state: "open", ref, claimedAt: created_at, sessionId: session_id, receipt, owner };
  }

  function settle(sql: string, ...values: string[]): boolean {
    return database.mutate(() => database.run(sql, ...values)) > 0;
  }

  return {
    claimKey,
    finishKey: ({ verb, key, claim }, resultJson) =>
      settle(
        "UPDATE keyed SET result = ? WHERE verb = ? AND key = ? AND claim = ? AND result IS NULL",
        resultJson,
        verb,
        key,
        claim,
      ),
    dropKey: ({ verb, key, claim }) =>
      settle(
        "DELETE FROM keyed WHERE verb = ? AND key = ? AND claim = ? AND result IS NULL",
        verb,
        key,
        claim,
      ),
  };
}

/**
 * Notes what an open claim has led to; only inside of a transaction.
 * @throws AppError when another command has taken the claim over, and the caller must not go on.
 */
export function linkKey(
  database: Database,
  { verb, key, claim }: KeyRef,
  link: { readonly sessionId?: SessionId; readonly receipt?: string },
): void {
  const changes = database.run(
    `UPDATE keyed SET session_id = coalesce(?, session_id), receipt = coalesce(?, receipt)
      WHERE verb = ? AND key = ? AND claim = ? AND result IS NULL`,
    link.sessionId ?? null,
    link.receipt ?? null,
    verb,
    key,
    claim,
  );
  if (changes > 0) return;
  throw new AppError(
    "failure",
    `Cannot ${verb} with key ${JSON.stringify(key)}: another command has taken it over. Repeat the command`,
  );
}
