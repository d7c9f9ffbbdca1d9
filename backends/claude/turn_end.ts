/** What in Claude's records ends a turn, and how. Pure. */

import type { BackgroundTask, TurnEnd } from "../../lib/session.ts";
import type { HookEvent } from "./hook_log.ts";
import type { Mark } from "./transcript.ts";

/** Of sub-agents in a Stop event's list of background tasks: they prolong the turn. */
const SUBAGENT_TYPES: ReadonlySet<string> = new Set(["subagent", "agent", "local_agent", "remote_agent"]);

/** A user's own hook stopped the turn, or did not let it begin; neither Stop nor `turn_duration` follow. */
const STOPPED_BY_HOOK = /^(Operation stopped by hook|UserPromptSubmit operation blocked by hook)/;

export function isEndMark(mark: Mark): boolean {
  switch (mark.kind) {
    case "turn_end":
      return mark.pendingBackgroundAgents === 0;
    case "interrupted":
    case "api_error":
      return true;
    case "informational":
      return STOPPED_BY_HOOK.test(mark.text);
    case "prompt":
    case "task_notification":
    case "peer_message":
    case "enqueued":
    case "dequeued":
    case "removed":
    case "absorbed_prompt":
    case "assistant_text":
    case "tool_use":
    case "tool_result":
    case "compact":
      return false;
  }
}

export function endOfMark(mark: Mark): TurnEnd {
  const at = mark.at === null ? null : iso(mark.at);
  switch (mark.kind) {
    case "interrupted":
      return { kind: "interrupted", error: null, at };
    case "api_error":
    case "informational":
      return { kind: "failed", error: mark.text, at };
    default:
      return { kind: "completed", error: null, at };
  }
}

export function endOfEvent(event: HookEvent): TurnEnd {
  if (event.event === "StopFailure") {
    const error = event.body.last_assistant_message ?? event.body.error ?? "unknown error";
    return { kind: "failed", error, at: iso(event.at) };
  }
  return { kind: "completed", error: null, at: iso(event.at) };
}

export function isEndEvent(event: HookEvent): boolean {
  return event.event === "Stop" || event.event === "StopFailure";
}

export function hasSubagents(tasks: readonly BackgroundTask[]): boolean {
  return tasks.some((task) => SUBAGENT_TYPES.has(task.type));
}

export function iso(at: number): string {
  return new Date(at).toISOString();
}
