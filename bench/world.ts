/** A home with sessions as they look from outside: rows of the registry, live processes, hook events, transcripts. */

import { dirname, join } from "node:path";
import { pathsFrom } from "../lib/paths.ts";
import { realDeps } from "../lib/real_deps.ts";
import type { Session } from "../lib/session.ts";
import { openStore, type Store } from "../lib/store.ts";
import { textKey } from "../backends/claude/text_match.ts";
import { transcriptPath } from "../backends/claude/transcript_path.ts";
import { createSandbox, type Sandbox } from "../tests/support/harness.ts";

const MEGABYTE = 1024 * 1024;
const TOOL_RESULT_CHARS = 12_000;
const REPLY_CHARS = 800;

/** A session whose agent is a `sleep`: only its records are looked at. */
export interface LiveSession {
  readonly session: Session;
  readonly pid: number;
  readonly transcript: string;
  readonly events: string;
  readonly registryFile: string;
}

export class World implements AsyncDisposable {
  #events = 0;

  private constructor(readonly sandbox: Sandbox, readonly store: Store) {}

  static async create(): Promise<World> {
    const sandbox = await createSandbox({ agent: "stub" });
    const store = openStore(pathsFrom({ HOME: sandbox.home }), {
      now: Date.now,
      randomUuid: () => crypto.randomUUID(),
      warn: () => {},
    });
    return new World(sandbox, store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.close();
    await this.sandbox.close();
  }

  ended(): void {
    const session = this.#reserve("a session that has ended");
    this.store.recordHandle(session, {
      handle: this.#handle(session),
      process: null,
      agentSessionId: crypto.randomUUID(),
    });
    this.store.activate(session);
    this.store.markEnded(session, { at: new Date().toISOString(), reason: "killed" });
  }

  /** An idle session after a finished turn. */
  async live(transcriptMegabytes: number): Promise<LiveSession> {
    const reserved = this.#reserve("a session that lives");
    const { pid } = this.sandbox.spawn("sleep", ["3600"]);
    const process = await realDeps().identify(pid);
    if (process === null) throw new Error("sleep has ended at once");
    const agentSessionId = crypto.randomUUID();
    this.store.recordHandle(reserved, { handle: this.#handle(reserved), process, agentSessionId });
    const session = this.store.activate(reserved);
    const live = {
      session,
      pid,
      transcript: transcriptPath(this.sandbox.claudeConfig, this.sandbox.workspace, agentSessionId),
      events: join(pathsFrom({ HOME: this.sandbox.home }).sessionFolder(session.token), "events"),
      registryFile: join(this.sandbox.claudeConfig, "sessions", `${pid}.json`),
    };
    for (const path of [live.events, dirname(live.transcript), dirname(live.registryFile)]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await writeTranscript(live.transcript, transcriptMegabytes * MEGABYTE);
    const common = { session_id: agentSessionId, transcript_path: live.transcript };
    await this.event(live, "SessionStart", { ...common, source: "startup" });
    await this.event(live, "UserPromptSubmit", { ...common, prompt: "the last prompt" });
    await this.event(live, "Stop", { ...common, last_assistant_message: text(REPLY_CHARS) });
    await this.status(live, "idle");
    return live;
  }

  /** As the hook script writes it. */
  async event(live: LiveSession, name: string, body: Record<string, unknown>): Promise<void> {
    // Within a millisecond, too, later events have later names.
    const now = `${Date.now()}${String(++this.#events).padStart(6, "0")}`;
    const part = join(live.events, `.${now}-1.part`);
    await Deno.writeTextFile(part, JSON.stringify({ hook_event_name: name, ...body }));
    await Deno.rename(part, join(live.events, `${now}-1.${name}.json`));
  }

  /** Writes the entry of Claude's live registry. */
  async status(live: LiveSession, status: "idle" | "busy"): Promise<void> {
    const at = Date.now();
    const entry = {
      pid: live.pid,
      sessionId: live.session.agentSessionId,
      procStart: live.session.process?.start,
      version: "2.1.330",
      status,
      updatedAt: at,
      statusUpdatedAt: at,
    };
    await Deno.writeTextFile(live.registryFile, JSON.stringify(entry));
  }

  /** The records of a message that was sent and taken up; the turn goes on. */
  async startTurn(live: LiveSession, prompt: string): Promise<void> {
    const offset = (await Deno.stat(live.transcript)).size;
    const events = [...Deno.readDirSync(live.events)].map((entry) => entry.name).sort();
    const receipt = `r-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
    const at = Date.now();
    const anchor = {
      event: events.at(-1) ?? null,
      transcript: live.transcript,
      offset,
      at,
      text: textKey(prompt),
    };
    this.store.beginSend(live.session, { receipt, at: new Date(at).toISOString(), anchor });
    await this.event(live, "UserPromptSubmit", { session_id: live.session.agentSessionId, prompt });
    await this.status(live, "busy");
    await Deno.writeTextFile(live.transcript, userLine(prompt), { append: true });
    const result = { result: "submitted", reason: null, evidence: "transcript", pending: null } as const;
    this.store.finishSend({ receipt, ...result, anchor });
  }

  #reserve(description: string): Session {
    return this.store.reserve({
      agent: "claude",
      mode: "yolo",
      path: this.sandbox.workspace,
      description,
      model: null,
      parent: null,
      group: null,
      creator: null,
      launch: null,
    }, { id: null, exclude: new Set() });
  }

  #handle(session: Session): Record<string, unknown> {
    return {
      socket: join(this.sandbox.root, "t", "none"),
      tmuxSession: `dev-${session.id}`,
      pane: "%1",
      configFolder: this.sandbox.claudeConfig,
      realPath: this.sandbox.workspace,
    };
  }
}

function text(chars: number): string {
  return "All 214 tests pass now; the cause was a stale cache. ".repeat(Math.ceil(chars / 53)).slice(
    0,
    chars,
  );
}

function line(type: string, rest: Record<string, unknown>): string {
  return `${
    JSON.stringify({
      parentUuid: null,
      isSidechain: false,
      type,
      ...rest,
      timestamp: new Date().toISOString(),
    })
  }\n`;
}

export function userLine(prompt: string): string {
  return line("user", {
    message: { role: "user", content: prompt },
    origin: { kind: "human" },
    promptSource: "typed",
  });
}

/** Turns of a prompt, a tool call with its result, a reply and the end, until the file is so long. */
async function writeTranscript(path: string, bytes: number): Promise<void> {
  const assistant = (content: unknown) =>
    line("assistant", { message: { id: "m1", type: "message", role: "assistant", content } });
  const result = { type: "tool_result", tool_use_id: "t1", content: text(TOOL_RESULT_CHARS) };
  const turn = userLine("the last prompt") +
    assistant([{ type: "tool_use", id: "t1", name: "Bash", input: { command: "deno task test" } }]) +
    line("user", { message: { role: "user", content: [result] } }) +
    assistant([{ type: "text", text: text(REPLY_CHARS) }]) +
    line("system", { subtype: "turn_duration", durationMs: 1200 });
  const block = new TextEncoder().encode(turn.repeat(Math.max(1, Math.floor(MEGABYTE / turn.length))));
  const whole = new TextEncoder().encode(turn);
  using file = await Deno.open(path, { create: true, write: true });
  for (let written = 0; written < bytes;) {
    const next = bytes - written >= block.length ? block : whole;
    for (let at = 0; at < next.length;) at += await file.write(next.subarray(at));
    written += next.length;
  }
}
