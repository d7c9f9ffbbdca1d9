/**
 * A service served on a pair of byte streams (`dev-sessions rpc`): several requests at once; each gets exactly one
 * last frame. When the client hangs up, what can be stopped is stopped, and the rest comes to its end first.
 */

import { AppError } from "../lib/errors.ts";
import type { Clock } from "../lib/deps.ts";
import type { SessionService } from "../lib/service.ts";
import { isOperation, OPERATIONS } from "../lib/wire.ts";
import { encodeError } from "../lib/wire/errors.ts";
import { mismatchError, type Peer, US } from "../lib/wire/handshake.ts";
import { Calls } from "./calls.ts";
import { Credit } from "./credit.ts";
import { checkRequest } from "./dispatch.ts";
import {
  type ByteWriter,
  type ClientFrame,
  clientFrame,
  FrameTooLongError,
  FrameWriter,
  HangUpError,
  MARKER,
  MAX_FRAME_BYTES,
  NO_PLACE,
  parseFrame,
  type Place,
  WINDOW_ITEMS,
} from "./frames.ts";
import { linesOf, LineTooLongError } from "./lines.ts";
import { STOPPED, untilStopped } from "../lib/until_stopped.ts";

/** Of one connection at the same time. */
const MAX_RUNNING = 512;
/** One connection is one caller. */
const CALLER = "stdio";

/** Web streams are such, and what does without them, since they cost milliseconds to load. */
export interface ByteStreams {
  readonly readable: AsyncIterable<Uint8Array> & { cancel(): Promise<void> };
  readonly writable: { getWriter(): ByteWriter };
}

export interface StdioServerOptions {
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** What it says of itself. */
  readonly us?: Peer;
  /** What its sessions live in. */
  readonly place?: Place;
}

/** Serves until the client hangs up or the signal; then all requests have ended. Never throws for what a client does. */
export async function serveStdio(
  service: SessionService,
  { readable, writable }: ByteStreams,
  signal: AbortSignal,
  { clock, us = US, place = NO_PLACE }: StdioServerOptions,
): Promise<void> {
  const connection = new Connection(service, new FrameWriter(writable), new Calls(clock));
  const lines = linesOf(readable, MAX_FRAME_BYTES);
  const stop = () => void readable.cancel().catch(() => {});
  try {
    await connection.greet(us, place);
    while (!signal.aborted) {
      const next = await untilStopped(nextOf(lines), signal);
      if (next === STOPPED || next.done) break;
      if (!await connection.take(next.value, us)) break;
    }
  } catch (error) {
    if (error instanceof LineTooLongError) {
      await connection.say({ type: "error", id: null, error: encodeError(tooLong(error.message)) });
    } else if (!(error instanceof HangUpError)) throw error;
  } finally {
    await connection.end();
    stop();
  }
}

interface Running {
  readonly stop: AbortController;
  readonly key: string | null;
  readonly credit: Credit;
}

class Connection {
  readonly #running = new Map<number, Running>();
  readonly #tasks = new Set<Promise<void>>();
  #greeted = false;
  /** Nobody has asked for the end of the streams that end now: they break. */
  #isEnding = false;

  constructor(
    private readonly service: SessionService,
    private readonly writer: FrameWriter,
    private readonly calls: Calls,
  ) {}

  async greet(us: Peer, place: Place): Promise<void> {
    // A profile's last line may have no end.
    await this.writer.write({ type: "hello", ...us, ...place }, `\n${MARKER}\n`);
  }

  /** False when the connection is to end. */
  async take(line: string, us: Peer): Promise<boolean> {
    if (line.trim() === "") return true;
    const frame = parseFrame(clientFrame, line);
    if (frame === null) return await this.#refuse("a line is no frame of the protocol");
    if (!this.#greeted && frame.type !== "hello") return await this.#refuse("the first frame is no hello");
    switch (frame.type) {
      case "hello": {
        const mismatch = mismatchError(frame, us, "the dev-sessions there");
        this.#greeted = true;
        if (mismatch === null) return true;
        await this.say({ type: "error", id: null, error: encodeError(mismatch) });
        return false;
      }
      case "request":
        return await this.#begin(frame);
      case "cancel":
        this.#cancel(frame.id);
        return true;
      case "more":
        this.#running.get(frame.id)?.credit.add(frame.count);
        return true;
    }
  }

  /** What the client doesn't read is lost; that is found out when it is read from. */
  async say(frame: Parameters<FrameWriter["write"]>[0]): Promise<void> {
    try {
      await this.writer.write(frame);
    } catch (error) {
      if (!(error instanceof HangUpError)) throw error;
    }
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    for (const { stop } of this.#running.values()) stop.abort();
    await Promise.allSettled(this.#tasks);
    await this.writer.close();
  }

  async #refuse(why: string): Promise<false> {
    const error = new AppError("usage", `Cannot go on: ${why}. Speak the protocol of docs/wire.md`);
    await this.say({ type: "error", id: null, error: encodeError(error) });
    return false;
  }

  async #begin(frame: Extract<ClientFrame, { type: "request" }>): Promise<boolean> {
    if (this.#running.has(frame.id)) {
      return await this.#refuse(`the request ${frame.id} is under way already`);
    }
    if (this.#running.size >= MAX_RUNNING) {
      const error = new AppError(
        "refused",
        `Cannot ${frame.operation}: ${MAX_RUNNING} requests are under way`,
      );
      await this.say({ type: "error", id: frame.id, error: encodeError(error) });
      return true;
    }
    const running: Running = {
      stop: new AbortController(),
      key: frame.key,
      credit: new Credit(WINDOW_ITEMS),
    };
    this.#running.set(frame.id, running);
    const task = this.#run(frame, running).finally(() => {
      this.#running.delete(frame.id);
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
    return true;
  }

  #cancel(id: number): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    if (running.key === null || !this.calls.cancel(CALLER, running.key)) running.stop.abort();
  }

  async #run(frame: Extract<ClientFrame, { type: "request" }>, { stop, credit }: Running): Promise<void> {
    const { id, operation, body, key, again } = frame;
    const { signal } = stop;
    try {
      const checked = checkRequest(operation, body);
      const begun = this.calls.serve(this.service, checked, { caller: CALLER, key, again, signal });
      if (begun.kind === "call") {
        return await this.writer.write({ type: "result", id, value: await begun.result });
      }
      for await (const value of begun.items) {
        await credit.take(signal);
        await this.writer.write({ type: "item", id, value });
      }
      if (!this.#isEnding) await this.writer.write({ type: "end", id });
    } catch (error) {
      if (error instanceof HangUpError) return stop.abort();
      if (this.#isEnding && isOperation(operation) && OPERATIONS[operation].kind === "stream") return;
      const known = error instanceof FrameTooLongError
        ? tooLong(`the answer to ${operation}: ${error.message}`)
        : error;
      await this.say({ type: "error", id, error: encodeError(known) });
    }
  }
}

function tooLong(what: string): AppError {
  return new AppError(
    "failure",
    `Cannot go on: ${what}. Ask for less, e.g. with: dev-sessions last-message -n 1`,
  );
}

/** A connection that breaks is one that ends. */
async function nextOf(lines: AsyncGenerator<string>): Promise<IteratorResult<string, unknown>> {
  try {
    return await lines.next();
  } catch (error) {
    if (error instanceof LineTooLongError) throw error;
    return { done: true, value: undefined };
  }
}
