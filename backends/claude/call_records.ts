/**
 * Follows one tool call in the transcript of whoever made it, the main agent or a sub-agent: whether it is open, and
 * what decided on its permission.
 */

import { parseObject } from "./transcript.ts";
import { readLines } from "./transcript_file.ts";
import { sizeOf } from "../../lib/files.ts";

/** Of the transcript's end, in which the call stands: it was made just before its permission was asked. */
const TAIL_BYTES = 2 * 1024 * 1024;

/**
 * `hook`: a hook's decision was taken; `rejected`: as by a person's Escape, which is also how a hook's denial stands
 * there that ends the turn; `other`: a person, or anything else.
 */
export interface CallDecision {
  readonly by: "hook" | "rejected" | "other";
  /** For people: which record says so. */
  readonly evidence: string;
}

export interface Call {
  readonly tool: string;
  readonly input: unknown;
}

type Json = Readonly<Record<string, unknown>>;

/** The state of a call as its records, line by line, tell it. Pure but for its own memory. */
export class CallState {
  readonly #input: string;
  /** Calls of this tool with this input that have no result, by id. */
  readonly #open = new Set<string>();
  #seen = false;
  #overAt = -Infinity;

  constructor(private readonly call: Call) {
    this.#input = JSON.stringify(call.input);
  }

  /** Whether a call like it has got its result after this time, and none like it is open: nothing is left to decide. */
  isOverSince(at: number): boolean {
    return this.#open.size === 0 && this.#overAt >= at;
  }

  /** What this line decides about a call like it that is open. */
  take(line: Json): CallDecision | null {
    switch (line["type"]) {
      case "assistant":
        for (const block of blocksOf(line)) {
          if (block["type"] !== "tool_use" || block["name"] !== this.call.tool) continue;
          // The plan itself stands in the call, but not in what the hook is given.
          const alike = this.call.tool === "ExitPlanMode" || JSON.stringify(block["input"]) === this.#input;
          if (!alike) continue;
          this.#open.add(String(block["id"]));
          this.#seen = true;
        }
        return null;
      case "attachment": {
        const attachment = objectOf(line["attachment"]);
        if (attachment["type"] !== "hook_permission_decision") return null;
        // Claude may have written the input in another way than it gave it to the hook: then any call counts.
        return !this.#seen || this.#open.has(String(attachment["toolUseID"]))
          ? { by: "hook", evidence: "the transcript's hook_permission_decision" }
          : null;
      }
      case "user":
        return this.#results(line);
    }
    return null;
  }

  #results(line: Json): CallDecision | null {
    let decision: CallDecision | null = null;
    for (const block of blocksOf(line)) {
      if (block["type"] !== "tool_result" || !this.#open.delete(String(block["tool_use_id"]))) continue;
      this.#overAt = Date.parse(String(line["timestamp"])) || -Infinity;
      const source = objectOf(line["permissionDecision"])["source"];
      const by = source === "hook"
        ? "hook"
        : line["toolDenialKind"] === "user-rejected"
        ? "rejected"
        : "other";
      decision = { by, evidence: "the tool's result in the transcript" };
    }
    return decision;
  }
}

/** A call in its file: what stands there when it is made is read at once, `news()` reads on. */
export class CallRecords {
  readonly #state: CallState;
  #offset: number;

  constructor(readonly path: string, call: Call) {
    this.#state = new CallState(call);
    this.#offset = Math.max(0, (sizeOf(path) ?? 0) - TAIL_BYTES);
    this.news();
  }

  isOverSince(at: number): boolean {
    return this.#state.isOverSince(at);
  }

  /** The first decision in what was written since the last look. */
  news(): CallDecision | null {
    let decision: CallDecision | null = null;
    const read = readLines(this.path, this.#offset, ({ text }) => {
      const line = parseObject(text);
      const taken = line === null ? null : this.#state.take(line);
      decision ??= taken;
      return "continue";
    });
    if (read.result === "read") this.#offset = read.offset;
    return decision;
  }
}

function blocksOf(line: Json): Json[] {
  const content = objectOf(line["message"])["content"];
  return Array.isArray(content) ? content.map(objectOf) : [];
}

function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null ? value as Json : {};
}
