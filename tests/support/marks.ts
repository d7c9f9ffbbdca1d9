/** The marks of a transcript, as tests write them down. */

import type { Mark } from "../../backends/claude/transcript.ts";

/** A mark in one word. */
export function brief(mark: Mark): string {
  switch (mark.kind) {
    case "prompt":
      return `prompt:${mark.source}:${mark.text}`;
    case "task_notification":
    case "turn_end":
    case "interrupted":
    case "compact":
      return mark.kind === "turn_end" ? `turn_end:${mark.pendingBackgroundAgents}` : mark.kind;
    case "peer_message":
      return `peer_message:${mark.from}:${mark.text}`;
    case "enqueued":
    case "absorbed_prompt":
    case "assistant_text":
    case "informational":
      return `${mark.kind}:${mark.text.split("\n")[0]}`;
    case "dequeued":
      return `dequeued:${mark.text}`;
    case "removed":
      return `removed:${mark.text}:${mark.reason}`;
    case "tool_use":
      return `tool_use:${mark.id}:${mark.name}`;
    case "tool_result":
      return `tool_result:${mark.id}:${mark.isError ? "error:" : ""}${mark.text}`;
    case "api_error":
      return `api_error:${mark.error}:${mark.text}`;
  }
}
