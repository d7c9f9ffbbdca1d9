/** Builds Claude's evidence for tables: short names for marks, hook events and registry entries. */

import type { ClaudeEvidence } from "../../backends/claude/evidence.ts";
import type { HookBody, HookEvent } from "../../backends/claude/hook_log.ts";
import type { RegistryEntry } from "../../backends/claude/live_registry.ts";
import type { Mark, PromptSource } from "../../backends/claude/transcript.ts";

/** Times in tables are milliseconds after this moment. */
export const T0 = Date.parse("2026-01-02T03:04:05.000Z");

export function time(ms: number): string {
  return new Date(T0 + ms).toISOString();
}

export function hook(event: string, ms: number, body: Partial<HookBody> = {}): HookEvent {
  const at = T0 + ms;
  return { name: `${at}000000-1.${event}.json`, at, event, body: { hook_event_name: event, ...body } };
}

export const submitted = (ms: number, prompt: string) => hook("UserPromptSubmit", ms, { prompt });
export const stopped = (ms: number, ...tasks: string[]) =>
  hook("Stop", ms, {
    background_tasks: tasks.map((type, index) => ({ id: `t${index}`, type, status: "running" })),
  });
export const failed = (ms: number, error = "API Error: 529") =>
  hook("StopFailure", ms, { error: "server_error", last_assistant_message: error });
export const asked = (ms: number, tool: string, input: unknown = {}) =>
  hook("PermissionRequest", ms, { tool_name: tool, tool_input: input });

/** As `asked`, by a sub-agent. */
export const askedBySubagent = (ms: number, tool: string, input: unknown = {}) =>
  hook("PermissionRequest", ms, {
    tool_name: tool,
    tool_input: input,
    agent_id: "a1",
    agent_type: "Explore",
  });

export function registry(
  status: RegistryEntry["status"],
  ms: number,
  waitingFor: string | null = null,
): RegistryEntry {
  const id = "00000000-0000-4000-8000-000000000000";
  return {
    pid: 1,
    sessionId: id,
    status,
    waitingFor,
    statusUpdatedAt: T0 + ms,
    version: null,
    procStart: "1",
  };
}

/** Marks by kind, each with its time. */
export const mark = {
  prompt: (ms: number, text: string, source: PromptSource = "typed"): Mark => ({
    kind: "prompt",
    at: T0 + ms,
    text,
    source,
    promptId: null,
    uuid: null,
  }),
  enqueued: (ms: number, text: string): Mark => ({ kind: "enqueued", at: T0 + ms, text }),
  dequeued: (ms: number): Mark => ({ kind: "dequeued", at: T0 + ms, text: null }),
  removed: (ms: number, text: string, reason: string): Mark => ({
    kind: "removed",
    at: T0 + ms,
    text,
    reason,
  }),
  absorbed: (ms: number, text: string): Mark => ({ kind: "absorbed_prompt", at: T0 + ms, text }),
  text: (ms: number, text = "reply"): Mark => ({ kind: "assistant_text", at: T0 + ms, text, messageId: "m" }),
  use: (ms: number, id: string, name = "Bash", input: unknown = {}): Mark => ({
    kind: "tool_use",
    at: T0 + ms,
    id,
    name,
    input,
  }),
  result: (ms: number, id: string): Mark => ({
    kind: "tool_result",
    at: T0 + ms,
    id,
    text: "",
    isError: false,
  }),
  end: (ms: number, pendingBackgroundAgents = 0): Mark => ({
    kind: "turn_end",
    at: T0 + ms,
    pendingBackgroundAgents,
  }),
  interrupted: (ms: number): Mark => ({ kind: "interrupted", at: T0 + ms }),
  error: (ms: number, text = "API Error: 529"): Mark => ({
    kind: "api_error",
    at: T0 + ms,
    text,
    error: "server_error",
  }),
  notification: (ms: number): Mark => ({
    kind: "task_notification",
    at: T0 + ms,
    text: "<task-notification>",
  }),
  notice: (ms: number, text: string): Mark => ({ kind: "informational", at: T0 + ms, text }),
};

/** Long after everything that a test puts on record. */
const LOOKED_AT_MS = 3_600_000;

/** Alive, with hooks and an idle registry, before the first prompt; a test names what is different. */
export function evidence(parts: Partial<ClaudeEvidence> = {}): ClaudeEvidence {
  const marks = parts.marks ?? [];
  const events = parts.events ?? [];
  return {
    at: T0 + LOOKED_AT_MS,
    process: "alive",
    behindWrapper: null,
    registry: null,
    events,
    held: [],
    hooks: events.length > 0,
    marks,
    transcript: marks.length > 0 ? "present" : "missing",
    ...parts,
  };
}
