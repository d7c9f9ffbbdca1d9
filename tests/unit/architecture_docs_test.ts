/** What docs name of the source is there, and the rooms of docs/architecture.md are all there are; so are the pages they link. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { dirname, join } from "node:path";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const SOURCE = /`((?:main|lib|backends|gateway|build|tests|bench|demo|skills)(?:\/[\w./-]*|\.ts))`/g;

async function pages(): Promise<Map<string, string>> {
  const names = ["README.md", "CONTRIBUTING.md"];
  for await (const { name } of Deno.readDir(join(CHECKOUT, "docs"))) {
    if (name.endsWith(".md")) names.push(`docs/${name}`);
  }
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await Deno.readTextFile(join(CHECKOUT, name))] as const),
    ),
  );
}

const exists = (path: string) => Deno.stat(join(CHECKOUT, path)).then(() => true, () => false);

/** As GitHub makes them. */
function anchors(text: string): Set<string> {
  return new Set(
    [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
      title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

Deno.test("every source file that a page names is there", async () => {
  const missing: string[] = [];
  for (const [page, text] of await pages()) {
    for (const [, path = ""] of text.matchAll(SOURCE)) {
      if (!await exists(path)) missing.push(`${page}: ${path}`);
    }
  }
  deepStrictEqual(missing, []);
});

Deno.test("every page and heading that a page links is there", async () => {
  const all = await pages();
  const missing: string[] = [];
  for (const [page, text] of all) {
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file = "", heading] = target.split("#");
      const path = file === "" ? page : join(dirname(page), file);
      const known = all.get(path);
      if (
        !await exists(path) || (heading !== undefined && known !== undefined && !anchors(known).has(heading))
      ) {
        missing.push(`${page}: ${target}`);
      }
    }
  }
  deepStrictEqual(missing, []);
});

Deno.test("docs/architecture.md has every room of the house", async () => {
  const text = await Deno.readTextFile(join(CHECKOUT, "docs", "architecture.md"));
  const rooms: string[] = [];
  for (const folder of ["lib", "backends", "gateway", "tests"]) {
    for await (const { name, isDirectory } of Deno.readDir(join(CHECKOUT, folder))) {
      if (isDirectory) rooms.push(`${folder}/${name}`);
    }
  }
  ok(rooms.length > 8, rooms.join(" "));
  const told = (room: string) => text.includes(`${room}/`) || text.includes(`\`${room.split("/")[1]}/\``);
  deepStrictEqual(rooms.filter((room) => !told(room)).sort(), []);
});

Deno.test("README leads to every page of docs", async () => {
  const all = await pages();
  const front = all.get("README.md") ?? "";
  deepStrictEqual([...all.keys()].filter((page) => page !== "README.md" && !front.includes(`(${page}`)), []);
});
