/** Reads on in a thread's records where an earlier reading has ended: only what is new, and only so much at once. */

import type { EventBatch } from "../../lib/events.ts";
import { codexPositionOf, eventsAfter } from "./events.ts";
import type { Turn } from "./frames.ts";
import { pages } from "./pages.ts";
import type { Connection } from "./rpc.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";
import { turnsForwards } from "./turn_pages.ts";

/** Turns of one batch. */
const BATCH_TURNS = 10;
/** Mostly only the newest one is new. */
const FIRST_TURNS = 3;
const PAGE_TURNS = 50;

export async function readEvents(thread: SessionThread, position: unknown): Promise<EventBatch> {
  const { turn } = codexPositionOf(position);
  const evidence = await thread.gather({ wish: "start" });
  const nothing = { events: [], position, moreAfter: null, settling: false };
  if (evidence.server !== "up" || evidence.thread === null) return nothing;
  try {
    const connection = await thread.link.connection();
    const { turns, more } = turn === null
      ? await firstTurns(connection, thread.id)
      : await turnsFrom(connection, thread, turn);
    // What was looked at twice was that turn, and no later one.
    const settled = evidence.settled === true && turns.at(-1)?.id === evidence.turns.at(-1)?.id;
    return eventsAfter(position, { ...evidence, turns, settled }, { more });
  } catch (error) {
    // Read by a later call.
    if (isServersFault(error)) return nothing;
    throw error;
  }
}

interface Batch {
  /** Oldest first, with their items. */
  readonly turns: Turn[];
  readonly more: boolean;
}

async function firstTurns(connection: Connection, threadId: string): Promise<Batch> {
  for await (const turns of turnsForwards(connection, threadId)) {
    const { data } = await connection.call("thread/turns/list", {
      threadId,
      limit: 1,
      sortDirection: "desc",
    });
    return { turns, more: data.some(({ id }) => id !== turns.at(-1)?.id) };
  }
  return { turns: [], more: false };
}

/** That turn and those behind it; all that the thread has when that one was taken back. */
async function turnsFrom(connection: Connection, thread: SessionThread, from: string): Promise<Batch> {
  const found: Turn[] = [];
  const asked = { threadId: thread.id, sortDirection: "desc", itemsView: "notLoaded" } as const;
  const listed = pages("thread/turns/list", (cursor) => {
    const limit = cursor === null ? FIRST_TURNS : PAGE_TURNS;
    return connection.call("thread/turns/list", { ...asked, limit, cursor });
  });
  for await (const page of listed) {
    // The ids are ordered by time.
    const older = page.findIndex(({ id }) => id < from);
    found.push(...older === -1 ? page : page.slice(0, older));
    if (older !== -1 || found.at(-1)?.id === from) break;
  }
  const isLast = found.findIndex(({ id }) => id === from);
  const ordered = (isLast === -1 ? found : found.slice(0, isLast + 1)).reverse();
  const batch = ordered.slice(0, BATCH_TURNS);
  const turns = await Promise.all(batch.map((turn) => thread.withItems(connection, turn)));
  return { turns, more: ordered.length > batch.length };
}
