/** The command blocks of README and docs that show the real Claude Code and the real Codex do what the page says. */

import { ok } from "node:assert/strict";
import { docBlocks, readPages } from "../support/doc_blocks.ts";
import { DocWorld } from "../support/doc_world.ts";

const blocks = [...await readPages()].flatMap(([page, text]) => docBlocks(page, text))
  .filter(({ agents }) => agents === "real");

Deno.test("README shows the real agents", () => ok(blocks.some(({ page }) => page === "README.md")));

for (const page of new Set(blocks.map(({ page }) => page))) {
  Deno.test(`${page}: what it shows of the real agents is what they do`, async () => {
    await using world = await DocWorld.create("real");
    for (const block of blocks) if (block.page === page) await world.run(block);
  });
}
