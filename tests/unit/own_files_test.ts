/** Which folders have dev-sessions' own files in them, whatever they are called. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { hasOwnFiles } from "../../lib/own_files.ts";

Deno.test("hasOwnFiles(): the state folder, what contains it, and what is in it", async () => {
  const root = await Deno.realPath(await Deno.makeTempDir());
  try {
    const home = join(root, "home");
    await Deno.mkdir(join(home, "project"), { recursive: true });
    await Deno.symlink(home, join(root, "link"));
    const table: [folder: string, expected: boolean][] = [
      ["/", true],
      [root, true],
      [home, true],
      [join(home, ".dev-sessions"), true],
      [join(home, ".dev-sessions", "containers"), true],
      [join(home, ".dev-sessions-of-another"), false],
      [join(home, "project"), false],
      [`${root}/hom`, false],
    ];
    for (const made of [false, true]) {
      if (made) await Deno.mkdir(join(home, ".dev-sessions"));
      for (const state of [join(home, ".dev-sessions"), join(root, "link", ".dev-sessions")]) {
        for (const [folder, expected] of table) strictEqual(hasOwnFiles(folder, state), expected, folder);
      }
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
