/** Names of sessions, here and on other hosts together: each is given once. */

import { freeChampionId, isSessionId } from "../champion_ids.ts";
import { AppError } from "../errors.ts";
import type { SessionId } from "../session.ts";
import type { Database } from "./database.ts";

/** Before anything is begun. @throws AppError (usage) */
export function assertUsableId(given: SessionId | null): void {
  if (given === null || isSessionId(given)) return;
  throw new AppError("usage", `Invalid session id: ${JSON.stringify(given)}. Use a name like fizz-top`);
}

/** The given one, else a free one at random; only inside of a transaction. @throws AppError when there is none. */
export function chooseId(
  database: Database,
  given: SessionId | null,
  exclude: ReadonlySet<SessionId>,
  random: () => number,
): SessionId {
  const taken = takenIds(database);
  const isTaken = (id: SessionId) => taken.has(id) || exclude.has(id);
  if (given !== null && isTaken(given)) throw new AppError("failure", `Champion ID already in use: ${given}`);
  return given ?? freeChampionId(isTaken, random);
}

/** Only inside of a transaction. */
export function takenIds(database: Database): Set<SessionId> {
  const rows = database.all("SELECT id FROM sessions UNION ALL SELECT id FROM remote_sessions");
  return new Set(rows.map((row) => String(row["id"])));
}
