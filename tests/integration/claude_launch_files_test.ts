/** The hook script and the launcher, run by real shells. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { HookLog } from "../../backends/claude/hook_log.ts";
import { hookScript } from "../../backends/claude/hook_script.ts";
import {
  claudeArguments,
  HOOK_EVENTS,
  launcherScript,
  settingsJson,
  shellQuote,
} from "../../backends/claude/launch_files.ts";

class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "it's a folder " });
  write(name: string, text: string): string {
    const path = join(this.path, name);
    Deno.writeTextFileSync(path, text, { mode: 0o700 });
    return path;
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** False when the program ended without reading all of its input. */
  readonly drained: boolean;
}

async function run(
  command: string,
  args: string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH")!, ...options.env },
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(options.stdin ?? ""))
    .then(() => writer.close()).then(() => true, () => false);
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr), drained: await written };
}

/** Shells that are `/bin/sh` somewhere and are installed here. */
const SHELLS = ["/bin/sh", "/bin/dash", "/bin/bash"].filter((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** The shell under the name by which it behaves as `sh`. */
function asSh(folder: Folder, shell: string): string {
  const bin = join(folder.path, `bin-${shell.slice(5)}`);
  Deno.mkdirSync(bin);
  Deno.symlinkSync(shell, join(bin, "sh"));
  return join(bin, "sh");
}

const SILENT = { code: 0, out: "", err: "", drained: true };
const EVENT = JSON.stringify({ hook_event_name: "Stop", last_assistant_message: 'it\'s "done"\\n漢\n' });

for (const shell of SHELLS) {
  Deno.test(`hookScript() is valid for ${shell} and records each event whole, silently`, async () => {
    using folder = new Folder();
    const sh = asSh(folder, shell);
    const events = join(folder.path, "events");
    Deno.mkdirSync(events);
    const hook = folder.write("hook.sh", hookScript(events));
    deepStrictEqual(await run(sh, ["-n", hook]), SILENT);
    for (const event of HOOK_EVENTS) deepStrictEqual(await run(sh, [hook, event], { stdin: EVENT }), SILENT);
    const log = new HookLog(events);
    deepStrictEqual(log.since(null).map((found) => found.event), [...HOOK_EVENTS]);
    for (const name of log.names()) {
      strictEqual(Deno.readTextFileSync(join(events, name)), EVENT);
      strictEqual(Deno.statSync(join(events, name)).mode! & 0o777, 0o600);
    }
    strictEqual([...Deno.readDirSync(events)].length, HOOK_EVENTS.length, "no unfinished file is left");
  });

  Deno.test(`launcherScript() becomes the agent with exactly the given environment under ${shell}`, async () => {
    using folder = new Folder();
    const sh = asSh(folder, shell);
    const env = {
      PATH: "/usr/bin:/bin",
      QUOTES: `it's "quoted" \\ $HOME \`x\` ''`,
      LINES_OF_TEXT: "one\ntwo\n",
      UNICODE: "漢 👩‍👧 é",
      EMPTY: "",
      DASH: "-n",
      IFS: "x",
      UID: "4242",
      CDPATH: "/tmp",
      ENV: "/nonexistent",
    };
    const cwd = join(folder.path, "wörk 'space'");
    Deno.mkdirSync(cwd);
    const agent = folder.write(
      "agent",
      `#!/usr/bin/perl
print "$_=$ENV{$_}\\0" for sort keys %ENV; print "ARG $_\\0" for @ARGV; system "pwd";
`,
    );
    const text = launcherScript({ env, cwd, command: [agent, "it's", "", "a b", "$x"] });
    const launcher = folder.write("launch.sh", text.replaceAll('/bin/sh "$0"', `${shellQuote(sh)} "$0"`));
    deepStrictEqual(await run(sh, ["-n", launcher]), SILENT);
    const pane = { TERM: "tmux-256color", TMUX: "/s,1,0", TMUX_PANE: "%1", TERM_PROGRAM: "it's tmux" };
    const outer = { SECRET: "of the server", CLAUDECODE: "1", UNICODE: "other" };
    const ran = await run(sh, [launcher], { env: { ...pane, ...outer } });
    strictEqual(ran.err, "");
    const parts = ran.out.split("\0");
    strictEqual(parts.pop(), `${cwd}\n`);
    deepStrictEqual(parts.splice(-4), ["ARG it's", "ARG ", "ARG a b", "ARG $x"]);
    // What shells add by themselves.
    const own = new Set(["PWD", "OLDPWD", "SHLVL", "_"]);
    const found = Object.fromEntries(
      parts.map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
    );
    for (const name of own) delete found[name];
    const { UID, ...rest } = found;
    match(UID ?? "", /^\d+$/, "bash does not let it be set, and must not die of it");
    const { UID: _, ...expected } = env;
    deepStrictEqual(rest, { ...expected, ...pane });
    ok(![...Deno.readDirSync(folder.path)].some(({ name }) => name === "launch.sh"), "removed itself");
  });
}

Deno.test("hookScript() records 40 events at once, each whole", async () => {
  using folder = new Folder();
  const hook = folder.write("hook.sh", hookScript(folder.path));
  const bodies = Array.from(
    { length: 40 },
    (_, index) =>
      JSON.stringify({ hook_event_name: "Stop", last_assistant_message: `${index}`.repeat(50_000) }),
  );
  const ran = await Promise.all(bodies.map((stdin) => run("/bin/sh", [hook, "Stop"], { stdin })));
  deepStrictEqual(ran, bodies.map(() => SILENT));
  const log = new HookLog(folder.path);
  const read = log.names().map((name) => Deno.readTextFileSync(join(folder.path, name)));
  deepStrictEqual(read.sort(), bodies.sort());
});

Deno.test("hookScript() names an event so that it is read, whatever `date` and `perl` there are", async () => {
  const table: [holds: string, date: string, perl: string][] = [
    ["GNU", 'exec /bin/date "$@"', "exit 1"],
    ["busybox: no nanoseconds", "/bin/date +%s", 'exec /usr/bin/perl "$@"'],
    ["busybox without perl", "/bin/date +%s", "exit 127"],
    [
      "macOS: an N instead",
      'case $1 in *N) echo "$(/bin/date +%s)N" ;; *) exec /bin/date "$@" ;; esac',
      "exit 127",
    ],
  ];
  for (const [holds, date, perl] of table) {
    using folder = new Folder();
    const events = join(folder.path, "events");
    const bin = join(folder.path, "bin");
    Deno.mkdirSync(events);
    Deno.mkdirSync(bin);
    folder.write("bin/date", `#!/bin/sh\n${date}\n`);
    folder.write("bin/perl", `#!/bin/sh\n${perl}\n`);
    const hook = folder.write("hook.sh", hookScript(events));
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    deepStrictEqual(await run("/bin/sh", [hook, "Stop"], { stdin: EVENT, env }), SILENT, holds);
    const found = new HookLog(events).newest("Stop");
    ok(found !== null && Math.abs(found.at - Date.now()) < 10_000, holds);
  }
});

Deno.test("hookScript() exits 0, says nothing and reads its input where it can write nothing", async () => {
  using folder = new Folder();
  const full = `${EVENT.slice(0, -2)}${"x".repeat(1_000_000)}"}`;
  const places = [join(folder.path, "missing"), folder.write("a file", "")];
  if (Deno.build.os === "linux") places.push("/proc");
  for (const place of places) {
    const hook = folder.write("hook.sh", hookScript(place));
    deepStrictEqual(await run("/bin/sh", [hook, "Stop"], { stdin: full }), SILENT, place);
  }
});

Deno.test("hookScript() leaves no part of an event behind when the disk is full", async () => {
  using folder = new Folder();
  const events = join(folder.path, "events");
  Deno.mkdirSync(events);
  const hook = folder.write("hook.sh", hookScript(events));
  const limited = `trap '' XFSZ; ulimit -f 8; . ${shellQuote(hook)}`;
  const ran = await run("/bin/bash", ["-c", limited, "hook", "Stop"], { stdin: "x".repeat(100_000) });
  deepStrictEqual(ran, SILENT);
  deepStrictEqual([...Deno.readDirSync(events)], []);
});

Deno.test("launcherScript() does not become the agent where the folder is gone", async () => {
  using folder = new Folder();
  const text = launcherScript({ env: {}, cwd: join(folder.path, "gone"), command: ["/bin/echo", "started"] });
  const ran = await run("/bin/sh", [folder.write("launch.sh", text)]);
  deepStrictEqual([ran.code, ran.out], [97, ""]);
});

Deno.test("settingsJson() has one hook for each event, and the bypass dialog's answer in yolo only", () => {
  const yolo = JSON.parse(settingsJson("/a 'b'/hook.sh", "yolo"));
  deepStrictEqual(Object.keys(yolo.hooks), [...HOOK_EVENTS]);
  strictEqual(yolo.hooks.Stop[0].hooks[0].command, `exec /bin/sh '/a '\\''b'\\''/hook.sh' Stop`);
  deepStrictEqual([yolo.hooks.Stop[0].hooks[0].timeout, yolo.hooks.PermissionRequest[0].hooks[0].timeout], [
    30,
    1_728_000,
  ]);
  strictEqual(yolo.skipDangerousModePermissionPrompt, true);
  strictEqual("skipDangerousModePermissionPrompt" in JSON.parse(settingsJson("/h", "native")), false);
});

Deno.test("claudeArguments() has the user's own arguments last", () => {
  const spec = {
    binary: "/c",
    sessionId: "i",
    settings: "/s",
    model: "opus",
    agentArgs: ["--add-dir", "/x"],
  };
  deepStrictEqual(claudeArguments({ ...spec, mode: "yolo" }), [
    "/c",
    "--session-id",
    "i",
    "--settings",
    "/s",
    "--dangerously-skip-permissions",
    "--model",
    "opus",
    "--add-dir",
    "/x",
  ]);
  deepStrictEqual(claudeArguments({ ...spec, mode: "native", model: null, agentArgs: [] }), [
    "/c",
    "--session-id",
    "i",
    "--settings",
    "/s",
    "--permission-mode",
    "default",
  ]);
});
