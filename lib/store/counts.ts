/** How many sessions live, in all and of one token. */

import type { Database } from "./database.ts";

/** Sessions that live, here or on other hosts, or are about to; only inside of a transaction. */
export function countLive(database: Database): number {
  const row = database.get(
    `SELECT (SELECT count(*) FROM sessions WHERE lifecycle IN ('creating', 'active') OR resumer IS NOT NULL)
      + (SELECT count(*) FROM remote_sessions WHERE lifecycle IN ('creating', 'active')) AS live`,
  );
  return Number(row?.["live"] ?? 0);
}

/** Of a session's row, for a token's id that is given once: whether it was made with that one, or one that stands on it. */
export const IS_MADE_WITH =
  "(owner = ?1 OR EXISTS (SELECT 1 FROM json_each(owner_above) AS above WHERE above.value = ?1))";

/** As `countLive`, of the sessions that were made with one token. */
export function countLiveOf(database: Database, owner: string): number {
  const row = database.get(
    `SELECT count(*) AS live FROM sessions
      WHERE ${IS_MADE_WITH} AND (lifecycle IN ('creating', 'active') OR resumer IS NOT NULL)`,
    owner,
  );
  return Number(row?.["live"] ?? 0);
}
