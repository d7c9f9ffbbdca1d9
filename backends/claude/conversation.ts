/** Answers from a transcript: the last replies, the marks of the last turn, and the conversation from its start. */

import type { LogEntry } from "../../lib/session.ts";
import { type Mark, startsTurn } from "./transcript.ts";
import { entries, readBackwards } from "./transcript_file.ts";

/** Bounds the cost of a very long turn: reading this much takes about 50 ms. */
const TAIL_BYTES = 16 * 1024 * 1024;
/** The queue is emptied after every turn, so what still waits in it was queued shortly before. */
const QUEUE_LOOKBACK_BYTES = 1024 * 1024;

export interface LastTexts {
  /** Oldest first. */
  readonly texts: readonly string[];
  /** Milliseconds since the epoch of the newest text. */
  readonly lastAt: number | null;
  /** When the turn of the newest text ended (also by interruption or error); null while it may go on. */
  readonly turnEndedAt: number | null;
}

/**
 * The newest text blocks of the main conversation, at most `count`; API errors and sub-agents have none.
 * @param options.maxBytes how far from the end to look; the default is the whole file.
 */
export function lastAssistantTexts(
  path: string,
  count: number,
  options: { readonly maxBytes?: number } = {},
): LastTexts {
  const texts: string[] = [];
  let lastAt: number | null = null;
  let endedAt: number | null = null;
  if (count < 1) return { texts, lastAt, turnEndedAt: null };
  readBackwards(path, (mark) => {
    if (texts.length === 0) {
      // A turn is over, at the latest, when the next one starts.
      if (startsTurn(mark) || endsTurn(mark)) endedAt = mark.at;
    }
    if (mark.kind !== "assistant_text") return "continue";
    if (texts.length === 0) lastAt = mark.at;
    return texts.push(mark.text) < count ? "continue" : "stop";
  }, options);
  return { texts: texts.reverse(), lastAt, turnEndedAt: texts.length === 0 ? null : endedAt };
}

export interface Tail {
  /** Oldest first. Before the turn's start stand only the messages that were queued then and still are. */
  readonly marks: readonly Mark[];
  /** False when `maxBytes` was reached before the start of the turn. */
  readonly complete: boolean;
  /** Of the file, in bytes; 0 when it is missing. */
  readonly size: number;
  /** Behind the last complete line: where `readForwards` goes on. */
  readonly offset: number;
}

export interface TailOptions {
  /** False: everything within `maxBytes`. */
  readonly untilPrompt?: boolean;
  /** Default 16 MiB. */
  readonly maxBytes?: number;
}

/** The marks from what started the last turn on. Messages that were dequeued together start one turn together. */
export function tailMarks(path: string, options: TailOptions = {}): Tail {
  const untilPrompt = options.untilPrompt ?? true;
  const turn: Mark[] = [];
  const earlier: Mark[] = [];
  let phase: "turn" | "starters" | "queue" = "turn";
  let turnStart = 0;
  const read = readBackwards(path, (mark, offset) => {
    if (phase === "starters" && !startsTurn(mark)) phase = "queue";
    if (phase === "queue") {
      if (isQueueMark(mark) || startsTurn(mark)) earlier.push(mark);
    } else {
      turn.push(mark);
      turnStart = offset;
      if (untilPrompt && startsTurn(mark)) phase = "starters";
    }
    // What is typed starts a turn at once only while nothing is queued.
    const queueWasEmpty = mark.kind === "prompt" && mark.source === "typed";
    const enough = queueWasEmpty || turnStart - offset > QUEUE_LOOKBACK_BYTES;
    return phase !== "turn" && enough ? "stop" : "continue";
  }, { maxBytes: options.maxBytes ?? TAIL_BYTES });
  if (read.result === "missing") return { marks: [], complete: true, size: 0, offset: 0 };
  turn.reverse();
  const starters = turn.findIndex((mark) => !startsTurn(mark));
  const before = [...earlier.reverse(), ...(starters === -1 ? turn : turn.slice(0, starters))];
  return {
    marks: untilPrompt ? [...stillQueued(before), ...turn] : turn,
    complete: phase !== "turn" || read.result === "start",
    size: read.size,
    offset: read.offset,
  };
}

/** The messages that wait in the queue after these marks, given that it was empty before them. */
export function stillQueued(marks: readonly Mark[]): Mark[] {
  const queue: Extract<Mark, { kind: "enqueued" }>[] = [];
  // A dequeue names no text: which message it took is known when that message appears as what starts a turn.
  let unnamed = 0;
  const drop = (text: string | null) => {
    const index = text === null ? 0 : queue.findIndex((queued) => queued.text === text);
    if (index !== -1) queue.splice(index, 1);
    return index !== -1;
  };
  for (const mark of marks) {
    if (mark.kind === "enqueued") queue.push(mark);
    else if (mark.kind === "removed") drop(mark.text);
    else if (mark.kind === "dequeued") {
      if (mark.text === null) unnamed++;
      else drop(mark.text);
    } else if (unnamed > 0 && (mark.kind === "prompt" || mark.kind === "task_notification")) {
      if (drop(mark.text)) unnamed--;
    }
  }
  return queue.slice(unnamed);
}

/**
 * The messages that were queued and have neither begun a turn nor joined one, in these marks. Claude takes a message
 * out of the queue up to 0.2 s before it writes it as a prompt: meanwhile it is in neither.
 */
export function notTakenUp(marks: readonly Mark[]): string[] {
  const texts: string[] = [];
  for (const mark of marks) {
    if (mark.kind === "enqueued") texts.push(mark.text);
    const taken = (mark.kind === "prompt" && mark.source !== "typed") || mark.kind === "task_notification" ||
      mark.kind === "removed";
    const index = taken ? texts.indexOf(mark.text ?? "") : -1;
    if (index !== -1) texts.splice(index, 1);
  }
  return texts;
}

export interface LogOptions {
  /** Also the tool calls, each with its result. */
  readonly tools?: boolean;
}

/** The conversation in the order of the file, read as it is consumed; none when the file is missing. */
export async function* logEntries(path: string, options: LogOptions = {}): AsyncGenerator<LogEntry> {
  const log = new LogBuilder(options.tools ?? false);
  for await (const mark of entries(path)) yield* log.push(mark);
  yield* log.end();
}

interface Pending {
  entry: LogEntry;
  /** The message or the tool call that the entry may still grow by; null once it is final. */
  open: string | null;
}

/** Makes entries of marks. An entry is held back while it or one before it is open, for a turn at most. */
export class LogBuilder {
  #held: Pending[] = [];

  constructor(private readonly tools: boolean) {}

  push(mark: Mark): LogEntry[] {
    const at = mark.at === null ? null : new Date(mark.at).toISOString();
    switch (mark.kind) {
      case "prompt":
        this.#close();
        this.#add({ role: "human", text: mark.text, at }, null);
        break;
      case "absorbed_prompt":
        this.#add({ role: "human", text: mark.text, at }, null);
        break;
      case "assistant_text":
        this.#addText(mark.text, at, mark.messageId);
        break;
      case "tool_use":
        if (!this.tools) break;
        this.#add(
          { role: "tool", text: "", at, tool: { name: mark.name, input: mark.input, result: null } },
          mark.id,
        );
        break;
      case "tool_result":
        this.#finishTool(mark.id, mark.text);
        break;
      case "task_notification":
      case "peer_message":
      case "turn_end":
      case "interrupted":
      case "api_error":
      case "compact":
        this.#close();
        break;
      case "enqueued":
      case "dequeued":
      case "removed":
      case "informational":
        break;
    }
    return this.#release();
  }

  /** What is left at the end of the file. */
  end(): LogEntry[] {
    this.#close();
    return this.#release();
  }

  #add(entry: LogEntry, open: string | null): void {
    const last = this.#held.at(-1);
    if (last?.entry.role === "assistant") last.open = null;
    this.#held.push({ entry, open });
  }

  /** Blocks of one message are one entry. */
  #addText(text: string, at: string | null, messageId: string | null): void {
    const last = this.#held.at(-1);
    if (last?.entry.role === "assistant" && last.open !== null && last.open === messageId) {
      last.entry = { ...last.entry, text: `${last.entry.text}\n\n${text}` };
    } else this.#add({ role: "assistant", text, at }, messageId);
  }

  #finishTool(id: string, result: string): void {
    const call = this.#held.find(({ entry, open }) => entry.role === "tool" && open === id);
    if (!call?.entry.tool) return;
    call.entry = { ...call.entry, text: result, tool: { ...call.entry.tool, result } };
    call.open = null;
  }

  #close(): void {
    for (const pending of this.#held) pending.open = null;
  }

  #release(): LogEntry[] {
    const firstOpen = this.#held.findIndex(({ open }) => open !== null);
    const final = this.#held.splice(0, firstOpen === -1 ? this.#held.length : firstOpen);
    return final.map(({ entry }) => entry);
  }
}

function endsTurn(mark: Mark): boolean {
  return mark.kind === "turn_end" || mark.kind === "interrupted" || mark.kind === "api_error";
}

function isQueueMark(mark: Mark): boolean {
  return mark.kind === "enqueued" || mark.kind === "dequeued" || mark.kind === "removed";
}
