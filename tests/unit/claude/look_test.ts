/** What a look at a pane proves: that there is none only where tmux says so. */

import { strictEqual } from "node:assert/strict";
import { lookAtBox } from "../../../backends/claude/look.ts";
import type { Tmux, TmuxResult } from "../../../backends/claude/tmux.ts";

Deno.test("lookAtBox() misses a pane only where tmux does", async (t) => {
  const table: [result: TmuxResult, seen: string][] = [
    [{ kind: "unresponsive" }, "unresponsive"],
    [{ kind: "failed", reason: "no_target", message: "can't find pane: %1" }, "no_pane"],
    [{ kind: "failed", reason: "no_server", message: "no server running on /s" }, "no_pane"],
    [{ kind: "failed", reason: "other", message: "tmux exited with 137" }, "unresponsive"],
  ];
  for (const [result, seen] of table) {
    await t.step(JSON.stringify(result), async () => {
      const tmux = { run: () => Promise.resolve(result) } as unknown as Tmux;
      strictEqual(await lookAtBox(tmux, "%1"), seen);
    });
  }
});
