/** Which entries of Claude's live registry are believed. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import {
  findEntryIn,
  findRegistryClaims,
  findRegistryEntry,
  parseRegistryEntry,
  readContainedEntry,
  readRegistry,
} from "../../../backends/claude/live_registry.ts";
import { markShared } from "../../../backends/docker/shared_files.ts";
import { meterParsing } from "../../support/parse_meter.ts";

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

Deno.test("of a container's registry no more is read than an entry has, and hardly any of it twice", async () => {
  using config = new Config();
  const folder = join(config.path, "sessions");
  markShared(folder);
  const seen = async (text: string) => {
    config.write("7.json", text);
    let entry: unknown;
    const parsed = await meterParsing(() => entry = readContainedEntry(folder, 7));
    return { entry: entry !== null, ...parsed };
  };
  const own = JSON.stringify({ ...ENTRY, pid: 7 });
  strictEqual((await seen(own)).entry, true);
  // Looked at three times, since it may be half written, and decoded each time.
  strictEqual((await seen(own.slice(0, -1))).entry, false);
  for (const text of [`{"z":"${"x".repeat(15_000_000)}"}`, "x".repeat(15_000_000)]) {
    const { entry, longestBytes, longestText } = await seen(text);
    deepStrictEqual({ entry, longestBytes, longestText }, { entry: false, longestBytes: 0, longestText: 0 });
  }
});

Deno.test("a container's folder of very many entries is read as far as one look may", async () => {
  using config = new Config();
  const folder = join(config.path, "sessions");
  markShared(folder);
  const heavy = `{"z":[${"{},".repeat(5_000)}{}]}`;
  for (let pid = 1; pid <= 300; pid++) config.write(`${pid}.json`, heavy);
  const parsed = await meterParsing(() => {
    strictEqual(findEntryIn(folder, ID), null);
    deepStrictEqual(findRegistryClaims(config.path, ID), []);
  });
  ok(parsed.texts > 0 && parsed.texts < 300, `${parsed.texts} of 600 entries were parsed`);
});
