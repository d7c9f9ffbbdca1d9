/** How a session's hook events are read back: complete ones only, in order, whatever else lies in the folder. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { backgroundTasks, HookLog } from "../../../backends/claude/hook_log.ts";
import { markShared } from "../../../backends/docker/shared_files.ts";
import { meterParsing } from "../../support/parse_meter.ts";

const NS = 1_767_323_045_000_000_000n;
const name = (ms: number, event: string, pid = 1) => `${NS + BigInt(ms) * 1_000_000n}-${pid}.${event}.json`;

class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync();
  write(file: string, body: unknown): void {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    Deno.writeTextFileSync(join(this.path, file), text);
  }
  event(ms: number, event: string, body: Record<string, unknown> = {}): string {
    this.write(name(ms, event), { hook_event_name: event, ...body });
    return name(ms, event);
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("HookLog has no events where there is no folder", () => {
  const log = new HookLog("/nonexistent/events");
  deepStrictEqual(log.names(), []);
  deepStrictEqual(log.since(null), []);
  strictEqual(log.newest("Stop"), null);
});

Deno.test("HookLog.names() are in the order of time and have no unfinished or foreign file", () => {
  using folder = new Folder();
  const last = folder.event(30, "Stop");
  const first = folder.event(10, "SessionStart");
  const middle = folder.event(20, "UserPromptSubmit");
  for (
    const foreign of [
      `.${NS}-1.part`,
      "x.json",
      `${NS}-1.Stop`,
      `${NS}.Stop.json`,
      "17-1.Stop.json",
      `${NS}-1.St op.json`,
    ]
  ) {
    folder.write(foreign, { hook_event_name: "Stop" });
  }
  deepStrictEqual(new HookLog(folder.path).names(), [first, middle, last]);
});

Deno.test("HookLog.read() gives time, event and body", () => {
  using folder = new Folder();
  const file = folder.event(5, "UserPromptSubmit", { prompt: "go", later: { key: 1 } });
  const event = new HookLog(folder.path).read(file);
  strictEqual(event?.at, Number(NS / 1_000_000n) + 5);
  strictEqual(event?.event, "UserPromptSubmit");
  strictEqual(event?.body.prompt, "go");
});

Deno.test("HookLog.read() passes over what is no event", () => {
  using folder = new Folder();
  const table: [file: string, body: unknown][] = [
    [name(1, "Stop"), ""],
    [name(2, "Stop"), '{"hook_event_name":"St'],
    [name(3, "Stop"), "[]"],
    [name(4, "Stop"), "null"],
    [name(5, "Stop"), { prompt: "x" }],
    [name(6, "Stop"), { hook_event_name: 7 }],
  ];
  for (const [file, body] of table) folder.write(file, body);
  Deno.mkdirSync(join(folder.path, name(7, "Stop")));
  const good = folder.event(0, "Stop");
  const log = new HookLog(folder.path);
  for (const [file, body] of table) strictEqual(log.read(file), null, JSON.stringify(body));
  strictEqual(log.read(name(99, "Stop")), null, "no file");
  strictEqual(log.read("../secrets.json"), null, "no name of an event");
  deepStrictEqual(log.since(null).map((event) => event.name), [good]);
  strictEqual(log.newest("Stop")?.name, good, "the newest that can be read");
});

Deno.test("HookLog.since() has what is newer than a name, at most the newest of them", () => {
  using folder = new Folder();
  const names = [1, 2, 3, 4].map((ms) => folder.event(ms, "Stop"));
  const log = new HookLog(folder.path);
  const since = (after: string | null, limit?: number) => log.since(after, limit).map((event) => event.name);
  deepStrictEqual(since(null), names);
  deepStrictEqual(since(names[1]!), names.slice(2));
  deepStrictEqual(since(names[3]!), []);
  deepStrictEqual(since(null, 2), names.slice(2));
  deepStrictEqual(since(name(2, "Zzz", 9)), names.slice(2), "after a name that is gone");
});

Deno.test("HookLog.newest() looks back to the kinds that are asked for", () => {
  using folder = new Folder();
  folder.event(1, "SessionStart", { source: "startup" });
  folder.event(2, "UserPromptSubmit");
  folder.event(3, "SessionStart", { source: "clear" });
  folder.event(4, "Stop");
  const log = new HookLog(folder.path);
  strictEqual(log.newest("SessionStart")?.body.source, "clear");
  strictEqual(log.newest("UserPromptSubmit", "Stop")?.event, "Stop");
  strictEqual(log.newest("SessionEnd"), null);
  folder.event(5, "SessionEnd");
  strictEqual(log.newest("SessionEnd")?.event, "SessionEnd", "sees what came since");
});

Deno.test("backgroundTasks() are those that run, and the crons", () => {
  const body = {
    hook_event_name: "Stop",
    background_tasks: [
      { id: "a", type: "shell", status: "running", description: "dev server" },
      { id: "b", type: "subagent", status: "pending" },
      { id: "c", type: "shell", status: "completed" },
      { id: "d", type: "monitor" },
    ],
    session_crons: [{ id: "x" }, {}],
  };
  deepStrictEqual(backgroundTasks(body), [
    { id: "a", type: "shell", description: "dev server" },
    { id: "b", type: "subagent", description: null },
    { id: "d", type: "monitor", description: null },
    { id: "x", type: "cron", description: null },
    { id: "cron-2", type: "cron", description: null },
  ]);
  deepStrictEqual(backgroundTasks({ hook_event_name: "Stop" }), []);
});

Deno.test("a container's event of a size that none has is told by its name, and not parsed", async () => {
  using folder = new Folder();
  markShared(folder.path);
  const long = folder.event(1, "Stop", { last_assistant_message: "x".repeat(5_000_000) });
  const heavy = folder.event(2, "PermissionRequest", {
    tool_input: Array.from({ length: 300_000 }, () => ({})),
  });
  // The largest message, all of it escaped.
  const largest = folder.event(3, "UserPromptSubmit", { prompt: "\n".repeat(1_048_576) });
  const log = new HookLog(folder.path);
  const parsed = await meterParsing(() => {
    deepStrictEqual(
      log.since(null).map(({ name, event, unread, body }) => [name, event, unread, body.prompt?.length]),
      [
        [long, "Stop", true, undefined],
        [heavy, "PermissionRequest", true, undefined],
        [largest, "UserPromptSubmit", undefined, 1_048_576],
      ],
    );
  });
  ok(parsed.texts === 1 && parsed.longestBytes < 4 * 1024 * 1024, JSON.stringify(parsed));
});

Deno.test("one look parses no more of a container's events than it may, and the next one goes on", async () => {
  using folder = new Folder();
  markShared(folder.path);
  const body = { z: Array.from({ length: 30_000 }, () => ({})) };
  for (let ms = 0; ms < 60; ms++) folder.event(ms, "Stop", body);
  const log = new HookLog(folder.path);
  let looks = 0;
  for (let unread = 60; unread > 0; looks++) {
    const parsed = await meterParsing(() => {
      const events = log.since(null);
      strictEqual(events.length, 60, "none is left out");
      unread = events.filter((event) => event.unread).length;
    });
    ok(parsed.texts > 0 && parsed.texts <= 17, `${parsed.texts} were parsed in one look`);
  }
  ok(looks > 3);
});

Deno.test("links by the thousand to one event are opened as often as one look may", async () => {
  using folder = new Folder();
  markShared(folder.path);
  folder.write("one", "no JSON");
  for (let ms = 0; ms < 5_000; ms++) {
    Deno.linkSync(join(folder.path, "one"), join(folder.path, name(ms, "SessionStart")));
  }
  const log = new HookLog(folder.path);
  let newest: ReturnType<HookLog["newest"]> = null;
  const parsed = await meterParsing(() => newest = log.newest("SessionStart"));
  ok(parsed.texts < 5_000, `${parsed.texts} were read`);
  strictEqual(newest!.unread, true);
});

Deno.test("an agent's own events on this machine are read whatever their size", () => {
  using folder = new Folder();
  folder.event(1, "Stop", { last_assistant_message: "x".repeat(5_000_000) });
  strictEqual(new HookLog(folder.path).newest("Stop")?.body.last_assistant_message?.length, 5_000_000);
});

Deno.test("HookLog.read() reads the next time what it can't read now", () => {
  using folder = new Folder();
  const file = name(5, "PermissionRequest");
  const path = join(folder.path, file);
  Deno.symlinkSync(path, path);
  const log = new HookLog(folder.path);
  strictEqual(log.read(file), null);
  Deno.removeSync(path);
  folder.event(5, "PermissionRequest", { tool_name: "Bash" });
  strictEqual(log.read(file)?.body.tool_name, "Bash");
});
