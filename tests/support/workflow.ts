/** GitHub's workflows of this repository, as far as tests look at them. */

import { join } from "node:path";

const FOLDER = join(import.meta.dirname ?? "", "..", "..", ".github", "workflows");

/** The commands of a workflow's steps, `on` and `permissions`, without a parser for YAML. */
export async function workflow(name: string) {
  const text = await Deno.readTextFile(join(FOLDER, name));
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = ""]) => found.trim());
  return { text, runs: all(/^ +(?:- )?run: (.+)$/gm), uses: all(/^ +- uses: (.+)$/gm) };
}
