/** The life of the stub agent's turns: start, queue, Stop hooks, background work, and what each leaves on disk. */

import { Script } from "./stub_agent_script.ts";
import {
  type BackgroundTask,
  Interrupted,
  type Prompt,
  type TurnAccess,
  TurnFailed,
  type TurnHost,
} from "./stub_agent_steps.ts";
import type { HookResult } from "./stub_agent_records.ts";

function isBlocked(results: readonly HookResult[]): boolean {
  return results.some(({ code, stdout }) => code === 2 || /"decision"\s*:\s*"block"/.test(stdout));
}

export class TurnEngine implements TurnAccess {
  readonly #script: Script;
  readonly #queue: Prompt[] = [];
  readonly #tasks = new Map<string, BackgroundTask>();
  readonly #ending = new AbortController();
  #turn: AbortController | null = null;
  #index = 0;
  #current = "";
  #text = "";
  #left: (() => void)[] = [];
  #lastText = "";
  #began = 0;

  constructor(readonly host: TurnHost) {
    this.#script = new Script(host, this);
  }

  get busy(): boolean {
    return this.#turn !== null;
  }
  get queued(): number {
    return this.#queue.length;
  }
  get promptId(): string {
    return this.#current;
  }
  get promptText(): string {
    return this.#text;
  }

  leave(write: () => void): void {
    if (this.#queue.length > 0) this.#left.push(write);
    else write();
  }
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  takeQueued(): Prompt[] {
    const taken = this.#queue.filter((prompt) => prompt.source === "queued");
    for (const prompt of taken) this.#queue.splice(this.#queue.indexOf(prompt), 1);
    return taken;
  }

  async submit(text: string): Promise<void> {
    const prompt: Prompt = { text, source: this.busy ? "queued" : "typed", id: crypto.randomUUID() };
    if (!this.busy) return await this.#run([prompt]);
    this.host.transcript.queue("enqueue", { content: text });
    this.#queue.push(prompt);
    this.host.redraw();
    await this.#submitHook(prompt);
  }

  interrupt(): void {
    this.#turn?.abort();
  }

  /** Ends background work; for the end of the process. */
  stop(): void {
    this.#ending.abort();
  }

  #submitHook(prompt: Prompt): Promise<HookResult[]> {
    const payload = {
      prompt_id: prompt.id,
      permission_mode: this.host.permissionMode(),
      prompt: prompt.text,
    };
    return this.host.hooks.run("UserPromptSubmit", payload);
  }

  async #run(prompts: readonly Prompt[]): Promise<void> {
    const { host } = this;
    const { registry, transcript } = host;
    const turn = new AbortController();
    const last = prompts.at(-1);
    if (last === undefined) return;
    this.#turn = turn;
    this.#began = Date.now();
    this.#current = last.id;
    this.#text = last.text;
    registry.set("busy");
    host.redraw();
    if (last.source !== "queued") {
      const refused = isBlocked(await this.#submitHook(last)) ||
        (host.refusesPrompts && last.source === "typed");
      if (refused) {
        const content =
          `UserPromptSubmit operation blocked by hook:\nnot now\n\nOriginal prompt: ${last.text}`;
        host.say(`\n  ⎿  ${content.split("\n")[0]}`);
        transcript.add({
          type: "system",
          subtype: "informational",
          content,
          isMeta: false,
          level: "warning",
        });
        return await this.#finish();
      }
    }
    if (this.#index === 0) transcript.markers();
    for (const prompt of prompts) this.#userLine(prompt);
    for (const write of this.#left.splice(0)) write();
    host.redraw();
    try {
      if (turn.signal.aborted) throw new Interrupted();
      this.#lastText = await this.#script.run(last.text, turn.signal);
      await this.#complete(last.text);
    } catch (error) {
      if (error instanceof Interrupted) {
        host.say("  ⎿  Interrupted · What should Claude do instead?");
        registry.set("idle");
        for (const prompt of this.#queue) if (prompt.source === "queued") transcript.queue("dequeue");
      } else if (!(error instanceof TurnFailed)) throw error;
    }
    await this.#finish();
  }

  #userLine(prompt: Prompt): void {
    const human = prompt.source !== "system";
    if (human) this.#index++;
    this.host.say(`\n❯ ${prompt.text}\n`);
    this.host.transcript.add({
      type: "user",
      promptId: prompt.id,
      message: { role: "user", content: prompt.text },
      permissionMode: this.host.permissionMode(),
      origin: human ? { kind: "human" } : { kind: "task-notification", producer: "session-task" },
      promptSource: prompt.source,
      turnOrigin: human ? "human" : "task_notification",
      turnPosition: { promptIndex: this.#index, turnIndex: this.#index },
    });
  }

  /** Stop hooks, which may ask for more, and the lines that end a normal turn. */
  async #complete(prompt: string): Promise<void> {
    const { hooks, transcript } = this.host;
    let active = false;
    let results: HookResult[];
    for (;;) {
      results = await hooks.run("Stop", {
        prompt_id: this.#current,
        permission_mode: this.host.permissionMode(),
        effort: { level: "medium" },
        stop_hook_active: active,
        last_assistant_message: this.#lastText,
        background_tasks: [...this.#tasks.values()].map((task) => ({ ...task, status: "running" })),
        session_crons: [],
      });
      if (active || !isBlocked(results)) break;
      active = true;
      const content = `Stop hook feedback:\n${results.map((result) => result.stderr).join("")}`;
      transcript.add({ type: "user", isMeta: true, message: { role: "user", content } });
      this.#lastText = this.#script.reply("REPLY: continued for the Stop hook");
    }
    for (const prompt of this.#queue) if (prompt.source === "queued") transcript.queue("dequeue");
    if (results.length > 0) {
      transcript.add({
        type: "system",
        subtype: "stop_hook_summary",
        hookCount: results.length,
        hookInfos: results.map(({ command, ms }) => ({ command, durationMs: ms })),
        hookErrors: [],
        preventedContinuation: false,
        stopReason: "",
        hasOutput: false,
        level: "suggestion",
        toolUseID: crypto.randomUUID(),
      });
    }
    const agents = [...this.#tasks.values()].filter((task) => task.type === "subagent").length;
    transcript.add({
      type: "system",
      subtype: "turn_duration",
      durationMs: Date.now() - this.#began,
      messageCount: this.#index * 4,
      ...(agents > 0 ? { pendingBackgroundAgentCount: agents } : {}),
      isMeta: false,
    });
    transcript.lastPrompt(prompt);
  }

  async #finish(): Promise<void> {
    const humans = this.takeQueued();
    const next = humans.length > 0 ? humans : this.#queue.splice(0, 1);
    if (next.length > 0) return await this.#run(next);
    this.#turn = null;
    const types = [...this.#tasks.values()].map((task) => task.type);
    this.host.registry.set(types.includes("subagent") ? "busy" : types.includes("shell") ? "shell" : "idle");
    this.host.redraw();
  }

  /** Starts background work; its end becomes a turn of its own. */
  background(task: BackgroundTask, toolUseId: string, work: Promise<unknown>, summary: string): void {
    this.#tasks.set(task.id, task);
    const done = async () => {
      await work;
      const agent = { prompt_id: this.#current, agent_id: task.id, agent_type: "general-purpose" };
      if (task.type === "subagent") {
        await this.host.hooks.run("SubagentStop", { ...agent, last_assistant_message: "sub task done" });
      }
      this.#tasks.delete(task.id);
      const text =
        `<task-notification>\n<task-id>${task.id}</task-id>\n<tool-use-id>${toolUseId}</tool-use-id>\n` +
        `<status>completed</status>\n<summary>${summary}</summary>\n</task-notification>`;
      this.host.transcript.queue("enqueue", { content: text });
      const prompt: Prompt = { text, source: "system", id: crypto.randomUUID() };
      if (this.busy) {
        this.#queue.push(prompt);
        return;
      }
      this.host.transcript.queue("dequeue");
      await this.#run([prompt]);
    };
    done().catch((error) => {
      if (!(error instanceof Interrupted)) throw error;
    });
  }
}
