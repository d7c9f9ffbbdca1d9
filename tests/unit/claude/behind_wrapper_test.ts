/** When a Claude may live on behind a wrapper that does not. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { namedBehindWrapper } from "../../../backends/claude/behind_wrapper.ts";
import type { ProcessIdentity } from "../../../lib/session.ts";
import { realDeps } from "../../../lib/real_deps.ts";

const ID = "4b5684de-0000-4000-8000-000000000000";
const HERE = { start: "100", boot: "b2", machine: "m" };
const WRAPPER: ProcessIdentity = { pid: 4000, start: "50", boot: "b2", machine: "m" };

Deno.test("Claude may live on while its live registry names the conversation, unless a reboot came between", async () => {
  const configFolder = await Deno.makeTempDir();
  try {
    const file = join(configFolder, "sessions", "7.json");
    const named = (
      { process = WRAPPER, by = "clauded", local = null }: {
        readonly process?: ProcessIdentity | null;
        readonly by?: "clauded" | null;
        /** Start of the process that has pid 7 on this machine. */
        readonly local?: string | null;
      } = {},
    ) => {
      const deps = {
        ...realDeps(),
        identify: (pid: number) =>
          Promise.resolve(
            pid === 7 ? local === null ? null : { ...HERE, pid, start: local } : { ...HERE, pid },
          ),
      };
      const container = by === null ? {} : { container: { by, wrapper: "/bin/clauded" } };
      const handle = {
        socket: "/s",
        tmuxSession: "dev-x",
        pane: null,
        configFolder,
        realPath: "/w",
        ...container,
      };
      return namedBehindWrapper(deps, { id: "x", handle, process, agentSessionId: ID });
    };
    strictEqual(await named(), null);
    await Deno.mkdir(join(configFolder, "sessions"));
    const write = (sessionId: string) =>
      Deno.writeTextFile(file, JSON.stringify({ pid: 7, sessionId, procStart: "86926" }));
    await write("another");
    strictEqual(await named(), null);
    await write(ID);
    strictEqual(await named(), file);
    strictEqual(await named({ process: null }), file);
    // Pids of a container say nothing here.
    strictEqual(await named({ local: "5" }), file);
    // Claude on this machine itself: a process that can be looked at.
    strictEqual(await named({ local: "86926" }), null);
    strictEqual(await named({ process: { ...WRAPPER, boot: "b1" } }), null);
    strictEqual(await named({ by: null }), null);
  } finally {
    await Deno.remove(configFolder, { recursive: true });
  }
});
