/** A session of the real Claude Code, driven through the CLI as a process; failures show the agent's screen. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { cliCommand, type RunOutput, type RunSettings, type Sandbox } from "./harness.ts";
import type { RunningCommand } from "./running_command.ts";
import type { ScriptedModel } from "./scripted_model.ts";

/** Measured with 2.1.330: a key within 0.5 s of a dialog's opening is ignored, one after 1.5 s of quiet is not. */
const DIALOG_QUIET_MS = 1_500;
const DIALOG_ANSWER_MS = 4_000;
const DIALOG_ATTEMPTS = 3;

/** What these tests read of a session's record. */
export interface SessionRecord {
  readonly internalId: string;
  readonly parent: string | null;
  readonly process: { readonly pid: number };
  readonly handle: { readonly pane: string; readonly tmuxSession: string; readonly configFolder: string };
}
export interface StatusRecord {
  readonly state: string;
  readonly pending: {
    readonly kind: string;
    readonly tool: string | null;
    readonly input: unknown;
    readonly options: readonly string[];
  } | null;
  readonly lastError: string | null;
  readonly background: readonly { readonly type: string }[];
}

/** Claude's own live registry of one process. */
export interface LiveEntry {
  readonly sessionId: string;
  readonly status: string;
  readonly waitingFor?: string;
}

export function modelOf(sandbox: Sandbox): ScriptedModel {
  const { model } = sandbox;
  ok(model !== null);
  return model;
}

/** Runs `create` and returns the session it names. */
export async function createSession(
  sandbox: Sandbox,
  args: readonly string[] = [],
  settings: RunSettings = {},
): Promise<LiveSession> {
  const created = await sandbox.run(["create", "--quiet", ...args], settings);
  strictEqual(created.code, 0, `create: ${created.stderr}`);
  return await openSession(sandbox, created.stdout.trim());
}

/** A session that exists already. */
export async function openSession(sandbox: Sandbox, id: string): Promise<LiveSession> {
  const inspected = await sandbox.run(["inspect", id]);
  strictEqual(inspected.code, 0, inspected.stderr);
  return new LiveSession(sandbox, id, JSON.parse(inspected.stdout));
}

export class LiveSession {
  /** Use `createSession()`. */
  constructor(readonly sandbox: Sandbox, readonly id: string, readonly record: SessionRecord) {}

  get pane(): string {
    return this.record.handle.pane;
  }
  get pid(): number {
    return this.record.process.pid;
  }
  get claudeId(): string {
    return this.record.internalId;
  }

  /** `dev-sessions <verb> <id> ...`, whatever its exit code. */
  run(verb: string, args: readonly string[] = [], settings: RunSettings = {}): Promise<RunOutput> {
    return this.sandbox.run([verb, this.id, ...args], settings);
  }

  /** As `run`, but with this exit code; returns stdout without the line feed at its end. */
  async expect(
    code: number,
    verb: string,
    args: readonly string[] = [],
    settings: RunSettings = {},
  ): Promise<string> {
    const output = await this.run(verb, args, settings);
    await this.assertCode(output, code, verb);
    return output.stdout.replace(/\n$/, "");
  }

  async assertCode(output: RunOutput, code: number, what: string): Promise<void> {
    if (output.code === code) return;
    const { stdout, stderr } = output;
    const screen = await this.screen();
    throw new Error(
      `${what}: exit code ${output.code} instead of ${code}\nstdout: ${stdout}\nstderr: ${stderr}\nscreen:\n${screen}`,
    );
  }

  /** Delivers a message; returns `submitted` or `queued`. */
  async send(text: string, ...flags: string[]): Promise<string> {
    const { result } = JSON.parse(await this.expect(0, "send", [...flags, "--json", "--", text]));
    return result;
  }

  /** Sends, waits for the turn's completion and returns the last message. */
  async turn(text: string): Promise<string> {
    await this.send(text);
    await this.completed();
    return await this.lastMessage();
  }

  async completed(): Promise<void> {
    strictEqual(await this.expect(0, "wait", ["-t", "30"]), "completed");
  }

  /** Starts `wait`; end it with `over()`. */
  wait(...flags: string[]): RunningCommand {
    return this.sandbox.start(["wait", this.id, "-t", "40", ...flags]);
  }

  /** The end of a wait that was started. */
  async over(wait: RunningCommand, code: number): Promise<RunOutput> {
    const output = await wait.doneWithin(45_000, "wait");
    await this.assertCode(output, code, "wait");
    return output;
  }

  /** A wait that is still under way after a whole `status` has run, which says this. */
  async stillWaiting(wait: RunningCommand, state: string): Promise<void> {
    let over: RunOutput | null = null;
    void wait.done().then((output) => over = output);
    strictEqual(await this.expect(0, "status"), state);
    strictEqual(over, null, `wait returned early: ${JSON.stringify(over)}`);
  }

  lastMessage(): Promise<string> {
    return this.expect(0, "last-message");
  }

  async status(): Promise<StatusRecord> {
    return JSON.parse(await this.expect(0, "status", ["--json"]));
  }

  /** As a person at its terminal. */
  async press(...keys: string[]): Promise<void> {
    const { code, stderr } = await this.sandbox.tmux("send-keys", "-t", this.pane, ...keys);
    strictEqual(code, 0, stderr);
  }

  /**
   * As a person who reads a dialog before pressing one key, and presses it again when nothing came of it: Claude ignores
   * keys for a while after a dialog has opened, and for longer when they keep coming.
   */
  async answerDialog(key: string): Promise<void> {
    for (let attempt = 1;; attempt++) {
      await this.#quiet(DIALOG_QUIET_MS);
      await this.press(key);
      try {
        await this.sandbox.eventually(async () => (await this.live())?.status !== "waiting", {
          what: "the end of the dialog",
          timeoutMs: DIALOG_ANSWER_MS,
        });
        return;
      } catch (error) {
        if (attempt === DIALOG_ATTEMPTS) throw error;
      }
    }
  }

  /** Until the screen has not changed for so long. */
  async #quiet(ms: number): Promise<void> {
    let seen = { screen: "", since: performance.now() };
    await this.sandbox.eventually(async () => {
      const screen = await this.screen();
      if (screen !== seen.screen) seen = { screen, since: performance.now() };
      return performance.now() - seen.since >= ms;
    }, { what: `a screen that stands still for ${ms} ms` });
  }

  async type(text: string): Promise<void> {
    await this.press("-l", "--", text);
  }

  /** As a person who takes back a line that stands in the input box. */
  async clearDraft(text: string): Promise<void> {
    await this.press("C-u");
    await this.sandbox.eventually(async () => !(await this.screen()).includes(text), {
      what: `${JSON.stringify(text)} gone from the screen`,
    });
  }

  screen(): Promise<string> {
    return this.sandbox.screen(this.pane);
  }

  /** What Claude itself says of this session; null when it says nothing. */
  async live(): Promise<LiveEntry | null> {
    const path = join(this.record.handle.configFolder, "sessions", `${this.pid}.json`);
    try {
      return JSON.parse(await Deno.readTextFile(path));
    } catch {
      return null;
    }
  }

  /** Until Claude's own registry says this. */
  async reaches(status: string): Promise<LiveEntry> {
    try {
      return await this.sandbox.eventually(async () => {
        const entry = await this.live();
        return entry?.status === status ? entry : null;
      }, { what: `live registry ${status}` });
    } catch (error) {
      throw new Error(`The screen of ${this.id}:\n${await this.screen()}`, { cause: error });
    }
  }

  /** Until a text stands on the screen. */
  async shows(text: string): Promise<void> {
    await this.sandbox.eventually(async () => (await this.screen()).includes(text), {
      what: `${JSON.stringify(text)} on the screen`,
    });
  }
}

/** Waits for a file that the agent's tool or a hook makes. */
export async function fileAppears(sandbox: Sandbox, path: string): Promise<void> {
  await sandbox.eventually(() => Deno.stat(path).then(() => true, () => false), { what: path });
}

/** After `kill`: no session is listed, none of its tmux sessions and processes is left. */
export async function assertNothingLeft(sandbox: Sandbox): Promise<void> {
  const listed = await sandbox.run(["list"]);
  strictEqual(listed.stdout, "No active sessions\n");
  const { stdout } = await sandbox.tmux("list-sessions", "-F", "#{session_name}");
  strictEqual(stdout, "");
  await sandbox.eventually(async () => (await sandbox.processesOf()).length === 0, {
    what: "no process of the sandbox left",
  });
}

/** `dev-sessions` on the sandbox's PATH. */
export async function writeCommand(sandbox: Sandbox): Promise<void> {
  const command = cliCommand().map((word) => `'${word}'`).join(" ");
  const script = `#!/bin/sh\nexec ${command} "$@"\n`;
  await Deno.writeTextFile(join(sandbox.root, "bin", "dev-sessions"), script, { mode: 0o755 });
}

/** One step of a test that shares a session; the test around it checks for what was left open. */
export async function step(t: Deno.TestContext, name: string, fn: () => Promise<void>): Promise<void> {
  await t.step({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

/** Each of these texts reached the model exactly once. */
export function assertDeliveredOnce(model: ScriptedModel, texts: readonly string[]): void {
  const counts = texts.map((text) => [text, model.prompts().filter((prompt) => prompt === text).length]);
  deepStrictEqual(counts, texts.map((text) => [text, 1]));
}
