/**
 * A stream as the answer of a request: one line or event for each item, empty ones so that proxies keep the connection,
 * as fast as its reader reads, and a proper end whoever ends it.
 */

import type { ServerResponse } from "node:http";
import type { AppError, ErrorCode } from "../lib/errors.ts";
import type { Clock } from "../lib/deps.ts";
import type { EventRecord } from "../lib/events.ts";
import { encodeError, type WireError } from "../lib/wire/errors.ts";
import { KEEP_ALIVE_MS, STREAM_TYPE } from "../lib/wire/http.ts";
import { STOPPED, untilStopped } from "../lib/until_stopped.ts";

/** An error that comes at once gets a status of its own instead of a line in a stream. */
const HEAD_PATIENCE_MS = 50;
/** Often enough that never more than KEEP_ALIVE_MS pass in silence. */
const KEEP_ALIVE_LOOK_MS = KEEP_ALIVE_MS / 3;
/** A reader that takes nothing for so long has gone. */
const STALL_MS = 300_000;
const RETRY_MS = 1_000;
/** For a stream that was stopped, until its watches have ended. */
const LET_GO_MS = 2_000;

export interface StreamFormat {
  readonly type: string;
  readonly head: string;
  item(value: unknown): string;
  error(error: WireError): string;
  readonly end: string;
  readonly keepAlive: string;
}

/** A line of JSON for each item. */
export const LINES: StreamFormat = {
  type: STREAM_TYPE,
  head: "",
  item: (item) => `${JSON.stringify({ item })}\n`,
  error: (error) => `${JSON.stringify({ error })}\n`,
  end: `${JSON.stringify({ end: true })}\n`,
  keepAlive: "\n",
};

/** Server-sent events, whose ids are cursors: a reader that was cut off goes on behind the last one. */
export const SERVER_SENT: StreamFormat = {
  type: "text/event-stream",
  head: `retry: ${RETRY_MS}\n\n`,
  item: (value) => {
    const { cursor, at, id, body } = value as EventRecord;
    return `id: ${cursor}\ndata: ${JSON.stringify({ cursor, at, id, ...body })}\n\n`;
  },
  error: (error) => `event: error\ndata: ${JSON.stringify(error)}\n\n`,
  end: "event: end\ndata: {}\n\n",
  keepAlive: ": keep-alive\n\n",
};

/** Why a stream ends before its items do. */
export type Stop =
  | { readonly kind: "hung_up" }
  /** The gateway ends: no last line, so that the reader takes it up again. */
  | { readonly kind: "stopped" }
  | { readonly kind: "refused"; readonly error: AppError };

/**
 * @param stop aborted with a `Stop`.
 * @returns what the last line said.
 * @throws what the first item throws when it comes at once; nothing was answered then.
 */
export async function answerStream(
  response: ServerResponse,
  items: AsyncIterable<unknown>,
  format: StreamFormat,
  { clock, stop }: { readonly clock: Clock; readonly stop: AbortSignal },
): Promise<ErrorCode | null> {
  const iterator = items[Symbol.asyncIterator]();
  let next = iterator.next();
  const isThere = next.then(() => {});
  const ended = new AbortController();
  const over = AbortSignal.any([stop, ended.signal]);
  try {
    // What comes later than that is told in a line.
    await Promise.race([isThere, clock.sleep(HEAD_PATIENCE_MS, over)]);
    isThere.catch(() => {});
    response.writeHead(200, { "content-type": format.type, "x-accel-buffering": "no" });
    response.flushHeaders();
    const writer = new StreamWriter(response, clock, over);
    await writer.write(format.head);
    void writer.keepAlive(format.keepAlive);
    let said: WireError | null = null;
    try {
      for (;;) {
        const got = await untilStopped(next, stop);
        if (got === STOPPED || got.done || stop.aborted) break;
        await writer.write(format.item(got.value));
        next = iterator.next();
      }
    } catch (error) {
      if (!stop.aborted) said = encodeError(error);
    }
    const why = stop.aborted ? stop.reason as Stop : null;
    if (why?.kind === "refused") said = encodeError(why.error);
    if (said !== null) await writer.write(format.error(said), { last: true });
    else if (why === null) await writer.write(format.end, { last: true });
    response.end();
    return said?.code ?? null;
  } finally {
    ended.abort();
    next.catch(() => {});
    // What is still being looked for ends with the request's signal, and lets go of its watches.
    const returned = iterator.return?.().then(() => {}, () => {}) ?? Promise.resolve();
    const nap = new AbortController();
    await Promise.race([returned, clock.sleep(LET_GO_MS, nap.signal)]);
    nap.abort();
  }
}

class StreamWriter {
  #lastAt: number;

  constructor(
    private readonly response: ServerResponse,
    private readonly clock: Clock,
    private readonly over: AbortSignal,
  ) {
    this.#lastAt = clock.monotonic();
  }

  /** Returns when there is room for more, or when nobody reads any more. */
  async write(text: string, { last } = { last: false }): Promise<void> {
    if (text === "" || this.response.destroyed) return;
    this.#lastAt = this.clock.monotonic();
    if (this.response.write(text) || last) return;
    const drained = Promise.withResolvers<void>();
    const nap = new AbortController();
    this.response.once("drain", drained.resolve);
    this.response.once("close", drained.resolve);
    const stalled = this.clock.sleep(STALL_MS, nap.signal);
    await untilStopped(Promise.race([drained.promise, stalled]), this.over);
    nap.abort();
    this.response.off("drain", drained.resolve);
    this.response.off("close", drained.resolve);
    if (this.response.writableNeedDrain && !this.over.aborted) this.response.destroy();
  }

  async keepAlive(text: string): Promise<void> {
    while (!this.over.aborted) {
      await this.clock.sleep(KEEP_ALIVE_LOOK_MS, this.over);
      if (this.over.aborted || this.response.destroyed || this.response.writableNeedDrain) continue;
      if (this.clock.monotonic() - this.#lastAt < KEEP_ALIVE_MS - KEEP_ALIVE_LOOK_MS) continue;
      this.#lastAt = this.clock.monotonic();
      this.response.write(text);
    }
  }
}
