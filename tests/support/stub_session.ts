/** A session made by the real CLI whose agent is the stub: what it got, what it shows, and how a person touches it. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunOutput, type RunSettings, type Sandbox } from "./harness.ts";
import { isRunning, signal } from "./processes.ts";
import type { KeyRecord } from "./stub_agent_keys.ts";

export interface StubSessionOptions {
  /** Switches for `STUB_AGENT`. */
  readonly stub?: readonly string[];
  /** Further arguments of `create`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A command's end with what its `--json` said: its result, else its error. */
export interface JsonOutput extends RunOutput {
  // deno-lint-ignore no-explicit-any
  readonly json: any;
  /** Message and details of the error; empty after a success. */
  readonly error: string;
}

interface Inspected {
  readonly handle: { readonly pane: string; readonly configFolder: string };
  readonly process: { readonly pid: number };
  readonly internalId: string;
}

/** Runs the CLI with `--json`. */
export async function runJson(
  sandbox: Sandbox,
  args: readonly string[],
  settings: RunSettings = {},
): Promise<JsonOutput> {
  return parseOutput(await sandbox.run([...args, "--json"], settings));
}

/** Parses the stdout of a command with `--json`, and the error on its stderr. */
export function parseOutput(output: RunOutput): JsonOutput {
  const { error } = parse(output.stderr) ?? {};
  const text = error === undefined ? "" : [error.message, error.detail ?? ""].join("\n").trim();
  return { ...output, json: parse(output.stdout), error: text };
}

// deno-lint-ignore no-explicit-any
function parse(text: string): any {
  const lines = text.trim();
  if (lines === "") return null;
  try {
    return JSON.parse(lines);
  } catch {
    try {
      return JSON.parse(lines.split("\n").at(-1) ?? "");
    } catch {
      return null;
    }
  }
}

export class StubSession {
  private constructor(readonly sandbox: Sandbox, readonly id: string, readonly inspected: Inspected) {}

  static async create(sandbox: Sandbox, options: StubSessionOptions = {}): Promise<StubSession> {
    const stub = [...options.stub ?? [], `keys=${join(sandbox.root, "keys")}`].join(",");
    const env = { STUB_AGENT: stub, ...options.env };
    const created = await sandbox.run(["create", "-q", ...options.args ?? []], { env });
    strictEqual(created.code, 0, created.stderr);
    const id = created.stdout.trim();
    const { json } = await runJson(sandbox, ["inspect", id]);
    return new StubSession(sandbox, id, json);
  }

  get pane(): string {
    return this.inspected.handle.pane;
  }
  get pid(): number {
    return this.inspected.process.pid;
  }

  /** Runs a verb on this session. */
  run(verb: string, ...args: string[]): Promise<RunOutput> {
    return this.sandbox.run([verb, this.id, ...args]);
  }
  json(verb: string, ...args: string[]): Promise<JsonOutput> {
    return runJson(this.sandbox, [verb, this.id, ...args]);
  }
  /** `send --json`. */
  send(text: string, settings: RunSettings = {}): Promise<JsonOutput> {
    return this.sandbox.run(["send", this.id, "--json", "--", text], settings).then(parseOutput);
  }
  /** Sends and expects the agent's record to have it; returns the receipt. */
  async sent(text: string): Promise<string> {
    const { code, json, stderr } = await this.send(text);
    strictEqual(code, 0, stderr);
    return json.receipt;
  }

  /** All that reached the agent's terminal, in order. */
  async keys(): Promise<KeyRecord[]> {
    const path = join(this.sandbox.root, "keys", `${this.pid}.jsonl`);
    const text = await Deno.readTextFile(path).catch(() => "");
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }
  /** What the model received, in order. */
  async prompts(): Promise<string[]> {
    return (await this.keys()).flatMap((record) => record.kind === "prompt" ? [record.text] : []);
  }
  /** How often each key was pressed. */
  async pressed(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const record of await this.keys()) {
      if (record.kind === "key") counts[record.key] = (counts[record.key] ?? 0) + 1;
    }
    return counts;
  }
  /** Everything that was pasted, as one text. */
  async pasted(): Promise<string> {
    return (await this.keys()).map((record) => record.kind === "paste" ? record.text : "").join("");
  }

  screen(): Promise<string> {
    return this.sandbox.screen(this.pane);
  }
  async shows(text: string | RegExp): Promise<void> {
    await this.sandbox.eventually(async () => {
      const screen = await this.screen();
      return typeof text === "string" ? screen.includes(text) : text.test(screen);
    }, { what: `the screen of ${this.id} shows ${text}` });
  }
  /** A person's keys, as `tmux send-keys` names them. */
  async type(...keys: string[]): Promise<void> {
    const typed = await this.sandbox.tmux("send-keys", "-t", this.pane, ...keys);
    strictEqual(typed.code, 0, typed.stderr);
  }

  /** Waits until `status` says so. */
  async becomes(state: string): Promise<void> {
    await this.sandbox.eventually(async () => (await this.run("status")).stdout.split("\n")[0] === state, {
      what: `${this.id} is ${state}`,
    });
  }

  /** Kills the agent as the out-of-memory killer does. */
  async killAgent(): Promise<void> {
    signal(this.pid, "SIGKILL");
    await this.sandbox.eventually(async () => !await isRunning(this.pid), { what: "the agent is dead" });
  }

  get transcript(): string {
    const { configFolder } = this.inspected.handle;
    const folder = this.sandbox.workspace.replace(/[^a-zA-Z0-9]/g, "-");
    return join(configFolder, "projects", folder, `${this.inspected.internalId}.jsonl`);
  }

  /** A file that the agent waits for; made by `open()`. */
  gate(name = "gate"): { readonly path: string; readonly open: () => Promise<void> } {
    const path = join(this.sandbox.root, `${this.id}.${name}`);
    return { path, open: () => Deno.writeTextFile(path, "") };
  }
}

/** One sandbox with one session. */
export async function withSession(
  options: StubSessionOptions,
  body: (session: StubSession, sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  await using sandbox = await createSandbox({ agent: "stub" });
  await body(await StubSession.create(sandbox, options), sandbox);
}

/** One sandbox with several sessions, made one after the other. */
export async function withSessions(
  count: number,
  body: (sessions: readonly StubSession[], sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  await using sandbox = await createSandbox({ agent: "stub" });
  const sessions: StubSession[] = [];
  for (let i = 0; i < count; i++) sessions.push(await StubSession.create(sandbox));
  await body(sessions, sandbox);
}
