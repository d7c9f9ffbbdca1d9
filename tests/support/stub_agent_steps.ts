/** The steps a stub turn is made of - text, tools, dialogs, errors - and the lines, hooks and states each leaves. */

import type { Choice, MenuSpec } from "./stub_agent_dialog.ts";
import {
  type HookResult,
  type Hooks,
  type Registry,
  STUB_MODEL,
  type Transcript,
} from "./stub_agent_records.ts";

export interface TurnHost {
  readonly registry: Registry;
  readonly transcript: Transcript;
  readonly hooks: Hooks;
  readonly refusesPrompts: boolean;
  readonly permissionMode: () => string;
  say(text: string): void;
  redraw(): void;
  /** Shows the menu; null = Escape. Closed without an answer when the signal aborts. */
  choose(spec: MenuSpec, signal: AbortSignal): Promise<Choice | "aborted">;
  crash(code: number): never;
  /** Puts a message that nothing had answered back into the empty input box; false: it stays in the conversation. */
  giveBack(text: string): boolean;
}

export interface Prompt {
  readonly text: string;
  readonly source: "typed" | "queued" | "system";
  readonly id: string;
}
export interface BackgroundTask {
  readonly id: string;
  readonly type: "shell" | "subagent";
  readonly description: string;
  readonly command?: string;
}
export interface ToolOutcome {
  readonly content: string;
  readonly result: unknown;
  readonly error?: boolean;
  readonly extra?: Record<string, unknown>;
}
export interface Decision {
  readonly behavior: "allow" | "deny";
  readonly message?: string;
  readonly interrupt?: boolean;
  readonly updatedInput?: { readonly answers?: Record<string, string> };
}

/** What a script needs of the turn it runs in. */
export interface TurnAccess {
  readonly promptId: string;
  readonly promptText: string;
  readonly queued: number;
  /** Writes what an interrupted tool leaves: once the queue's next turn has begun, at once when there is none. */
  leave(write: () => void): void;
  /** Aborts when the process ends. */
  readonly ending: AbortSignal;
  /** Removes and returns the messages that people queued. */
  takeQueued(): Prompt[];
  /** Announces the end of `work` as a turn of its own. */
  background(task: BackgroundTask, toolUseId: string, work: Promise<unknown>, summary: string): void;
}

type First =
  | { readonly by: "person"; readonly choice: Choice | "aborted" }
  | { readonly by: "hook"; readonly decision: Decision };

/** A person stopped the turn; its lines have been written. */
export class Interrupted extends Error {}
/** The API failed; lines and hook are done. */
export class TurnFailed extends Error {}

export const CHUNKS = 20;
const REJECTED =
  "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a " +
  "file edit, the new_string was NOT written to the file). STOP what you are doing and wait for the user to tell " +
  "you how to proceed.";
const ERROR_NAMES: Readonly<Record<string, string>> = {
  "401": "authentication_failed",
  "429": "rate_limit",
  "500": "server_error",
  "529": "server_error",
};

export const shortId = (prefix: string) => prefix + crypto.randomUUID().replaceAll("-", "").slice(0, 16);

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Interrupted());
    const abort = () => {
      clearTimeout(timer);
      reject(new Interrupted());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
  });
}

function decisionOf(results: readonly HookResult[]): Decision | null {
  for (const { stdout } of results) {
    try {
      const decision = JSON.parse(stdout).hookSpecificOutput?.decision;
      if (decision?.behavior === "allow" || decision?.behavior === "deny") return decision;
    } catch {
      // No JSON: no decision.
    }
  }
  return null;
}

export class Steps {
  constructor(readonly host: TurnHost, readonly turns: TurnAccess) {}

  #assistant(message: Record<string, unknown>, extra: Record<string, unknown> = {}): string {
    const id = shortId("msg_");
    this.host.transcript.add({
      type: "assistant",
      message: { id, type: "message", role: "assistant", model: STUB_MODEL, stop_sequence: null, ...message },
      ...extra,
    });
    return id;
  }

  reply(text: string, stop = "end_turn"): string {
    this.#assistant({ content: [{ type: "text", text }], stop_reason: stop });
    this.host.say(`● ${text}`);
    this.host.redraw();
    return text;
  }

  #interruptLine(text: string, extra: Record<string, unknown> = {}): void {
    const content = [{ type: "text", text }];
    this.host.transcript.add({
      type: "user",
      promptId: this.turns.promptId,
      message: { role: "user", content },
      ...extra,
    });
  }

  protected async stream(text: string, seconds: number, signal: AbortSignal): Promise<string> {
    let shown = "";
    try {
      for (let i = 0; i < CHUNKS; i++) {
        await pause(seconds * 1000 / CHUNKS, signal);
        shown = text.slice(0, Math.ceil(text.length * (i + 1) / CHUNKS));
      }
    } catch (error) {
      const content = [{ type: "text", text: shown }];
      const id = shown === ""
        ? null
        : this.#assistant({ content, stop_reason: null }, { isAbortedMidStream: true });
      this.#interruptLine("[Request interrupted by user]", id === null ? {} : { interruptedMessageId: id });
      throw error;
    }
    return this.reply(text);
  }

  /** Waits as for the API's first byte: an interrupt leaves the interrupt line only. */
  protected async silence(wait: Promise<void>): Promise<void> {
    try {
      await wait;
    } catch (error) {
      const { queued, promptText } = this.turns;
      if (queued > 0 || !this.host.giveBack(promptText)) this.#interruptLine("[Request interrupted by user]");
      throw error;
    }
  }

  protected async tool(
    name: string,
    input: Record<string, unknown>,
    signal: AbortSignal,
    work: (toolUseId: string) => Promise<ToolOutcome>,
  ): Promise<ToolOutcome> {
    const { hooks, transcript } = this.host;
    const id = shortId("toolu_");
    this.host.say(`● ${name}(${JSON.stringify(input).slice(0, 100)})`);
    this.host.redraw();
    this.#assistant({ content: [{ type: "tool_use", id, name, input }], stop_reason: "tool_use" });
    const common = { prompt_id: this.turns.promptId, permission_mode: this.host.permissionMode() };
    const payload = { ...common, tool_name: name, tool_input: input, tool_use_id: id };
    await hooks.run("PreToolUse", payload, name);
    let outcome: ToolOutcome;
    try {
      if (signal.aborted) throw new Interrupted();
      outcome = await work(id);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      this.turns.leave(() => {
        this.#toolResult(id, { content: REJECTED, result: "User rejected tool use", error: true }, {
          toolDenialKind: "user-rejected",
        });
        this.#interruptLine("[Request interrupted by user for tool use]");
      });
      throw error;
    }
    await hooks.run("PostToolUse", { ...payload, tool_response: outcome.result }, name);
    this.#toolResult(id, outcome, outcome.extra ?? {});
    const absorbed = this.turns.takeQueued();
    for (const prompt of absorbed) {
      transcript.queue("remove", {
        content: prompt.text,
        reason: "absorbed_mid_turn",
        commandUuid: prompt.id,
      });
    }
    for (const prompt of absorbed) {
      const attachment = {
        type: "queued_command",
        prompt: prompt.text,
        source_uuid: prompt.id,
        commandMode: "prompt",
        origin: { kind: "human" },
        humanTurn: true,
      };
      transcript.add({ type: "attachment", attachment });
      this.host.say(`❯ ${prompt.text}`);
    }
    return outcome;
  }

  #toolResult(id: string, outcome: ToolOutcome, extra: Record<string, unknown>): void {
    const content = [{
      tool_use_id: id,
      type: "tool_result",
      content: outcome.content,
      is_error: outcome.error ?? false,
    }];
    this.host.transcript.add({
      type: "user",
      promptId: this.turns.promptId,
      message: { role: "user", content },
      toolUseResult: outcome.result,
      ...extra,
    });
  }

  /** Dialog and PermissionRequest hook side by side; the first answer wins. */
  protected async permission(
    toolUseId: string,
    name: string,
    input: Record<string, unknown>,
    waitingFor: string,
    spec: MenuSpec,
    signal: AbortSignal,
  ): Promise<Decision & { readonly choice: Choice }> {
    const { registry, hooks, transcript } = this.host;
    registry.set("waiting", waitingFor);
    const settled = new AbortController();
    const payload = {
      prompt_id: this.turns.promptId,
      permission_mode: this.host.permissionMode(),
      effort: { level: "medium" },
      tool_name: name,
      tool_input: input,
      permission_suggestions: [{ type: "setMode", mode: "acceptEdits", destination: "session" }],
    };
    const hooked = hooks.run("PermissionRequest", payload, name).then((results) => decisionOf(results));
    const chosen = this.host.choose(spec, AbortSignal.any([signal, settled.signal]));
    const byPerson = chosen.then((choice): First => ({ by: "person", choice }));
    const byHook = hooked.then((decision): First | Promise<First> =>
      decision === null ? byPerson : { by: "hook", decision }
    );
    const first = await Promise.race([byPerson, byHook]);
    settled.abort();
    registry.set("busy");
    if (first.by === "hook") {
      const attachment = {
        type: "hook_permission_decision",
        decision: first.decision.behavior,
        toolUseID: toolUseId,
        hookEvent: "PermissionRequest",
      };
      transcript.add({ type: "attachment", attachment });
      if (first.decision.interrupt) throw new Interrupted();
      return { ...first.decision, choice: null };
    }
    if (first.choice === null || first.choice === "aborted") throw new Interrupted();
    if (name !== "AskUserQuestion" && spec.options[first.choice.index] === "No") throw new Interrupted();
    return { behavior: "allow", choice: first.choice };
  }

  protected async shell(command: string, signal: AbortSignal): Promise<ToolOutcome> {
    const child = new Deno.Command("sh", {
      args: ["-c", command],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    })
      .spawn();
    const stop = () => {
      try {
        Deno.kill(-child.pid, "SIGTERM");
      } catch {
        // It has ended.
      }
    };
    signal.addEventListener("abort", stop, { once: true });
    const output = await child.output();
    signal.removeEventListener("abort", stop);
    if (signal.aborted) throw new Interrupted();
    const stdout = new TextDecoder().decode(output.stdout).trimEnd();
    const stderr = new TextDecoder().decode(output.stderr).trimEnd();
    const content = [stdout, stderr].filter((text) => text !== "").join("\n");
    const result = { stdout, stderr, interrupted: false, isImage: false, noOutputExpected: false };
    return { content, result, error: output.code !== 0 };
  }

  protected async fail(status: string, seconds: number, signal: AbortSignal): Promise<never> {
    await this.silence(pause(seconds * 1000, signal));
    const error = ERROR_NAMES[status] ?? "unknown";
    const text = `${status === "401" ? "Please run /login · " : ""}API Error: ${status} scripted error`;
    const content = [{ type: "text", text }];
    this.#assistant({ model: "<synthetic>", content, stop_reason: "stop_sequence", stop_sequence: "" }, {
      error,
      isApiErrorMessage: true,
      apiErrorStatus: Number(status),
      failedResponseHadNoToolCall: true,
    });
    this.host.say(`● ${text}`);
    const payload = {
      prompt_id: this.turns.promptId,
      effort: { level: "medium" },
      error,
      last_assistant_message: text,
    };
    await this.host.hooks.run("StopFailure", payload);
    throw new TurnFailed();
  }
}
