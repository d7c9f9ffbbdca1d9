/**
 * Reads the marks out of one line of a transcript; a line that is no JSON, cut off, of an unknown type or of a
 * sub-agent has none, and no line makes it throw.
 */

interface At {
  /** Milliseconds since the epoch; null when the line has no time. */
  readonly at: number | null;
}

/** Where a prompt came from: `typed` while idle, `queued` while a turn ran, `other` when the record doesn't say. */
export type PromptSource = "typed" | "queued" | "other";

export type Mark =
  /** A person's (or `send`'s) message that starts a turn. Several in a row are one turn. */
  | (At & {
    readonly kind: "prompt";
    readonly text: string;
    readonly source: PromptSource;
    readonly promptId: string | null;
    readonly uuid: string | null;
  })
  /** A background task reported; starts a turn by itself. */
  | (At & { readonly kind: "task_notification"; readonly text: string })
  /** Another Claude session wrote; starts a turn by itself. */
  | (At & { readonly kind: "peer_message"; readonly text: string; readonly from: string | null })
  /** Entered the queue. A background task's report does so too; its text begins with `<task-notification>`. */
  | (At & { readonly kind: "enqueued"; readonly text: string })
  /** Left the queue to become a prompt; Claude names no text here. */
  | (At & { readonly kind: "dequeued"; readonly text: string | null })
  /** Left the queue in another way, e.g. `absorbed_mid_turn`. */
  | (At & { readonly kind: "removed"; readonly text: string | null; readonly reason: string | null })
  /** A queued message of a person that the running turn took up. Its time is that of the queueing. */
  | (At & { readonly kind: "absorbed_prompt"; readonly text: string })
  | (At & { readonly kind: "assistant_text"; readonly text: string; readonly messageId: string | null })
  | (At & { readonly kind: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown })
  | (At & {
    readonly kind: "tool_result";
    readonly id: string;
    readonly text: string;
    readonly isError: boolean;
  })
  /** A turn that ended in the normal way. Sub-agents that still run will start another. */
  | (At & { readonly kind: "turn_end"; readonly pendingBackgroundAgents: number })
  | (At & { readonly kind: "interrupted" })
  /** The API's error that ended the turn; `error` is Claude's class of it, e.g. `server_error`. */
  | (At & { readonly kind: "api_error"; readonly text: string; readonly error: string | null })
  | (At & { readonly kind: "compact" })
  /** A notice of Claude's own, e.g. `Unknown command: /x`, or its placeholder for a turn that a crash cut off. */
  | (At & { readonly kind: "informational"; readonly text: string });

type Json = { readonly [key: string]: unknown };

/** `JSON.stringify` writes keys in order, so a line's own type is known at once when it comes first. */
const LEADING_TYPE = /^\{\s*"type"\s*:\s*"([^"]*)"/;
const RELEVANT_TYPE = /"type"\s*:\s*"(?:user|assistant|system|queue-operation|attachment)"/;
const RELEVANT_TYPES: ReadonlySet<string> = new Set([
  "user",
  "assistant",
  "system",
  "queue-operation",
  "attachment",
]);

/** What Claude writes as user lines of its own for commands that are run in its input box. */
const COMMAND_RECORD =
  /^\s*<(?:command-(?:name|message|args)|local-command-(?:stdout|stderr|caveat)|bash-(?:input|stdout|stderr))>/;
const INTERRUPT_LINE = /^\[Request interrupted by user(?: for tool use)?\]$/;
const TASK_NOTIFICATION = "<task-notification>";
/** Stands where a crash cut a turn off; appended when the conversation is resumed. */
export const CRASH_PLACEHOLDER = "No response requested.";
const SILENT_SUBTYPES: ReadonlySet<string> = new Set(["stop_hook_summary", "local_command", "api_error"]);

/** The marks of one line, in order. Usually none or one; a reply that was not streamed has one for each block. */
export function parseLine(text: string): Mark[] {
  const leading = LEADING_TYPE.exec(text);
  if (leading ? !RELEVANT_TYPES.has(leading[1] ?? "") : !RELEVANT_TYPE.test(text)) return [];
  const line = parseObject(text);
  if (line === null || line["isSidechain"] === true || typeof line["agentId"] === "string") return [];
  const at = timeOf(line);
  switch (line["type"]) {
    case "user":
      return userMarks(line, at);
    case "assistant":
      return assistantMarks(line, at);
    case "system":
      return systemMarks(line, at);
    case "queue-operation":
      return queueMarks(line, at);
    case "attachment":
      return attachmentMarks(line, at);
  }
  return [];
}

/** Whether a mark starts a turn. */
export function startsTurn(mark: Mark): boolean {
  return mark.kind === "prompt" || mark.kind === "task_notification" || mark.kind === "peer_message";
}

/** The object that a text is in JSON; null when it is none or not yet whole. */
export function parseObject(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function userMarks(line: Json, at: number | null): Mark[] {
  const content = field(line["message"], "content");
  const blocks = Array.isArray(content) ? content.filter(isJson) : [];
  const results: Mark[] = blocks.flatMap((block) =>
    block["type"] === "tool_result"
      ? [{
        kind: "tool_result" as const,
        at,
        id: stringOf(block["tool_use_id"]) ?? "",
        text: textOf(block["content"]),
        isError: block["is_error"] === true,
      }]
      : []
  );
  const text = typeof content === "string" ? content : textOf(blocks);
  const origin = stringOf(field(line["origin"], "kind"));
  const source = promptSource(line["promptSource"]);
  // What a person wrote is a prompt even when it looks like one of Claude's own records.
  const provenHuman = origin === "human" && source !== "other";

  if (origin === "peer") {
    const from = stringOf(field(line["origin"], "name"));
    return [...results, {
      kind: "peer_message",
      at,
      text: stringOf(field(line["origin"], "body")) ?? text,
      from,
    }];
  }
  if (origin === "task-notification" || (!provenHuman && text.startsWith(TASK_NOTIFICATION))) {
    return [...results, { kind: "task_notification", at, text }];
  }
  if (!provenHuman && (typeof line["interruptedMessageId"] === "string" || INTERRUPT_LINE.test(text))) {
    return [...results, { kind: "interrupted", at }];
  }
  if (results.length > 0 || line["isMeta"] === true || line["isCompactSummary"] === true) return results;
  if (!provenHuman && (text === "" || COMMAND_RECORD.test(text))) return results;
  return [{
    kind: "prompt",
    at,
    text,
    source,
    promptId: stringOf(line["promptId"]),
    uuid: stringOf(line["uuid"]),
  }];
}

function assistantMarks(line: Json, at: number | null): Mark[] {
  const content = field(line["message"], "content");
  if (line["isApiErrorMessage"] === true) {
    return [{ kind: "api_error", at, text: textOf(content), error: stringOf(line["error"]) }];
  }
  const messageId = stringOf(field(line["message"], "id"));
  const synthetic = field(line["message"], "model") === "<synthetic>";
  const blocks: unknown[] = Array.isArray(content) ? content : [{ type: "text", text: content }];
  const marks: Mark[] = [];
  for (const block of blocks) {
    const type = field(block, "type");
    if (type === "text") {
      const text = stringOf(field(block, "text"));
      if (!text) continue;
      if (synthetic && text === CRASH_PLACEHOLDER) marks.push({ kind: "informational", at, text });
      else marks.push({ kind: "assistant_text", at, text, messageId });
    } else if (type === "tool_use") {
      const id = stringOf(field(block, "id")) ?? "";
      const name = stringOf(field(block, "name")) ?? "";
      marks.push({ kind: "tool_use", at, id, name, input: field(block, "input") ?? null });
    }
  }
  return marks;
}

function systemMarks(line: Json, at: number | null): Mark[] {
  const subtype = stringOf(line["subtype"]) ?? "";
  if (subtype === "turn_duration") {
    const pending = line["pendingBackgroundAgentCount"];
    return [{ kind: "turn_end", at, pendingBackgroundAgents: typeof pending === "number" ? pending : 0 }];
  }
  if (subtype === "compact_boundary") return [{ kind: "compact", at }];
  const text = stringOf(line["content"]);
  return text && !SILENT_SUBTYPES.has(subtype) ? [{ kind: "informational", at, text }] : [];
}

function queueMarks(line: Json, at: number | null): Mark[] {
  const text = stringOf(line["content"]);
  switch (line["operation"]) {
    case "enqueue":
      return [{ kind: "enqueued", at, text: text ?? "" }];
    case "dequeue":
      return [{ kind: "dequeued", at, text }];
    case "remove":
      return [{ kind: "removed", at, text, reason: stringOf(line["reason"]) }];
    case "popAll":
      return [{ kind: "removed", at, text, reason: "popAll" }];
  }
  return [];
}

function attachmentMarks(line: Json, at: number | null): Mark[] {
  const attachment = line["attachment"];
  if (field(attachment, "type") !== "queued_command") return [];
  const text = textOf(field(attachment, "prompt"));
  const origin = field(field(attachment, "origin"), "kind");
  const human = origin === "human" || (origin === undefined && !text.startsWith(TASK_NOTIFICATION));
  const mode = field(attachment, "commandMode");
  return human && (mode === undefined || mode === "prompt") ? [{ kind: "absorbed_prompt", at, text }] : [];
}

function promptSource(value: unknown): PromptSource {
  return value === "typed" || value === "queued" ? value : "other";
}

/** The text blocks of a content, one per line; a string is its own text. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts = content.map((block) =>
    field(block, "type") === "text" ? stringOf(field(block, "text")) : null
  );
  return texts.filter((text) => text !== null).join("\n");
}

function timeOf(line: Json): number | null {
  const time = typeof line["timestamp"] === "string" ? Date.parse(line["timestamp"]) : NaN;
  return Number.isNaN(time) ? null : time;
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}

function field(value: unknown, key: string): unknown {
  return isJson(value) ? value[key] : undefined;
}

function stringOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
