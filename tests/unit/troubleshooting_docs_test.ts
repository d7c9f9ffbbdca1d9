/** docs/troubleshooting.md has every finding of doctor that is no success, and none that there is not. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { join } from "node:path";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const PAGE = await Deno.readTextFile(join(CHECKOUT, "docs", "troubleshooting.md"));
/** A finding that is made by name, and the names that checks give to all of theirs. */
const MADE = [/\b(?:problem|warning|note|finding)\(\s*"([a-z-]+)"/g, /\b(?:CHECK|check) = "([a-z-]+)"/g];

async function checks(): Promise<Set<string>> {
  const names = new Set<string>();
  for (const folder of ["lib/doctor", "backends/claude", "backends/codex"]) {
    for await (const { name } of Deno.readDir(join(CHECKOUT, folder))) {
      if (!name.endsWith(".ts") || (folder !== "lib/doctor" && !name.startsWith("checkup"))) continue;
      const text = await Deno.readTextFile(join(CHECKOUT, folder, name));
      for (const pattern of MADE) for (const [, check = ""] of text.matchAll(pattern)) names.add(check);
    }
  }
  return names;
}

/** The names in the second column of the tables that have doctor's findings there. */
function told(): Set<string> {
  const rows = PAGE.split("\n").filter((line) => line.startsWith("|") && line.split("|").length === 5);
  return new Set(
    rows.flatMap((row) => [...row.split("|")[2]!.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name!)),
  );
}

Deno.test("docs/troubleshooting.md names every finding of doctor", async () => {
  const names = await checks();
  ok(names.size > 20, [...names].join(" "));
  deepStrictEqual([...names].filter((name) => !PAGE.includes(`\`${name}\``)).sort(), []);
});

Deno.test("docs/troubleshooting.md names no finding that doctor has not", async () => {
  const names = await checks();
  // Of a check that is in good order only.
  names.add("sessions");
  deepStrictEqual([...told()].filter((name) => !names.has(name)), []);
});
