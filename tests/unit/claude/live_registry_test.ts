/** Which entries of Claude's live registry are believed. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import {
  findRegistryEntry,
  parseRegistryEntry,
  readRegistry,
} from "../../../backends/claude/live_registry.ts";

const ID = "4b5684de-0000-4000-8000-000000000000";
const ENTRY = {
  pid: 9060,
  sessionId: ID,
  cwd: "/home/u/proj",
  startedAt: 1_795_326_929_447,
  procStart: "86926",
  version: "2.1.330",
  kind: "interactive",
  status: "idle",
  updatedAt: 1_795_326_929_750,
  statusUpdatedAt: 1_795_326_929_740,
};
const PROCESS = { pid: 9060, start: "86926", boot: "b", machine: "m" };

class Config implements Disposable {
  readonly path = Deno.makeTempDirSync();
  constructor() {
    Deno.mkdirSync(join(this.path, "sessions"));
  }
  write(file: string, body: unknown): void {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    Deno.writeTextFileSync(join(this.path, "sessions", file), text);
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("parseRegistryEntry() reads an entry as 2.1.330 writes it", () => {
  deepStrictEqual(parseRegistryEntry(JSON.stringify(ENTRY)), {
    pid: 9060,
    sessionId: ID,
    status: "idle",
    waitingFor: null,
    statusUpdatedAt: 1_795_326_929_740,
    version: "2.1.330",
    procStart: "86926",
  });
});

Deno.test("parseRegistryEntry() believes only what it knows", () => {
  const { statusUpdatedAt: _, ...older } = ENTRY;
  const table: [holds: string, entry: unknown, status: string | null][] = [
    ["busy", { ...ENTRY, status: "busy" }, "busy"],
    ["shell", { ...ENTRY, status: "shell" }, "shell"],
    ["waiting", { ...ENTRY, status: "waiting", waitingFor: "input needed" }, "waiting"],
    ["no time of its status", older, "idle"],
    ["a status to come", { ...ENTRY, status: "dreaming" }, null],
    ["no status: an older Claude", { ...ENTRY, status: undefined }, null],
    ["a status that is no text", { ...ENTRY, status: 1 }, null],
    ["no session", { ...ENTRY, sessionId: undefined }, null],
    ["a pid that is no number", { ...ENTRY, pid: "9060" }, null],
    ["no object", [], null],
  ];
  for (const [holds, entry, status] of table) {
    strictEqual(parseRegistryEntry(JSON.stringify(entry))?.status ?? null, status, holds);
  }
  strictEqual(parseRegistryEntry(""), null, "an empty file");
  strictEqual(parseRegistryEntry(JSON.stringify(ENTRY).slice(0, 40)), null, "half a file");
  strictEqual(parseRegistryEntry(JSON.stringify(older))?.statusUpdatedAt, ENTRY.updatedAt);
});

Deno.test("readRegistry() takes the entry of this very process", () => {
  using config = new Config();
  strictEqual(readRegistry(config.path, PROCESS), null, "no file");
  strictEqual(readRegistry("/nonexistent", PROCESS), null, "no folder");
  config.write("9060.json", ENTRY);
  strictEqual(readRegistry(config.path, PROCESS)?.status, "idle");
  if (Deno.build.os === "linux") {
    strictEqual(readRegistry(config.path, { ...PROCESS, start: "99999" }), null, "of an earlier process");
  }
  config.write("9060.json", { ...ENTRY, pid: 1 });
  strictEqual(readRegistry(config.path, PROCESS), null, "of another process");
  config.write("9060.json", { ...ENTRY, procStart: undefined });
  strictEqual(readRegistry(config.path, PROCESS)?.status, "idle", "that does not say when it started");
});

Deno.test("findRegistryEntry() finds a session among the entries, and reads no key file", () => {
  using config = new Config();
  config.write("1.json", { ...ENTRY, pid: 1, sessionId: "other" });
  config.write("2.json", "{");
  config.write("9060.0abc.key", { ...ENTRY });
  strictEqual(findRegistryEntry(config.path, ID), null);
  config.write("9060.json", ENTRY);
  strictEqual(findRegistryEntry(config.path, ID)?.pid, 9060);
  strictEqual(findRegistryEntry("/nonexistent", ID), null);
});
