/** Turns with all of their items, page by page, so that a long conversation is never held as a whole. */

import type { Turn } from "./frames.ts";
import type { Connection } from "./rpc.ts";

/** A turn may hold the output of many commands. */
const PAGE_TURNS = 10;

/** From the first to the newest. */
export async function* turnsForwards(connection: Connection, threadId: string): AsyncGenerator<Turn[]> {
  yield* pages(connection, threadId, "asc");
}

/** Each page oldest first; the newest page comes first. */
export async function* turnsBackwards(connection: Connection, threadId: string): AsyncGenerator<Turn[]> {
  for await (const page of pages(connection, threadId, "desc")) yield page.reverse();
}

async function* pages(
  connection: Connection,
  threadId: string,
  sortDirection: "asc" | "desc",
): AsyncGenerator<Turn[]> {
  let cursor: string | null = null;
  do {
    const page: { data: Turn[]; nextCursor: string | null } = await connection.call("thread/turns/list", {
      threadId,
      sortDirection,
      itemsView: "full",
      limit: PAGE_TURNS,
      cursor,
    });
    yield page.data;
    cursor = page.nextCursor;
  } while (cursor !== null);
}
