/** Lists come page by page to their end; those without an end are refused. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { MAX_PAGES, pages } from "../../../backends/codex/pages.ts";
import { UnexpectedFrame } from "../../../backends/codex/rpc_errors.ts";

type Next = (page: number) => string | null;

/** The numbers of the pages, in order, with what was asked. */
async function read(next: Next, until = Infinity): Promise<{ pages: number[]; asked: (string | null)[] }> {
  const asked: (string | null)[] = [];
  const found: number[] = [];
  const list = pages("thread/turns/list", (cursor) => {
    asked.push(cursor);
    return Promise.resolve({ data: [asked.length], nextCursor: next(asked.length) });
  });
  for await (const [page = 0] of list) {
    found.push(page);
    if (page >= until) break;
  }
  return { pages: found, asked };
}

const refused = (why: RegExp) => (error: unknown) =>
  error instanceof UnexpectedFrame && error.frame === "thread/turns/list" && why.test(error.why);

Deno.test("pages() gives every page once, and asks for each with the cursor of the one before", async () => {
  deepStrictEqual(await read(() => null), { pages: [1], asked: [null] });
  deepStrictEqual(await read((page) => page < 3 ? `c${page}` : null), {
    pages: [1, 2, 3],
    asked: [null, "c1", "c2"],
  });
});

Deno.test("pages() asks for no page that nobody takes", async () => {
  deepStrictEqual(await read((page) => `c${page}`, 2), { pages: [1, 2], asked: [null, "c1"] });
});

Deno.test("pages() refuses a list whose cursor comes again, at once or later", async () => {
  const table: [holds: string, next: Next, asked: number][] = [
    ["the same page for ever", () => "c", 2],
    ["a circle of three", (page) => `c${page % 3}`, 4],
    ["back to the second page", (page) => page < 5 ? `c${page}` : "c1", 5],
  ];
  for (const [holds, next, asked] of table) {
    let pages = 0;
    await rejects(read((page) => next(pages = page)), refused(/come again/), holds);
    strictEqual(pages, asked, holds);
  }
});

Deno.test("pages() refuses a list that does not end", async () => {
  let last = 0;
  await rejects(read((page) => `c${last = page}`), refused(/more than 10000 pages/));
  strictEqual(last, MAX_PAGES);
});
