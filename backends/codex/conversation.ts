/** The conversation as people read it, from turns with their items. Pure. */

import type { LogEntry } from "../../lib/session.ts";
import { isoOrNull, itemTime, startedAt } from "./course.ts";
import type { ThreadItem, Turn } from "./frames.ts";
import { withoutShell } from "./pending.ts";
import { textsOf } from "./turn.ts";

/** The newest texts of the agent, at most `count`, newest last. */
export function lastTexts(turns: readonly Turn[], count: number): string[] {
  return count < 1 ? [] : turns.flatMap((turn) => textsOf(turn)).slice(-count);
}

/** Entries of turns, oldest first. Empty for an item that says nothing to people. */
export function logEntries(turns: readonly Turn[]): LogEntry[] {
  return turns.flatMap((turn) => turn.items.flatMap((item) => entryOf(item, turn) ?? []));
}

/**
 * Makes entries of a conversation that grows: push all turns from the last one pushed on, and each entry comes once, in
 * the order of the records.
 */
export class GrowingLog {
  readonly #told = new Set<string>();
  #turn: string | null = null;
  #held: LogEntry[] = [];

  /** Where the next push must begin, that turn included; null: at the start. */
  get from(): string | null {
    return this.#turn;
  }

  /** @param turns oldest first, with all their items. */
  push(turns: readonly Turn[]): LogEntry[] {
    const entries: LogEntry[] = [];
    for (const [index, turn] of turns.entries()) {
      if (turn.id !== this.#turn) this.#told.clear();
      this.#turn = turn.id;
      const fresh = turn.items.filter(({ id }) => !this.#told.has(id));
      const isOver = index < turns.length - 1;
      // A tool that still runs holds back what stands behind it.
      const open = isOver ? -1 : fresh.findIndex((item) => !isComplete(item, turn));
      const final = open === -1 ? fresh : fresh.slice(0, open);
      for (const { id } of final) this.#told.add(id);
      entries.push(...logEntries([{ ...turn, items: final }]));
      this.#held = logEntries([{ ...turn, items: fresh.slice(final.length) }]);
    }
    return entries;
  }

  /** What is left when nothing more will come. */
  end(): LogEntry[] {
    return this.#held.splice(0);
  }
}

/** Whether an item will not change any more. */
export function isComplete(item: ThreadItem, turn: Turn): boolean {
  const fields: Readonly<Record<string, unknown>> = item.type === "other" ? item.content : item;
  return fields["completedAtMs"] !== null || turn.completedAt !== null;
}

function entryOf(item: ThreadItem, turn: Turn): LogEntry | null {
  const at = isoOrNull(itemTime(item) ?? startedAt(turn));
  switch (item.type) {
    case "userMessage":
      return { role: "human", text: textOfInput(item.content), at };
    case "agentMessage":
      return { role: "assistant", text: item.text, at };
    case "commandExecution": {
      const { command, aggregatedOutput, exitCode, status } = item;
      const output = aggregatedOutput ?? "";
      const result = exitCode === null || exitCode === 0
        ? output
        : `${output}\n(exit ${exitCode})`.trimStart();
      return tool("shell", { command: withoutShell(command) }, result || wordOf(status), at);
    }
    case "fileChange": {
      const changes = item.changes.map(({ path, kind, diff }) => ({ path, kind: kind.type, diff }));
      return tool("file change", { changes }, wordOf(item.status), at);
    }
    case "other":
      return otherEntry(item, at);
  }
}

/** Tools that are no command; null for what is no act of the agent (its thoughts, the start of a review). */
function otherEntry(
  item: Extract<ThreadItem, { readonly type: "other" }>,
  at: string | null,
): LogEntry | null {
  const { kind, content } = item;
  switch (kind) {
    case "mcpToolCall":
      return tool(
        `${content["server"]}.${content["tool"]}`,
        content["arguments"] ?? null,
        resultOf(content),
        at,
      );
    case "dynamicToolCall":
      return tool(String(content["tool"]), content["arguments"] ?? null, resultOf(content), at);
    case "webSearch":
      return tool("web search", { query: content["query"] ?? null }, null, at);
    case "plan":
      return typeof content["text"] === "string" ? { role: "assistant", text: content["text"], at } : null;
    default:
      return null;
  }
}

function resultOf(content: Readonly<Record<string, unknown>>): string | null {
  const result = content["error"] ?? content["result"] ?? content["contentItems"] ?? null;
  return result === null ? wordOf(String(content["status"] ?? "")) || null : JSON.stringify(result);
}

function tool(name: string, input: unknown, result: string | null, at: string | null): LogEntry {
  return { role: "tool", text: result ?? "", at, tool: { name, input, result } };
}

/** `inProgress` as `in progress`. */
function wordOf(status: string): string {
  return status.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** What a person wrote, without pictures. */
export function textOfInput(
  input: readonly { readonly type: string; readonly text?: string | undefined }[],
): string {
  return input.map(({ type, text }) => text ?? `[${type}]`).join("\n");
}
