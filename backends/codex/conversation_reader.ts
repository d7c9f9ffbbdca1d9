/** What was said in a thread, read from its server's records. Loads nothing. */

import type { LogReader } from "../backend.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { LogEntry } from "../../lib/session.ts";
import { GrowingLog, lastTexts, logEntries } from "./conversation.ts";
import type { CodexAnchor, CodexEvidence } from "./evidence.ts";
import type { Turn } from "./frames.ts";
import type { Connection } from "./rpc.ts";
import { RpcError } from "./rpc_errors.ts";
import { isNoSuchThread, isServersFault, type SessionThread } from "./session_thread.ts";
import { saidInTurn } from "./turn.ts";
import { turnsBackwards, turnsForwards } from "./turn_pages.ts";

/** The newest texts of the agent, newest last; with an anchor only those of that message's turn. */
export function lastMessages(
  thread: SessionThread,
  count: number,
  anchor: CodexAnchor | null,
): Promise<string[]> {
  return reading(thread, async (connection) => {
    if (anchor !== null) {
      const evidence = await thread.gather({ wish: "start", since: anchor, items: "full" });
      return toldOf(thread.session.id, evidence, anchor).slice(-count);
    }
    const turns: Turn[] = [];
    for await (const page of turnsBackwards(connection, thread.id)) {
      turns.unshift(...page);
      if (lastTexts(turns, count).length >= count) break;
    }
    return lastTexts(turns, count);
  });
}

/**
 * What was said in the turn of that message, oldest first: nothing, only where its server says so. Pure.
 * @throws AppError (transport) where the server does not tell.
 */
export function toldOf(id: string, evidence: CodexEvidence, anchor: CodexAnchor): string[] {
  if (evidence.server !== "up") throw untold(id, null);
  return saidInTurn(evidence, anchor).texts;
}

export async function* conversationLog(thread: SessionThread): AsyncGenerator<LogEntry> {
  const connection = await thread.link.connection();
  const pages = turnsForwards(connection, thread.id);
  for (;;) {
    const page = await reading(thread, () => pages.next());
    if (page === null || page.done) return;
    yield* logEntries(page.value);
  }
}

export class ConversationReader implements LogReader {
  readonly #log = new GrowingLog();

  constructor(private readonly thread: SessionThread) {}

  async *read(): AsyncGenerator<LogEntry> {
    const turns = await reading(this.thread, async (connection) => {
      const found: Turn[] = [];
      for await (const page of turnsBackwards(connection, this.thread.id)) {
        const from = page.findIndex(({ id }) => id === this.#log.from);
        found.unshift(...page.slice(Math.max(0, from)));
        if (from !== -1) break;
      }
      return found;
    });
    yield* this.#log.push(turns ?? []);
  }

  end(): LogEntry[] {
    return this.#log.end();
  }
}

/** A thread that is gone said nothing. @throws AppError when its server can't be asked. */
async function reading<T>(
  thread: SessionThread,
  read: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await thread.link.connection();
  try {
    return await read(connection);
  } catch (error) {
    if (!isServersFault(error)) throw error;
    if (!(error instanceof RpcError && isNoSuchThread(error))) throw untold(thread.session.id, error);
    throw new AppError("agent_gone", `Cannot read "${thread.session.id}": its thread is gone`, null, {
      cause: error,
    });
  }
}

function untold(id: string, cause: unknown): AppError {
  const why = cause === null ? "" : ` (${messageOf(cause)})`;
  return new AppError(
    "transport",
    `Cannot read "${id}": the Codex server does not tell of it${why}`,
    null,
    cause === null ? {} : { cause },
  );
}
