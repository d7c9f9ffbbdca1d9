/** Turns with all of their items, page by page, so that a long conversation is never held as a whole. */

import type { Turn } from "./frames.ts";
import { pages } from "./pages.ts";
import type { Connection } from "./rpc.ts";

/** A turn may hold the output of many commands. */
const PAGE_TURNS = 10;

/** From the first to the newest. */
export async function* turnsForwards(connection: Connection, threadId: string): AsyncGenerator<Turn[]> {
  yield* turnPages(connection, threadId, "asc");
}

/** Each page oldest first; the newest page comes first. */
export async function* turnsBackwards(connection: Connection, threadId: string): AsyncGenerator<Turn[]> {
  for await (const page of turnPages(connection, threadId, "desc")) yield page.reverse();
}

function turnPages(
  connection: Connection,
  threadId: string,
  sortDirection: "asc" | "desc",
): AsyncGenerator<Turn[]> {
  const asked = { threadId, sortDirection, itemsView: "full" as const, limit: PAGE_TURNS };
  return pages("thread/turns/list", (cursor) => connection.call("thread/turns/list", { ...asked, cursor }));
}
