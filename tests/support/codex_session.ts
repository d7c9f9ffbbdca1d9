/** A Codex session made by the real CLI, whose server is the real one or the stub. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { CodexSandbox } from "./codex_sandbox.ts";
import type { RunningCommand, RunOutput, RunSettings } from "./harness.ts";
import { isRunning, signal } from "./processes.ts";
import { eventually } from "./harness.ts";
import { type JsonOutput, parseOutput } from "./stub_session.ts";

interface StubItem {
  readonly type: string;
  readonly clientId?: string | null;
  readonly content?: readonly { readonly text?: string }[];
}
/** What the stub keeps of a thread. */
export interface StubThread {
  readonly id: string;
  readonly name: string | null;
  readonly archived: boolean;
  readonly approvalPolicy: unknown;
  readonly sandbox: { readonly type: string };
  readonly config: Readonly<Record<string, unknown>> | null;
  readonly turns: readonly { readonly status: string; readonly items: readonly StubItem[] }[];
  readonly queue: readonly unknown[];
  readonly goal: { readonly objective: string; readonly status: string } | null;
}

export class CodexSession {
  private constructor(readonly codex: CodexSandbox, readonly id: string, readonly threadId: string) {}

  static async create(
    codex: CodexSandbox,
    args: readonly string[] = [],
    settings: RunSettings = {},
  ): Promise<CodexSession> {
    const created = parseOutput(
      await codex.sandbox.run(["create", "--cli", "codex", "--json", ...args], settings),
    );
    strictEqual(created.code, 0, created.stderr);
    return new CodexSession(codex, created.json.id, created.json.internalId);
  }

  /** `dev-sessions <verb> <id> ...`. */
  run(verb: string, ...args: string[]): Promise<RunOutput> {
    return this.codex.sandbox.run([verb, this.id, ...args]);
  }

  async json(verb: string, ...args: string[]): Promise<JsonOutput> {
    return parseOutput(await this.run(verb, ...args, "--json"));
  }

  start(verb: string, ...args: string[]): RunningCommand {
    return this.codex.sandbox.start([verb, this.id, ...args]);
  }

  /** @throws unless it is delivered. */
  async send(text: string, ...args: string[]): Promise<JsonOutput> {
    const sent = await this.json("send", text, ...args);
    strictEqual(sent.code, 0, sent.stderr);
    return sent;
  }

  /** What the command printed on stdout, without the line break. */
  async said(verb: string, ...args: string[]): Promise<string> {
    return (await this.run(verb, ...args)).stdout.trimEnd();
  }

  /** Resolves when `status` says so. */
  async becomes(state: string): Promise<void> {
    await eventually(async () => (await this.json("status")).json?.state === state, {
      what: `${this.id} to become ${state}`,
    });
  }

  /** Its thread as the stub keeps it. */
  async thread(): Promise<StubThread> {
    const found = (await stubThreads(this.codex)).find(({ id }) => id === this.threadId);
    if (found === undefined) throw new Error(`The stub has no thread ${this.threadId}`);
    return found;
  }

  /** Every message that the stub has in a turn, in order. */
  async prompts(): Promise<string[]> {
    const { turns } = await this.thread();
    return turns.flatMap(({ items }) =>
      items.filter(({ type }) => type === "userMessage").map(({ content = [] }) =>
        content.map(({ text = "" }) => text).join("\n")
      )
    );
  }

  open(gate: string): Promise<void> {
    return this.codex.control("stub/open", { gate });
  }
}

export async function stubThreads(codex: CodexSandbox): Promise<StubThread[]> {
  try {
    return JSON.parse(await Deno.readTextFile(join(codex.codexHome, "stub-threads.json")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Ends the server as a crash does. */
export async function crash(codex: CodexSandbox): Promise<void> {
  const pids = await codex.servers();
  for (const pid of pids) signal(pid, "SIGKILL");
  for (const pid of pids) await eventually(async () => !await isRunning(pid), { what: "the server's end" });
}
