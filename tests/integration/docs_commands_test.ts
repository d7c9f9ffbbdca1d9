/** Every command block of README, CONTRIBUTING and docs does what the page says; what can't be run here is known, with a reason. */

import { deepStrictEqual } from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { type DocBlock, docBlocks, readPages } from "../support/doc_blocks.ts";
import { NOT_RUN } from "../support/doc_blocks_not_run.ts";
import { DocWorld } from "../support/doc_world.ts";

/** Pages that are run beside each other. */
const PAGES_AT_ONCE = 4;

const pages = await readPages();
const blocks = [...pages].flatMap(([page, text]) => docBlocks(page, text));
const firstLine = ({ text }: DocBlock) => text.split("\n", 1)[0] ?? "";
const reasonFor = (block: DocBlock) => NOT_RUN[block.page]?.[firstLine(block)];

Deno.test("what is not run of the pages stands in them, and is said with its reason", () => {
  const unrun = blocks.filter((block) => reasonFor(block) !== undefined);
  deepStrictEqual(
    Object.entries(NOT_RUN).flatMap(([page, lines]) => Object.keys(lines).map((line) => `${page}: ${line}`))
      .sort(),
    unrun.map((block) => `${block.page}: ${firstLine(block)}`).sort(),
  );
});

Deno.test("every configuration that a page shows is valid", () => {
  for (const [page, text] of pages) {
    for (const [, json = ""] of text.matchAll(/^```json\n([\s\S]*?)^```$/gm)) {
      if (/"(?:endIdleAfter|maxSessions|maxDepth|defaults|docker|gatewayHosts)"/.test(json)) {
        parseConfig(json, page);
      }
    }
  }
});

Deno.test("the commands of README and docs do what the pages say", async (t) => {
  const only = Deno.env.get("DOCS_PAGE");
  const length = (page: string) => blocks.filter((block) => block.page === page).length;
  // The longest first, so that none is left over at the end.
  const todo = [...pages.keys()].filter((page) => only === undefined || page === only)
    .sort((a, b) => length(b) - length(a));
  const runPage = async (page: string) => {
    const mine = blocks.filter((block) =>
      block.page === page && block.agents === "stub" && reasonFor(block) === undefined
    );
    if (mine.length === 0) return;
    // Steps that run at once can't be told apart by the sanitizers; the test as a whole is checked.
    const unchecked = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
    await t.step({
      name: `${page}: ${mine.length} block(s)`,
      fn: async () => {
        await using world = await DocWorld.create("stub");
        // Each goes on where the one before it ended.
        for (const block of mine) await world.run(block);
      },
      ...unchecked,
    });
  };
  await Promise.all(Array.from({ length: PAGES_AT_ONCE }, async () => {
    for (let page = todo.shift(); page !== undefined; page = todo.shift()) await runPage(page);
  }));
});
