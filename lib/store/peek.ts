/** A look at the registry that leaves no trace: it creates, repairs and waits for nothing. */

import { DatabaseSync } from "node:sqlite";
import { isFile } from "../files.ts";
import type { Paths } from "../paths.ts";

export interface SeenSession {
  readonly id: string;
  readonly path: string;
  readonly description: string | null;
  readonly group: string | null;
  /** As its row has it: whether its agent still runs is not looked at. */
  readonly ended: boolean;
}

/** How long it may take to read while somebody else has the registry for himself. */
const BUSY_TIMEOUT_MS = 200;

/** All sessions but those that are still being created, the last used first. @throws where they can't be read. */
export function peekSessions({ database }: Pick<Paths, "database">): SeenSession[] {
  // Only a connection to a database that does not change leaves no -wal and -shm files behind.
  const changing = isFile(`${database}-wal`) || isFile(`${database}-journal`);
  const url = new URL(`file://${encodeURI(database).replaceAll("?", "%3F").replaceAll("#", "%23")}`);
  if (!changing) url.searchParams.set("immutable", "1");
  const connection = new DatabaseSync(url, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    const shown = "id, path, description, group_name, lifecycle, last_used_at";
    // An earlier version's registry knows no sessions of other hosts.
    const remotes = connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'remote_sessions'").get();
    const elsewhere = remotes === undefined ? "" : `UNION ALL SELECT ${shown} FROM remote_sessions`;
    const rows = connection.prepare(
      `SELECT * FROM (SELECT ${shown} FROM sessions ${elsewhere})
       WHERE lifecycle <> 'creating' ORDER BY last_used_at DESC, id`,
    ).all();
    return rows.map((row) => ({
      id: String(row["id"]),
      path: String(row["path"]),
      description: textOrNull(row["description"]),
      group: textOrNull(row["group_name"]),
      ended: row["lifecycle"] === "ended",
    }));
  } finally {
    connection.close();
  }
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
