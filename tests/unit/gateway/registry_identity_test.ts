/** A gateway ends when its registry is another file or none, and not because that can't be told just now. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { identityOf } from "../../../gateway/run.ts";

Deno.test("identityOf() names a file, that there is none, or nothing", async () => {
  const folder = await Deno.makeTempDir();
  const [file, gone, loop] = ["file", "gone", "loop"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await Deno.writeTextFile(file, "");
  await Deno.symlink(loop, loop);
  const { dev, ino } = await Deno.stat(file);
  strictEqual(identityOf(file), `${dev} ${ino}`);
  strictEqual(identityOf(gone), "none");
  strictEqual(identityOf(loop), null);
  await Deno.remove(folder, { recursive: true });
});
