/**
 * `doctor` beside real tmux, SQLite, processes and app-servers: what is wrong is told, and only --fix changes anything.
 *
 * Long, because its cases mostly wait, and run beside each other as the steps of one test.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { stamped } from "../../lib/skills.ts";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession } from "../support/codex_session.ts";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import { healthyHome } from "../support/healthy_home.ts";
import { isRunning, signal } from "../support/processes.ts";
import {
  agentPid,
  agents,
  created,
  registryFile,
  rows,
  sessionFolders,
  sql,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly what: string;
  readonly why: string | null;
  readonly fix:
    | { readonly text: string; readonly command: string | null; readonly automatic: boolean }
    | null;
}
interface Examined {
  readonly code: number;
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
  readonly repaired: readonly {
    readonly check: string;
    readonly done: string | null;
    readonly error: string | null;
  }[];
}

/** Depends on the machine that runs the tests, or on the agents' folders being there; tested apart. */
const ELSEWHERE = new Set(["container", "command", "file-system", "disk", "skills"]);

async function examine(
  sandbox: Sandbox,
  args: readonly string[] = [],
  settings: RunSettings = {},
): Promise<Examined> {
  const { code, stdout, stderr } = await sandbox.run(["doctor", "--json", ...args], settings);
  ok(stdout !== "", stderr);
  const report: Omit<Examined, "code"> = JSON.parse(stdout);
  strictEqual(code, report.healthy ? 0 : 1);
  return { ...report, code };
}

/** `level check` of what is not ok, sorted. */
function wrong({ findings }: Examined): string[] {
  return findings.filter(({ level, check }) => level !== "ok" && !ELSEWHERE.has(check))
    .map(({ level, check }) => `${level} ${check}`).sort();
}

function find({ findings }: Examined, check: string): Finding {
  const found = findings.find((finding) => finding.check === check);
  ok(found !== undefined, `no finding ${check} among ${findings.map((one) => one.check).join(", ")}`);
  return found;
}

/** Every path below the home with its mode, size and time of change. */
function snapshot(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    const { mode, size, mtime } = Deno.statSync(path);
    return isDirectory
      ? [`${path} ${mode}`, ...snapshot(path)]
      : [`${path} ${mode} ${size} ${mtime?.getTime()}`];
  }).sort();
}

testAtOnce("doctor", {
  "a home that is all right passes, and nothing is made in it": async () => {
    await using sandbox = await healthyHome();
    const before = snapshot(sandbox.home);
    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex"]);
    strictEqual(report.code, 0);
    deepStrictEqual(report.repaired, []);
    for (const finding of report.findings) {
      deepStrictEqual(Object.keys(finding), ["check", "level", "what", "why", "fix"]);
      strictEqual(finding.fix === null, finding.level === "ok", finding.what);
    }
    deepStrictEqual(snapshot(sandbox.home), before);
  },

  "for people it prints one line for each finding, the worst first": async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const { code, stdout, stderr } = await sandbox.run(["doctor"]);
    strictEqual(code, 1);
    strictEqual(stderr, "2 problems keep dev-sessions from its work\n");
    match(
      stdout,
      /^problem {2}Claude Code was never set up for this user\n {9}\S.*\n {9}Fix: .*: claude\nproblem {2}Claude Code is not signed in\n/,
    );
    match(stdout, /\nok {7}tmux \d/);
    const levels = [...stdout.matchAll(/^(problem|warning|note|ok) /gm)].map(([, level]) => level);
    const order = ["problem", "warning", "note", "ok"];
    deepStrictEqual(levels, [...levels].sort((a, b) => order.indexOf(a!) - order.indexOf(b!)));
  },

  "live sessions and their app-servers pass, and nothing of them changes": async () => {
    await using codex = await createStubCodexSandbox();
    const { sandbox } = codex;
    await Deno.writeTextFile(
      join(sandbox.home, ".claude.json"),
      JSON.stringify({ hasCompletedOnboarding: true }),
    );
    sandbox.env["ANTHROPIC_AUTH_TOKEN"] = "scripted";
    await Deno.writeTextFile(join(codex.codexHome, "auth.json"), JSON.stringify({ OPENAI_API_KEY: "sk-1" }));
    const claude = await created(sandbox);
    const { id } = await CodexSession.create(codex);
    const before = JSON.stringify(sql(sandbox, "SELECT * FROM sessions ORDER BY id"));
    const [server] = await codex.servers();
    const report = await examine(sandbox);
    // The sandbox's own folder is below /tmp.
    deepStrictEqual(wrong(report), ["warning codex-home"]);
    match(find(report, "sessions").what, /^2 live sessions, 0 ended$/);
    match(
      find(report, "codex-server").what,
      new RegExp(`started by dev-sessions, process ${server}, 1 thread loaded`),
    );
    strictEqual(JSON.stringify(sql(sandbox, "SELECT * FROM sessions ORDER BY id")), before);
    deepStrictEqual(await codex.servers(), [server]);
    deepStrictEqual(rows(sandbox), [`${claude} active`, `${id} active`]);
  },

  "modes that are open to others are told, and --fix takes them away": async () => {
    await using sandbox = await healthyHome();
    await created(sandbox);
    const state = join(sandbox.home, ".dev-sessions");
    await Deno.chmod(state, 0o755);
    await Deno.chmod(registryFile(sandbox), 0o664);
    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex", "warning state-modes"]);
    match(find(report, "state-modes").what, /\.dev-sessions \(0755\), .*dev-sessions\.db \(0664\)/);
    deepStrictEqual(find(report, "state-modes").fix?.command, "dev-sessions doctor --fix");
    strictEqual((await Deno.stat(state)).mode! & 0o777, 0o755);

    const fixed = await examine(sandbox, ["--fix"]);
    deepStrictEqual(fixed.repaired.map(({ check, error }) => [check, error]), [["state-modes", null]]);
    deepStrictEqual(wrong(fixed), ["note codex"]);
    strictEqual((await Deno.stat(state)).mode! & 0o777, 0o700);
    strictEqual((await Deno.stat(registryFile(sandbox))).mode! & 0o777, 0o600);
  },

  "a damaged registry is a problem, and is left as it is": async () => {
    await using sandbox = await healthyHome();
    await created(sandbox);
    await sandbox.run(["kill", "--all"]);
    const file = registryFile(sandbox);
    const bytes = (await Deno.readFile(file)).fill(0xff, 0, 4096);
    await Deno.writeFile(file, bytes);
    const report = await examine(sandbox, ["--fix"]);
    deepStrictEqual(wrong(report), ["note codex", "problem registry"]);
    match(find(report, "registry").what, /damaged/);
    deepStrictEqual(await Deno.readFile(file), bytes);
  },

  "a registry of a newer version that shuts older ones out is a problem": async () => {
    await using sandbox = await healthyHome();
    await created(sandbox);
    sql(sandbox, "UPDATE meta SET value = '99' WHERE key = 'min_reader'");
    sql(sandbox, "PRAGMA user_version = 99");
    deepStrictEqual(wrong(await examine(sandbox)), ["note codex", "problem registry"]);
    sql(sandbox, "PRAGMA user_version = 2");
  },

  "a registry that another process keeps locked is told in bounded time": async () => {
    await using sandbox = await healthyHome();
    await created(sandbox);
    const { DatabaseSync } = await import("node:sqlite");
    const other = new DatabaseSync(registryFile(sandbox));
    other.exec("BEGIN IMMEDIATE");
    try {
      deepStrictEqual(wrong(await examine(sandbox)), ["note codex", "warning registry"]);
    } finally {
      other.close();
    }
  },

  "a configuration that can't be used is a problem that names the key": async () => {
    await using sandbox = await healthyHome();
    const state = join(sandbox.home, ".dev-sessions");
    await Deno.mkdir(state, { mode: 0o700 });
    await Deno.writeTextFile(join(state, "config.json"), JSON.stringify({ maxSessions: 0 }));
    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex", "problem config"]);
    match(find(report, "config").what, /"maxSessions" is 0/);
  },

  "a create that was killed is told, and --fix rolls it back": async () => {
    await using sandbox = await healthyHome();
    const gate = await gateTmux(sandbox, "new-session", "after");
    await using creating = sandbox.start(["create"]);
    await gate.reached();
    deepStrictEqual(wrong(await examine(sandbox)), ["note codex"], "it is at work");
    creating.kill("SIGKILL");
    await creating.child.status;
    await gate.open();

    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex", "note unfinished"]);
    strictEqual(rows(sandbox).length, 1);
    const fixed = await examine(sandbox, ["--fix"]);
    deepStrictEqual(fixed.repaired.map(({ check, done }) => [check, done]), [
      ["unfinished", "rolled back 1 unfinished session, 0 are left"],
    ]);
    deepStrictEqual(wrong(fixed), ["note codex"]);
    deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
    await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  },

  "a session that died is told, and --fix marks it as ended; a living one stays": async () => {
    await using sandbox = await healthyHome();
    const [dead, living] = [await created(sandbox), await created(sandbox)];
    const pid = agentPid(sandbox, dead);
    signal(pid, "SIGKILL");
    await sandbox.eventually(async () => !await isRunning(pid), { what: "the agent's end" });
    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex", "note dead-sessions"]);
    match(find(report, "dead-sessions").what, new RegExp(`^1 session ended by itself: ${dead}$`));
    deepStrictEqual(rows(sandbox), [`${dead} active`, `${living} active`]);

    const fixed = await examine(sandbox, ["--fix"]);
    deepStrictEqual(fixed.repaired.map(({ done }) => done), [`marked as ended: ${dead}`]);
    deepStrictEqual(wrong(fixed), ["note codex"]);
    deepStrictEqual(rows(sandbox), [`${dead} ended`, `${living} active`]);
    strictEqual((await sandbox.run(["status", living])).stdout, "idle\n");
  },

  "the pane of a dead agent whose session has ended is told, and --fix removes it": async () => {
    await using sandbox = await healthyHome();
    const [dead, living] = [await created(sandbox), await created(sandbox)];
    const pid = agentPid(sandbox, dead);
    signal(pid, "SIGKILL");
    await sandbox.eventually(async () => await sandbox.paneEnd(`=dev-${dead}:`) !== null, {
      what: "a dead pane",
    });
    sql(sandbox, "UPDATE sessions SET lifecycle = 'ended' WHERE id = ?", dead);
    const report = await examine(sandbox);
    deepStrictEqual(wrong(report), ["note codex", "note dead-panes"]);
    const fixed = await examine(sandbox, ["--fix"]);
    deepStrictEqual(fixed.repaired.map(({ check, error }) => [check, error]), [["dead-panes", null]]);
    deepStrictEqual(wrong(fixed), ["note codex"]);
    deepStrictEqual(await tmuxSessions(sandbox), [`dev-${living}`]);
  },

  "an agent that the registry has lost is told and left alone; the command that is named ends it":
    async () => {
      await using sandbox = await healthyHome();
      const [lost, kept] = [await created(sandbox), await created(sandbox)];
      const pid = agentPid(sandbox, lost);
      sql(sandbox, "DELETE FROM sessions WHERE id = ?", lost);
      const report = await examine(sandbox, ["--fix"]);
      deepStrictEqual(wrong(report), ["note codex", "warning stray-agent", "warning stray-folders"]);
      deepStrictEqual(report.repaired, []);
      ok(await isRunning(pid));
      strictEqual(sessionFolders(sandbox).length, 2);

      const { fix } = find(report, "stray-agent");
      await sandbox.spawn("sh", ["-c", fix?.command ?? "false"]).doneWithin(10_000, "the command of the fix");
      await sandbox.eventually(async () => !await isRunning(pid), { what: "the end of the stray agent" });
      deepStrictEqual(await tmuxSessions(sandbox), [`dev-${kept}`]);
    },

  "what this version does not understand is told, and neither its agent nor its folder is a stray one":
    async () => {
      await using sandbox = await healthyHome();
      const [strange, ended] = [await created(sandbox), await created(sandbox)];
      sql(sandbox, "UPDATE sessions SET mode = 'pod' WHERE id = ?", strange);
      // As if somebody resumed it now.
      sql(sandbox, "UPDATE sessions SET lifecycle = 'ended', resumer = creator WHERE id = ?", ended);
      const report = await examine(sandbox);
      deepStrictEqual(wrong(report).filter((line) => !/codex|unfinished/.test(line)), [
        "warning unread-sessions",
      ]);
      match(find(report, "unread-sessions").what, new RegExp(`^1 session can't be understood: ${strange}$`));
      sql(sandbox, "UPDATE sessions SET mode = 'yolo' WHERE id = ?", strange);
      strictEqual((await sandbox.run(["status", strange])).stdout, "idle\n");
    },

  "a tmux server that does not answer is a problem, and nothing is believed or changed": async () => {
    await using sandbox = await healthyHome();
    const id = await created(sandbox);
    const server = Number((await sandbox.tmux("display-message", "-p", "#{pid}")).stdout);
    ok(server > 1);
    signal(server, "SIGSTOP");
    try {
      const report = await examine(sandbox, ["--fix"]);
      deepStrictEqual(wrong(report), ["note codex", "problem tmux-server"]);
      match(find(report, "tmux-server").what, /does not answer/);
    } finally {
      signal(server, "SIGCONT");
    }
    strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
  },

  "without tmux, and without an agent": async () => {
    await using sandbox = await healthyHome();
    await Deno.mkdir(join(sandbox.root, "few"));
    for (const name of ["df", "sh"]) {
      await Deno.symlink(`/usr/bin/${name}`, join(sandbox.root, "few", name));
    }
    const few = join(sandbox.root, "few");
    const noTmux = await examine(sandbox, [], { env: { PATH: `${join(sandbox.root, "bin")}:${few}` } });
    deepStrictEqual(wrong(noTmux), ["note codex", "problem tmux"]);
    const noAgent = await examine(sandbox, [], { env: { PATH: few } });
    deepStrictEqual(wrong(noAgent), ["problem agents"]);
  },

  "a Claude Code that does not run, and one that was told to run no hooks": async () => {
    await using sandbox = await healthyHome();
    await Deno.mkdir(sandbox.claudeConfig);
    await Deno.writeTextFile(
      join(sandbox.claudeConfig, "settings.json"),
      JSON.stringify({ disableAllHooks: true }),
    );
    deepStrictEqual(wrong(await examine(sandbox)), ["note codex", "warning claude-hooks"]);
    await Deno.writeTextFile(join(sandbox.root, "bin", "claude"), "#!/bin/sh\necho no runtime >&2; exit 3\n");
    const report = await examine(sandbox);
    match(find(report, "claude").what, /--version ended with 3 \(no runtime\)/);
    strictEqual(report.code, 1);
  },

  "a key that Claude would ask about keeps create from working": async () => {
    await using sandbox = await healthyHome();
    const env = { ANTHROPIC_AUTH_TOKEN: undefined, ANTHROPIC_API_KEY: "sk-ant-0123456789-abcdefghijklmnop" };
    deepStrictEqual(wrong(await examine(sandbox, [], { env })), ["note codex", "problem claude-sign-in"]);
    await Deno.writeTextFile(
      join(sandbox.home, ".claude.json"),
      JSON.stringify({
        hasCompletedOnboarding: true,
        customApiKeyResponses: { approved: [env.ANTHROPIC_API_KEY.slice(-20)], rejected: [] },
      }),
    );
    deepStrictEqual(wrong(await examine(sandbox, [], { env })), ["note codex"]);
  },

  "an app-server that is stopped, and one that somebody else could have put there": async () => {
    await using codex = await createStubCodexSandbox();
    const { sandbox } = codex;
    await Deno.writeTextFile(
      join(sandbox.home, ".claude.json"),
      JSON.stringify({ hasCompletedOnboarding: true }),
    );
    sandbox.env["ANTHROPIC_AUTH_TOKEN"] = "scripted";
    await CodexSession.create(codex);
    const [server] = await codex.servers();
    signal(server!, "SIGSTOP");
    try {
      const report = await examine(sandbox);
      strictEqual(find(report, "codex-server").level, "warning", "Claude Code works");
      match(
        find(report, "codex-server").what,
        /^Cannot reach the Codex server at .*Is its process stopped\?$/,
      );
      match(find(report, "unknown-sessions").what, /^whether 1 session live/);
    } finally {
      signal(server!, "SIGCONT");
    }
    const folder = join(codex.codexHome, "app-server-control");
    await Deno.chmod(folder, 0o777);
    const report = await examine(sandbox, [], { env: { DEV_SESSIONS_TEST: "1" } });
    match(
      find(report, "codex-server").what,
      /^Cannot trust the Codex server at .*can be written by other users$/,
    );
    await Deno.chmod(folder, 0o700);
  },

  "skills that are missing, installed, of another version, changed, and missing in part": async () => {
    await using sandbox = await healthyHome();
    await Deno.mkdir(sandbox.claudeConfig);
    match(find(await examine(sandbox), "skills").what, /^no skills are installed$/);
    strictEqual((await sandbox.run(["install-skill", "--claude"])).code, 0);
    strictEqual(find(await examine(sandbox), "skills").level, "ok");
    const path = join(sandbox.claudeConfig, "skills", "handoff", "SKILL.md");
    await Deno.writeTextFile(path, await stamped("# An older text\n"));
    match(find(await examine(sandbox), "skills").what, /^1 installed skill of another version: .*handoff/);
    await Deno.writeTextFile(path, "# A text of 0.4.4\n");
    const changed = find(await examine(sandbox), "skills");
    match(changed.what, /^1 skill is not of this version: .*handoff/);
    // What the finding advises makes it go away.
    strictEqual((await sandbox.run(changed.fix!.command!.split(" ").slice(1))).code, 0);
    strictEqual(find(await examine(sandbox), "skills").level, "ok");
    await Deno.remove(path);
    const missing = find(await examine(sandbox), "skills");
    match(missing.what, /^1 skill is not installed: .*handoff/);
    strictEqual((await sandbox.run(missing.fix!.command!.split(" ").slice(1))).code, 0);
    strictEqual(find(await examine(sandbox), "skills").level, "ok");
  },

  "another version that comes first on PATH is told": async () => {
    await using sandbox = await healthyHome();
    const path = join(sandbox.root, "bin", "dev-sessions");
    await Deno.writeTextFile(path, "#!/bin/sh\necho 0.4.4\n", { mode: 0o755 });
    const { what, level } = find(await examine(sandbox), "command");
    strictEqual(level, "warning");
    match(what, /^\S*\/bin\/dev-sessions comes first on PATH and is version 0\.4\.4, not this one/);
  },

  "run from inside a session it says so": async () => {
    await using sandbox = await healthyHome();
    const id = await created(sandbox);
    const nested = find(await examine(sandbox, [], { env: { DEV_SESSIONS_ID: id } }), "nested");
    strictEqual(nested.level, "note");
    strictEqual(
      find(await examine(sandbox, [], { env: { DEV_SESSIONS_ID: "riven-jg" } }), "nested").level,
      "warning",
    );
  },

  "a limit of inotify that is used up is told": async () => {
    await using sandbox = await healthyHome();
    // In a user namespace of its own, which has limits of its own.
    const command = sandbox.spawn("unshare", [
      "--user",
      "--map-root-user",
      "sh",
      "-c",
      'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"',
      "sh",
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      join(import.meta.dirname ?? "", "..", "..", "main.ts"),
      "doctor",
      "--json",
    ]);
    const { stdout, stderr } = await command.doneWithin(30_000, "doctor in a user namespace");
    ok(stdout !== "", stderr);
    const { findings } = JSON.parse(stdout) as Examined;
    match(
      findings.find(({ check }) => check === "watches")?.what ?? "",
      /^your limit of inotify instances is used up$/,
    );
  },
});
