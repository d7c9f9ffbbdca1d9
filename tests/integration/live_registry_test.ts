/** The live registry is rewritten in place: a reader that comes in between still gets a whole entry. */

import { strictEqual } from "node:assert/strict";
import { readRegistry } from "../../backends/claude/live_registry.ts";

const READS = 2_000;
const PROCESS = { pid: 9060, start: "86926", boot: "b", machine: "m" };
const ENTRY = JSON.stringify({
  pid: PROCESS.pid,
  sessionId: "4b5684de-0000-4000-8000-000000000000",
  procStart: PROCESS.start,
  status: "busy",
  statusUpdatedAt: 1,
});

Deno.test("readRegistry() is not misled by a file that is just being rewritten", async () => {
  const config = Deno.makeTempDirSync({ prefix: "ds-registry-" });
  Deno.mkdirSync(`${config}/sessions`);
  const file = `${config}/sessions/${PROCESS.pid}.json`;
  Deno.writeTextFileSync(file, ENTRY);
  const writer = new Deno.Command("/bin/sh", {
    args: ["-c", 'while [ -e "$1" ]; do : >"$1"; printf %s "$2" >"$1"; sleep 0.002; done', "sh", file, ENTRY],
  }).spawn();
  try {
    for (let read = 0; read < READS; read++) strictEqual(readRegistry(config, PROCESS)?.status, "busy");
  } finally {
    writer.kill("SIGKILL");
    await writer.status;
    Deno.removeSync(config, { recursive: true });
  }
});
