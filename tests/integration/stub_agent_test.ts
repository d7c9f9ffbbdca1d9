/**
 * The stub agent, driven through a real tmux, leaves what Claude Code leaves: screen, hooks, registry, transcript.
 *
 * Long, because every test reads the same panes and records through the few functions at its start.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";
import { transcriptPath } from "../support/stub_agent_records.ts";

const SESSION = "11111111-2222-4333-8444-555555555555";
const EVENTS = [
  "SessionStart",
  "UserPromptSubmit",
  "Stop",
  "StopFailure",
  "PermissionRequest",
  "SessionEnd",
  "SubagentStart",
  "SubagentStop",
];

type Json = Record<string, unknown>;

class Pane {
  constructor(readonly sandbox: Sandbox, readonly events: string) {}

  async keys(...keys: string[]): Promise<void> {
    await this.sandbox.tmux("send-keys", "-t", "stub:", ...keys);
  }
  async paste(text: string): Promise<void> {
    const load = this.sandbox.spawn("tmux", ["load-buffer", "-"], { stdin: text });
    strictEqual((await load.done()).code, 0);
    await this.sandbox.tmux("paste-buffer", "-p", "-r", "-t", "stub:");
  }
  async prompt(text: string): Promise<void> {
    await this.paste(text);
    await this.keys("Enter");
  }
  async pid(): Promise<number> {
    return Number((await this.sandbox.tmux("display-message", "-p", "-t", "stub:", "#{pane_pid}")).stdout);
  }
  end(): Promise<string> {
    return this.sandbox.eventually(() => this.sandbox.paneEnd("stub:"), { what: "the agent has ended" });
  }
  async hooks(name?: string): Promise<Json[]> {
    const text = await Deno.readTextFile(this.events).catch(() => "");
    const all = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Json);
    return name === undefined ? all : all.filter((event) => event["hook_event_name"] === name);
  }
  hook(name: string, count = 1): Promise<Json> {
    return this.sandbox.eventually(async () => (await this.hooks(name))[count - 1], { what: `hook ${name}` });
  }
  /** Null once the file is gone. Read until it is whole: the agent rewrites it in place. */
  async registry(): Promise<Json | null> {
    const path = join(this.sandbox.claudeConfig, "sessions", `${await this.pid()}.json`);
    const { entry } = await this.sandbox.eventually(async () => {
      const text = await Deno.readTextFile(path).catch(() => "null");
      return text === "null" || text.endsWith("}") ? { entry: JSON.parse(text) as Json | null } : null;
    }, { what: "a whole registry entry" });
    return entry;
  }
  async status(status: string | null, waitingFor?: string): Promise<void> {
    const what = `registry status ${status} ${waitingFor ?? ""}`;
    await this.sandbox.eventually(async () => {
      const now = await this.registry();
      return (now?.["status"] ?? null) === status && now?.["waitingFor"] === waitingFor;
    }, { what });
  }
  async lines(): Promise<Json[]> {
    const path = transcriptPath({
      sessionId: SESSION,
      cwd: this.sandbox.workspace,
      config: this.sandbox.claudeConfig,
      permissionMode: "",
    });
    const text = await Deno.readTextFile(path).catch(() => "");
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }
  /** One word per line of the conversation. */
  async shape(): Promise<string[]> {
    return (await this.lines()).flatMap((line) => {
      if (line["type"] === "queue-operation") return [`${line["operation"]}`];
      if (["mode", "permission-mode", "last-prompt"].includes(String(line["type"]))) return [];
      const content = (line["message"] as Json | undefined)?.["content"];
      const detail = line["subtype"] ?? (line["attachment"] as Json)?.["type"] ?? line["promptSource"] ??
        (Array.isArray(content) ? content[0].type : "");
      return [`${line["type"]} ${detail}`.trim()];
    });
  }
  async shows(text: string | RegExp): Promise<void> {
    await this.sandbox.eventually(async () => {
      const screen = await this.sandbox.screen("stub:");
      return typeof text === "string" ? screen.includes(text) : text.test(screen);
    }, { what: `the screen shows ${text}` });
  }
}

interface Options {
  readonly stub?: readonly string[];
  readonly args?: readonly string[];
  /** Runs instead of the recording command. */
  readonly hooks?: Readonly<Record<string, string>>;
  /** False when it must not become ready. */
  readonly ready?: boolean;
}

async function withStub(options: Options, body: (pane: Pane) => Promise<void>): Promise<void> {
  await using sandbox = await createSandbox({
    agent: "stub",
    stub: options.stub ?? [],
    tmuxConf: "set -g remain-on-exit on\nset -g default-size 160x45\n",
  });
  const events = join(sandbox.root, "events");
  const record = `event=$(cat); printf '%s\\n' "$event" >> '${events}'`;
  const hooks = Object.fromEntries(
    EVENTS.map((name) => {
      const extra = options.hooks?.[name];
      const command = extra === undefined ? record : `${record}; ${extra}`;
      return [name, [{ hooks: [{ type: "command", command }] }]];
    }),
  );
  const settings = join(sandbox.root, "settings.json");
  await Deno.writeTextFile(settings, JSON.stringify({ hooks, skipDangerousModePermissionPrompt: true }));
  const args = options.args ?? ["--session-id", SESSION, "--settings", settings];
  const started = await sandbox.tmux(
    "new-session",
    "-d",
    "-s",
    "stub",
    "-x",
    "160",
    "-y",
    "45",
    "claude",
    ...args,
  );
  strictEqual(started.code, 0, started.stderr);
  const pane = new Pane(sandbox, events);
  if (options.ready !== false) await pane.hook("SessionStart");
  await body(pane);
}

Deno.test("stub: a short prompt leaves hooks, registry states and transcript lines in order", () =>
  withStub({}, async (pane) => {
    await pane.status("idle");
    const { pid, procStart } = await pane.registry() ?? {};
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    strictEqual(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19], procStart);
    deepStrictEqual(await pane.lines(), []);

    const gate = join(pane.sandbox.root, "gate");
    await pane.prompt(`SCRIPT:gate ${gate}`);
    await pane.status("busy");
    strictEqual((await pane.hook("UserPromptSubmit"))["prompt"], `SCRIPT:gate ${gate}`);
    await Deno.writeTextFile(gate, "");
    const stop = await pane.hook("Stop");
    strictEqual(stop["last_assistant_message"], `REPLY: gate ${gate} opened`);
    await pane.status("idle");
    const shape = ["user typed", "assistant text", "system stop_hook_summary", "system turn_duration"];
    await pane.sandbox.eventually(async () => (await pane.shape()).length === 4, {
      what: "the turn's lines",
    });
    deepStrictEqual(await pane.shape(), shape);
    deepStrictEqual((await pane.hooks()).map((event) => event["hook_event_name"]), [
      "SessionStart",
      "UserPromptSubmit",
      "Stop",
    ]);
    match(await pane.sandbox.screen("stub:"), /─\n❯\u00a0 *\n─+\n.*manual mode on/);
  }));

Deno.test("stub: small pastes stay as they are, a big one is wrapped", () =>
  withStub({}, async (pane) => {
    const text = 'one\ttab\ntwo 漢字 👩‍👩‍👧 "quoted" $(x) `y` #z\nthree';
    await pane.paste(text);
    await pane.paste("\nfour\r\nfive");
    await pane.keys("Enter");
    const small = await pane.hook("UserPromptSubmit");
    strictEqual(small["prompt"], text.replace("\t", "    ") + "\nfour\nfive");
    await pane.hook("Stop");
    await pane.status("idle");
    const big = "a line of the brief\n".repeat(60).trimEnd();
    await pane.paste(big);
    await pane.shows("[Pasted text #1 +59 lines]");
    await pane.keys("Enter");
    const wrapped = String((await pane.hook("UserPromptSubmit", 2))["prompt"]);
    const parts = /^\n\n<pasted_content id="(\w{4})">\n([\s\S]*)\n<\/pasted_content id="(\w{4})">\n$/.exec(
      wrapped,
    );
    strictEqual(parts?.[1], parts?.[3]);
    strictEqual(parts?.[2], big);
  }));

Deno.test("stub: keys of the box act as in Claude Code", () =>
  withStub({}, async (pane) => {
    await pane.prompt("ends with a backslash\\");
    await pane.shows("ends with a backslash");
    await pane.keys("-l", "second line");
    await pane.keys("Enter");
    strictEqual((await pane.hook("UserPromptSubmit"))["prompt"], "ends with a backslash\nsecond line");
    await pane.status("idle");
    await pane.keys("-l", "to be cleared");
    await pane.keys("C-u");
    await pane.prompt("/nonsense now");
    await pane.shows("Unknown command: /nonsense");
    await pane.prompt("!ls");
    await pane.shows("! ls");
    await pane.keys("Escape");
    await pane.keys("Escape");
    await pane.status("waiting", "dialog open");
    await pane.keys("Escape");
    await pane.status("idle");
    strictEqual((await pane.hooks("UserPromptSubmit")).length, 1);
  }));

Deno.test("stub: a message queued during a tool is absorbed, one without a tool left starts a turn", () =>
  withStub({}, async (pane) => {
    const gate = join(pane.sandbox.root, "gate");
    await pane.prompt(`SCRIPT:gatetool ${gate}`);
    await pane.hook("UserPromptSubmit");
    await pane.prompt("queued in the tool");
    await pane.hook("UserPromptSubmit", 2);
    await Deno.writeTextFile(gate, "");
    await pane.status("idle");
    await pane.prompt(`SCRIPT:gate ${gate}2`);
    await pane.hook("UserPromptSubmit", 3);
    await pane.prompt("queued at the end");
    await pane.hook("UserPromptSubmit", 4);
    await Deno.writeTextFile(`${gate}2`, "");
    await pane.hook("Stop", 3);
    await pane.status("idle");
    const end = ["system stop_hook_summary", "system turn_duration"];
    const expected = [
      ...["user typed", "assistant tool_use", "enqueue", "user tool_result", "remove"],
      ...["attachment queued_command", "assistant text", ...end],
      ...["user typed", "enqueue", "assistant text", "dequeue", ...end],
      ...["user queued", "assistant text", ...end],
    ];
    await pane.sandbox.eventually(async () => (await pane.shape()).length >= expected.length, {
      what: "all lines",
    });
    deepStrictEqual(await pane.shape(), expected);
  }));

Deno.test("stub: Escape interrupts a stream and a tool without a hook", () =>
  withStub({}, async (pane) => {
    await pane.prompt("SCRIPT:slow 20");
    await pane.status("busy");
    await pane.hook("UserPromptSubmit");
    await pane.shows("❯ SCRIPT:slow 20");
    await pane.keys("Escape");
    await pane.status("idle");
    await pane.prompt("SCRIPT:bash sleep 50");
    await pane.shows("Bash(");
    await pane.keys("Escape");
    await pane.status("idle");
    const texts = await pane.sandbox.eventually(async () => {
      const found = (await pane.lines()).flatMap((line) =>
        JSON.stringify(line["message"])?.match(/\[Request interrupted[^\]]*\]/) ?? []
      );
      return found.length === 2 ? found : null;
    }, { what: "two interrupt lines" });
    deepStrictEqual([...texts], [
      "[Request interrupted by user]",
      "[Request interrupted by user for tool use]",
    ]);
    strictEqual((await pane.hooks("Stop")).length, 0);
  }));

Deno.test("stub: a permission is answered by 1, by Escape, or by the hook", async () => {
  await withStub({}, async (pane) => {
    await pane.prompt("SCRIPT:permission touch granted");
    await pane.status("waiting", "permission prompt");
    strictEqual((await pane.hook("PermissionRequest"))["tool_name"], "Bash");
    await pane.shows("Do you want to proceed?");
    await pane.keys("1");
    await pane.hook("Stop");
    ok((await Deno.stat(join(pane.sandbox.workspace, "granted"))).isFile);
    await pane.status("idle");
    await pane.prompt("SCRIPT:ask");
    await pane.status("waiting", "input needed");
    await pane.keys("2");
    const answered = await pane.hook("Stop", 2);
    match(String(answered["last_assistant_message"]), /"Which colour\?"="Blue"/);
    await pane.status("idle");
    await pane.prompt("SCRIPT:permission true");
    await pane.status("waiting", "permission prompt");
    await pane.keys("Escape");
    await pane.status("idle");
    strictEqual((await pane.hooks("Stop")).length, 2);
  });
  const decision = {
    hookSpecificOutput: { hookEventName: "PermissionRequest", decision: { behavior: "allow" } },
  };
  await withStub(
    { hooks: { PermissionRequest: `printf '%s' '${JSON.stringify(decision)}'` } },
    async (pane) => {
      await pane.prompt("SCRIPT:permission echo by-hook");
      match(String((await pane.hook("Stop"))["last_assistant_message"]), /by-hook/);
    },
  );
});

Deno.test("stub: background work keeps the registry from idle and comes back as a turn", () =>
  withStub({}, async (pane) => {
    const gate = join(pane.sandbox.root, "gate");
    await pane.prompt(`SCRIPT:subagent ${gate}`);
    await pane.hook("SubagentStart");
    const stop = await pane.hook("Stop");
    strictEqual((stop["background_tasks"] as Json[])[0]?.["type"], "subagent");
    strictEqual((await pane.registry())?.["status"], "busy");
    await Deno.writeTextFile(gate, "");
    await pane.hook("SubagentStop");
    await pane.hook("Stop", 2);
    await pane.status("idle");
    await pane.prompt(`SCRIPT:bgshell until test -e ${gate}2; do sleep 0.02; done`);
    await pane.status("shell");
    await Deno.writeTextFile(`${gate}2`, "");
    await pane.hook("Stop", 4);
    await pane.status("idle");
  }));

Deno.test("stub: API errors fire StopFailure", () =>
  withStub({}, async (pane) => {
    await pane.prompt("SCRIPT:err529");
    strictEqual((await pane.hook("StopFailure"))["error"], "server_error");
    await pane.status("idle");
    strictEqual((await pane.hooks("Stop")).length, 0);
  }));

Deno.test("stub: the registry file goes on SIGHUP and stays after a crash", async () => {
  await withStub({}, async (pane) => {
    const pid = await pane.pid();
    const path = join(pane.sandbox.claudeConfig, "sessions", `${pid}.json`);
    await pane.status("idle");
    await pane.sandbox.tmux("kill-session", "-t", "stub");
    strictEqual((await pane.hook("SessionEnd"))["reason"], "other");
    await pane.sandbox.eventually(async () => !await isRunning(pid), { what: "the agent is gone" });
    strictEqual(await Deno.stat(path).then(() => true, () => false), false);
  });
  await withStub({}, async (pane) => {
    const path = join(pane.sandbox.claudeConfig, "sessions", `${await pane.pid()}.json`);
    await pane.prompt("SCRIPT:crash");
    strictEqual(await pane.end(), "exit 3");
    strictEqual(JSON.parse(await Deno.readTextFile(path)).status, "busy");
  });
});

Deno.test("stub: delivery can go wrong in every known way", async () => {
  await withStub({ stub: ["swallow-enter=1"] }, async (pane) => {
    await pane.prompt("twice");
    await pane.shows(/❯\u00a0twice/);
    strictEqual((await pane.hooks("UserPromptSubmit")).length, 0);
    await pane.keys("Enter");
    await pane.hook("UserPromptSubmit");
  });
  await withStub({ stub: ["lost-paste"] }, async (pane) => {
    await pane.paste("vanishes");
    await pane.keys("-l", "typed");
    await pane.shows(/❯\u00a0typed/);
  });
  await withStub({ stub: ["lose-enter"] }, async (pane) => {
    await pane.prompt("stays");
    await pane.keys("Enter", "C-u");
    await pane.keys("-l", "next");
    await pane.shows(/❯\u00a0next/);
    strictEqual((await pane.hooks("UserPromptSubmit")).length, 0);
  });
  await withStub({ stub: ["slow-start=600"], ready: false }, async (pane) => {
    await pane.prompt("too early");
    await pane.shows(/❯\u00a0too early/);
    strictEqual(await pane.registry(), null);
    await pane.hook("SessionStart");
    await pane.keys("Enter");
    strictEqual((await pane.hook("UserPromptSubmit"))["prompt"], "too early");
  });
  await withStub({ stub: ["block-prompt"] }, async (pane) => {
    await pane.prompt("not wanted");
    await pane.hook("UserPromptSubmit");
    await pane.shows("blocked by hook");
    await pane.status("idle");
    await pane.sandbox.eventually(async () => (await pane.lines()).length > 0, { what: "the notice" });
    deepStrictEqual(await pane.shape(), ["system informational"]);
    match(await pane.sandbox.screen("stub:"), /\n❯\u00a0 *\n/);
  });
  await withStub({ stub: ["vim", "placeholder"] }, async (pane) => {
    await pane.shows("-- INSERT --");
    await pane.shows('Try "how does');
    await pane.keys("Escape");
    await pane.sandbox.eventually(async () => !(await pane.sandbox.screen("stub:")).includes("INSERT"), {
      what: "NORMAL mode",
    });
  });
});

Deno.test("stub: dialogs at the start come before hooks and registry", async () => {
  for (const [name, text] of [["trust-dialog", "No, exit"], ["login-dialog", "login method"]] as const) {
    await withStub({ stub: [name], ready: false }, async (pane) => {
      await pane.shows(text);
      strictEqual(await pane.registry(), null);
      strictEqual((await pane.hooks()).length, 0);
      await pane.keys("Enter");
      if (name === "trust-dialog") strictEqual(await pane.end(), "exit 1");
    });
  }
  await withStub({ stub: ["unknown-dialog"], ready: false }, async (pane) => {
    await pane.shows("nobody has seen");
    await pane.keys("Enter");
    await pane.hook("SessionStart");
  });
});

Deno.test("stub: it can end before it begins", async () => {
  await withStub({ stub: ["die-at-once=7"], ready: false }, async (pane) => {
    strictEqual(await pane.end(), "exit 7");
  });
  await withStub({ stub: ["onboarding-exit"], ready: false }, async (pane) => {
    strictEqual(await pane.end(), "exit 1");
    match(await pane.sandbox.screen("stub:", true), /Unable to connect to Anthropic services/);
  });
  await withStub({ args: ["--session-id", "nonsense"], ready: false }, async (pane) => {
    strictEqual(await pane.end(), "exit 1");
  });
});

Deno.test("stub: without hooks or registry the other sources go on", async () => {
  await withStub({ stub: ["no-hooks"], ready: false }, async (pane) => {
    await pane.status("idle");
    await pane.prompt("hello");
    await pane.sandbox.eventually(async () => (await pane.shape()).includes("system turn_duration"), {
      what: "the end of the turn",
    });
    ok(!(await pane.shape()).includes("system stop_hook_summary"));
  });
  await withStub({ stub: ["no-registry", "no-transcript"] }, async (pane) => {
    await pane.prompt("hello");
    await pane.hook("Stop");
    strictEqual(await pane.registry(), null);
    deepStrictEqual(await pane.lines(), []);
  });
});

Deno.test("sandbox: close() ends an agent that ignores SIGHUP", async () => {
  const sandbox = await createSandbox({ agent: "stub", stub: ["ignore-sighup"] });
  await sandbox.tmux("new-session", "-d", "-s", "stub", "claude", "--session-id", SESSION);
  const found = await sandbox.eventually(async () => {
    const sessions = await Array.fromAsync(Deno.readDir(join(sandbox.claudeConfig, "sessions"))).catch(
      () => [],
    );
    return sessions.length > 0 ? await sandbox.processesOf() : null;
  }, { what: "the agent is ready" });
  ok(found.length >= 2);
  await sandbox.close();
  for (const { pid } of found) strictEqual(await isRunning(pid), false);
});
