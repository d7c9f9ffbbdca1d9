/** A list of the server's, page by page: one that never ends, as a server in a container may send it, is refused. */

import { UnexpectedFrame } from "./rpc_errors.ts";

/** A conversation of 100,000 turns has as many pages of them. */
export const MAX_PAGES = 10_000;

interface Page<T> {
  readonly data: T[];
  readonly nextCursor: string | null;
}

/**
 * @param list as the server names it.
 * @param ask for the page behind a cursor, null for the first one.
 * @throws UnexpectedFrame when a cursor comes again, and after `MAX_PAGES`; what `ask` throws.
 */
export async function* pages<T>(
  list: string,
  ask: (cursor: string | null) => Promise<Page<T>>,
): AsyncGenerator<T[]> {
  const seen = new Set<string>();
  let cursor: string | null = null;
  do {
    const page: Page<T> = await ask(cursor);
    yield page.data;
    cursor = page.nextCursor;
    if (cursor === null) return;
    if (seen.has(cursor)) throw new UnexpectedFrame(list, "its pages come again");
    seen.add(cursor);
  } while (seen.size < MAX_PAGES);
  throw new UnexpectedFrame(list, `it has more than ${MAX_PAGES} pages`);
}
