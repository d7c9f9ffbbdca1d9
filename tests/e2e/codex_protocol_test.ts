/** The protocol types in the checkout are those of the pinned Codex. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { PROTOCOL_FOLDER, writeProtocol } from "../support/codex_protocol.ts";

Deno.test("backends/codex/protocol/ is what deno task codex:protocol writes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await writeProtocol(folder);
    for (const name of ["types.ts", "unread_notifications.ts"]) {
      const [kept, fresh] = await Promise.all(
        [PROTOCOL_FOLDER, folder].map((at) => Deno.readTextFile(join(at, name))),
      );
      strictEqual(kept, fresh, `${name}: run deno task codex:protocol`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
