/** What was said in a session: the newest replies and the whole conversation, from transcript and hooks. */

import type { Clock } from "../../lib/deps.ts";
import type { LogEntry } from "../../lib/session.ts";
import type { Anchor } from "./evidence.ts";
import { conversationPaths } from "./conversation_paths.ts";
import { lastAssistantTexts, LogBuilder, logEntries } from "./conversation.ts";
import { type HookEvent, outline } from "./hook_log.ts";
import type { Observer } from "./observe.ts";
import { readForwards } from "./transcript_file.ts";
import { saidInTurn } from "./turn.ts";
import { isEndEvent } from "./turn_end.ts";

/** The transcript lags behind the Stop hook (measured: 40 to 140 ms). */
const WRITE_LAG_MS = 600;
const WRITE_LAG_POLL_MS = 20;
/** Held in memory at once while a conversation is followed. */
const READ_ENTRIES = 500;
/** Text blocks that one message may have, to find the hook's text among them. */
const HOOK_BLOCKS = 20;

/** Newest last, at most `count`; the text of a turn that has just ended may be in the Stop hook alone. */
export async function lastMessages(observer: Observer, count: number, clock: Clock): Promise<string[]> {
  const path = observer.transcript();
  const { stop, previousEnd } = newestStop(observer);
  const fromHook = stop?.body.last_assistant_message?.trim() ?? "";
  const deadline = clock.monotonic() + WRITE_LAG_MS;
  for (;;) {
    const newest = lastAssistantTexts(path, count);
    if (stop === null || fromHook === "") return [...newest.texts];
    // The same words may have ended an earlier turn, too.
    const ofThisTurn = (lastAt: number | null) => lastAt === null || lastAt > previousEnd;
    if (ofThisTurn(newest.lastAt) && newest.texts.at(-1)?.trim() === fromHook) return [...newest.texts];
    // Read anew for a message of several blocks: this reading alone answers, since the file may have grown.
    const { texts, lastAt } = lastAssistantTexts(path, Math.max(count, HOOK_BLOCKS));
    const wanted = texts.slice(-count);
    if (ofThisTurn(lastAt) && endsWith(texts, fromHook)) return wanted;
    const age = clock.now() - stop.at;
    if (age > WRITE_LAG_MS || clock.monotonic() >= deadline) {
      // Old news: a later command or an edit of the transcript moved on; the transcript is the record.
      return wanted.length > 0 && age > WRITE_LAG_MS * 10 ? wanted : [...wanted, fromHook].slice(-count);
    }
    await clock.sleep(WRITE_LAG_POLL_MS);
  }
}

/** The Stop of the newest turn, null while one runs, and when the turn before it ended. */
function newestStop(observer: Observer): { stop: HookEvent | null; previousEnd: number } {
  const names = observer.hooks.names();
  const newest = observer.hooks.newestOf(names, ["Stop", "UserPromptSubmit"]);
  if (newest?.event !== "Stop") return { stop: null, previousEnd: -Infinity };
  const before = names.slice(0, names.indexOf(newest.name)).map(outline).filter((event) => event !== null);
  return { stop: newest, previousEnd: before.findLast(isEndEvent)?.at ?? -Infinity };
}

/** What was said in the turn of one message; the Stop hook has it before the transcript does. */
export async function turnMessages(
  observer: Observer,
  anchor: Anchor,
  count: number,
  clock: Clock,
): Promise<string[]> {
  const deadline = clock.monotonic() + WRITE_LAG_MS;
  for (;;) {
    const { events, marks } = observer.since(anchor);
    const said = saidInTurn(marks, anchor.text);
    if (said.ended) return said.texts.slice(-count);
    if (clock.monotonic() >= deadline) {
      const stop = events.findLast((event) => event.event === "Stop")?.body.last_assistant_message;
      return said.texts.length === 0 && stop ? [stop] : said.texts.slice(-count);
    }
    await clock.sleep(WRITE_LAG_POLL_MS);
  }
}

/** Claude joins the last message's blocks in its hook. */
function endsWith(texts: readonly string[], text: string): boolean {
  const squeeze = (part: string) => part.replace(/\s+/g, "");
  return squeeze(texts.slice(-HOOK_BLOCKS).join("")).endsWith(squeeze(text));
}

/** All conversations of the session in order: `/clear` starts another transcript. */
export async function* conversationLog(observer: Observer): AsyncGenerator<LogEntry> {
  for (const path of conversationPaths(observer)) yield* logEntries(path, { tools: true });
}

/** The same, read on as it grows. */
export class ConversationReader {
  readonly #log = new LogBuilder(true);
  readonly #offsets = new Map<string, number>();

  constructor(private readonly observer: Observer) {}

  *#read(): Generator<LogEntry> {
    for (const path of conversationPaths(this.observer)) {
      let offset = this.#offsets.get(path) ?? 0;
      for (let more = true; more;) {
        const found: LogEntry[] = [];
        let line = -1;
        let end: number | null = null;
        const read = readForwards(path, offset, (mark, at) => {
          if (at !== line && found.length >= READ_ENTRIES) {
            end = at;
            return "stop";
          }
          line = at;
          found.push(...this.#log.push(mark));
          return "continue";
        });
        more = end !== null || (read.result === "read" && read.more === true);
        if (read.result === "read") offset = end ?? read.offset;
        else if (read.result === "rewritten") offset = read.size;
        this.#offsets.set(path, offset);
        yield* found;
      }
    }
  }

  async *read(): AsyncGenerator<LogEntry> {
    yield* this.#read();
  }

  end(): LogEntry[] {
    return this.#log.end();
  }
}
