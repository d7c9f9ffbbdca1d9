/** The gateway's tokens and the sessions that were made with them. Of a token only a hash is kept. */

import * as v from "valibot";
import { AppError } from "../errors.ts";
import type { Session, SessionId } from "../session.ts";
import { countLiveOf, IS_MADE_WITH } from "./counts.ts";
import type { Database, Row } from "./database.ts";

export interface StoredToken {
  /** Public: names the token in lists, logs and sessions. */
  readonly id: string;
  /** SHA-256 of the whole token, in hexadecimal digits. */
  readonly hash: string;
  /** For people. */
  readonly name: string | null;
  /** What it permits; checked by its reader. Null where it is no JSON: then it permits nothing, but can be revoked. */
  readonly scope: unknown;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Null: never. */
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
}

export interface TokenStore {
  addToken(token: StoredToken): void;
  /** @throws AppError when there is such a row, but it can't be understood. */
  findToken(id: string): StoredToken | null;
  /** By creation. */
  listTokens(): StoredToken[];
  /** False when there is none, or when it was revoked before. */
  revokeToken(id: string, at: string): boolean;
  /** Forgets tokens that ended before that time (ISO 8601, UTC). */
  forgetTokens(before: string): number;
  /** Session tokens (`Session.token`) of the sessions that were made with this token, or with one that stands on it. */
  madeWith(owner: string): ReadonlySet<string>;
  isMadeWith(session: Pick<Session, "token">, owner: string): boolean;
  /** The session that has this session token now, whatever became of it; `owner`: the token with which it was made. */
  idOf(
    sessionToken: string,
  ): { readonly id: SessionId; readonly ended: boolean; readonly owner: string | null } | null;
  /** How many sessions that were made with it, or with one that stands on it, live. */
  liveMadeWith(owner: string): number;
}

const text = v.string();
const tokenRow = v.object({
  id: text,
  hash: text,
  name: v.nullable(text),
  scope: v.pipe(
    text,
    v.transform((value): unknown => {
      try {
        return JSON.parse(value);
      } catch {
        return null;
      }
    }),
  ),
  created_at: text,
  expires_at: v.nullable(text),
  revoked_at: v.nullable(text),
});

const SELECT_TOKEN = "SELECT id, hash, name, scope, created_at, expires_at, revoked_at FROM tokens";

export function tokenStore(database: Database): TokenStore {
  function parse(row: Row): StoredToken {
    const parsed = v.safeParse(tokenRow, row);
    if (!parsed.success) {
      throw new AppError(
        "failure",
        `Cannot read token ${JSON.stringify(row["id"])} in the registry "${database.path}": ` +
          `${parsed.issues[0].message}. See: dev-sessions doctor`,
      );
    }
    const { created_at, expires_at, revoked_at, ...rest } = parsed.output;
    return { ...rest, createdAt: created_at, expiresAt: expires_at, revokedAt: revoked_at };
  }

  return {
    addToken: ({ id, hash, name, scope, createdAt, expiresAt, revokedAt }) => {
      database.mutate(() =>
        database.run(
          `INSERT INTO tokens (id, hash, name, scope, created_at, expires_at, revoked_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)`,
          id,
          hash,
          name,
          JSON.stringify(scope),
          createdAt,
          expiresAt,
          revokedAt,
        )
      );
    },
    findToken: (id) => {
      const row = database.get(`${SELECT_TOKEN} WHERE id = ?`, id);
      return row === undefined ? null : parse(row);
    },
    listTokens: () => database.all(`${SELECT_TOKEN} ORDER BY created_at, rowid`).map(parse),
    revokeToken: (id, at) =>
      database.mutate(() =>
        database.run("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", at, id)
      ) > 0,
    forgetTokens: (before) =>
      database.mutate(() =>
        database.run("DELETE FROM tokens WHERE revoked_at < ? OR expires_at < ?", before, before)
      ),
    madeWith: (owner) =>
      new Set(
        database.all(`SELECT token FROM sessions WHERE ${IS_MADE_WITH}`, owner).map((row) =>
          String(row["token"])
        ),
      ),
    isMadeWith: ({ token }, owner) =>
      database.get(`SELECT 1 FROM sessions WHERE token = ?2 AND ${IS_MADE_WITH}`, owner, token) !== undefined,
    idOf: (sessionToken) => {
      const row = database.get(
        "SELECT id, lifecycle, resumer, owner FROM sessions WHERE token = ?",
        sessionToken,
      );
      if (row === undefined) return null;
      const { owner = null } = row;
      return {
        id: String(row["id"]),
        ended: row["lifecycle"] === "ended" && row["resumer"] === null,
        owner: owner === null ? null : String(owner),
      };
    },
    liveMadeWith: (owner) => countLiveOf(database, owner),
  };
}
