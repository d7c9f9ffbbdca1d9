/**
 * The client's side of the frames on a pair of byte streams: skips what comes before the marker, carries any number of
 * requests at once, and gives each of them the other end's answer or the reason why there is none.
 */

import { AppError } from "../lib/errors.ts";
import type { Clock } from "../lib/deps.ts";
import { type Operation, OPERATIONS } from "../lib/wire.ts";
import { decodeError } from "../lib/wire/errors.ts";
import { mismatchError, type Peer, US } from "../lib/wire/handshake.ts";
import { type CallOptions, type Carrier, CarrierError, interrupted } from "./carrier.ts";
import {
  type ClientFrame,
  FrameTooLongError,
  FrameWriter,
  MARKER,
  MAX_FRAME_BYTES,
  NO_PLACE,
  parseFrame,
  type Place,
  type ServerFrame,
  serverFrame,
  WINDOW_ITEMS,
} from "./frames.ts";
import { linesOf, LineTooLongError } from "./lines.ts";
import type { ByteStreams } from "./stdio.ts";

/** From the start of the program at the other end to its first frame: a login profile may be slow. */
const GREETING_TIMEOUT_MS = 30_000;
/** For the answer of what was cancelled and may have been done. */
const CANCEL_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 5_000;
/** Of what came before the marker, for the error when no marker came. */
const NOISE_LINES = 5;
const MAX_NOISE_LINES = 10_000;
/** As many items are asked for again once they were taken. */
const MORE_ITEMS = WINDOW_ITEMS / 2;

export interface StdioCarrierOptions {
  /** For people: `build.example`. */
  readonly where: string;
  readonly clock: Pick<Clock, "sleep">;
  readonly us?: Peer;
  readonly greetingTimeoutMs?: number;
}

/** Too much came before the marker: it will not come any more. */
export class NoiseError extends CarrierError {
  /** @param what it was, for people. */
  constructor(where: string, readonly what: string, lines: readonly string[]) {
    super(
      `Cannot talk to ${where}: it printed ${what} before it said that it is dev-sessions`,
      { unsent: true },
      lines.length === 0 ? null : lines.join("\n"),
    );
  }
}

type Answer = Extract<ServerFrame, { type: "item" | "result" | "end" | "error" }>;

/** One request under way: what came for it and was not taken yet. */
class Pending {
  readonly #queue: Answer[] = [];
  #wake: (() => void) | null = null;
  #broken: unknown = null;

  push(frame: Answer): void {
    this.#queue.push(frame);
    this.#wake?.();
  }

  break(error: unknown): void {
    this.#broken ??= error;
    this.#wake?.();
  }

  /** @throws what it broke with, once all that came before was taken. */
  async next(): Promise<Answer> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) return frame;
      if (this.#broken !== null) throw this.#broken;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

export class StdioCarrier implements Carrier {
  readonly where: string;
  readonly #writer: FrameWriter;
  readonly #readable: ByteStreams["readable"];
  readonly #options: StdioCarrierOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #greeted: Promise<void>;
  readonly #reading: Promise<void>;
  #lastId = 0;
  #peer: Peer | null = null;
  #place: Place = NO_PLACE;
  /** Why nothing more is carried. */
  #over: AppError | null = null;

  constructor({ readable, writable }: ByteStreams, options: StdioCarrierOptions) {
    this.where = options.where;
    this.#options = options;
    this.#writer = new FrameWriter(writable);
    this.#readable = readable;
    const greeting = Promise.withResolvers<void>();
    greeting.promise.catch(() => {});
    this.#greeted = greeting.promise;
    this.#reading = this.#read(greeting);
  }

  peer(): Peer | null {
    return this.#peer;
  }

  /** What the sessions at the other end live in, once it has said so. */
  place(): Place {
    return this.#place;
  }

  /** Resolves once the other end has said who it is. @throws CarrierError, or AppError for another protocol. */
  async greeted(): Promise<void> {
    const { clock, greetingTimeoutMs = GREETING_TIMEOUT_MS } = this.#options;
    const done = new AbortController();
    const late = clock.sleep(greetingTimeoutMs, done.signal).then(() => {
      if (done.signal.aborted) return;
      throw new CarrierError(
        `Cannot talk to ${this.where}: it has not answered for ${
          Math.round(greetingTimeoutMs / 1000)
        } s. Try again`,
        { unsent: true },
      );
    });
    try {
      await Promise.race([this.#greeted, late]);
    } finally {
      done.abort();
    }
  }

  async call(operation: Operation, request: unknown, options: CallOptions): Promise<unknown> {
    for await (const answer of this.#ask(operation, request, options)) {
      if (answer.type === "result") return answer.value;
    }
    throw this.#broken(operation);
  }

  async *stream(operation: Operation, request: unknown, options: CallOptions): AsyncGenerator<unknown> {
    for await (const answer of this.#ask(operation, request, options)) {
      if (answer.type === "item") yield answer.value;
    }
  }

  async close(): Promise<void> {
    this.#over ??= this.#broken("go on");
    await this.#writer.close();
    const done = new AbortController();
    const late = this.#options.clock.sleep(CLOSE_TIMEOUT_MS, done.signal);
    await Promise.race([this.#reading, late]);
    done.abort();
    await this.#readable.cancel().catch(() => {});
  }

  /** Every frame for one request but its `end`; its error is thrown. */
  async *#ask(
    operation: Operation,
    body: unknown,
    { signal, key, again = false }: CallOptions,
  ): AsyncGenerator<Answer> {
    if (signal?.aborted) throw interrupted(operation, again);
    await this.greeted();
    if (this.#over !== null) throw unsent(this.#over);
    const id = ++this.#lastId;
    const pending = new Pending();
    this.#pending.set(id, pending);
    const late = new AbortController();
    const cancel = () => void this.#cancel(id, operation, pending, late.signal);
    signal?.addEventListener("abort", cancel, { once: true });
    let over = false;
    let untold = 0;
    try {
      await this.#write({ type: "request", id, operation, body, key, again }, operation);
      for (;;) {
        const answer = await pending.next();
        over = answer.type !== "item";
        if (answer.type === "error") throw decodeError(answer.error);
        if (answer.type === "end") return;
        yield answer;
        if (answer.type === "result") return;
        if (++untold < MORE_ITEMS) continue;
        await this.#write({ type: "more", id, count: untold }, operation);
        untold = 0;
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      late.abort();
      this.#pending.delete(id);
      if (!over) await this.#say({ type: "cancel", id });
    }
  }

  /** The other end answers what it came to, which matters only where something may have been done. */
  async #cancel(id: number, operation: Operation, pending: Pending, answered: AbortSignal): Promise<void> {
    if (OPERATIONS[operation].repeatable) pending.break(interrupted(operation, true));
    await this.#say({ type: "cancel", id });
    await this.#options.clock.sleep(CANCEL_TIMEOUT_MS, answered);
    pending.break(interrupted(operation, true));
  }

  async #write(frame: ClientFrame, operation: Operation): Promise<void> {
    try {
      await this.#writer.write(frame);
    } catch (error) {
      if (error instanceof FrameTooLongError) {
        throw new AppError("usage", `Cannot ${operation}: the request is too long: ${error.message}`);
      }
      throw this.#over ?? this.#broken(operation, error);
    }
  }

  async #say(frame: ClientFrame): Promise<void> {
    try {
      await this.#writer.write(frame);
    } catch {
      // Whoever waits for an answer learns it from the reading side.
    }
  }

  async #read(greeting: PromiseWithResolvers<void>): Promise<void> {
    const noise: string[] = [];
    let marked = false;
    try {
      const lines = linesOf(this.#readable, MAX_FRAME_BYTES);
      let seen = 0;
      for await (const line of lines) {
        if (!marked) {
          marked = line.replace(/\r$/, "") === MARKER;
          if (!marked && line.trim() !== "" && noise.push(line.slice(0, 300)) > NOISE_LINES) noise.shift();
          if (++seen > MAX_NOISE_LINES) {
            throw new NoiseError(this.where, `more than ${MAX_NOISE_LINES} lines`, noise);
          }
          continue;
        }
        if (line.trim() === "") continue;
        const frame = parseFrame(serverFrame, line);
        if (frame === null) throw new Error("a line is no frame of the protocol");
        if (!await this.#take(frame, greeting)) break;
      }
      this.#end(this.#over ?? this.#unexpectedEnd(noise), greeting);
    } catch (error) {
      const isNoise = !marked && error instanceof LineTooLongError;
      const why = error instanceof NoiseError
        ? error
        : isNoise
        ? new NoiseError(this.where, "a line without an end", noise)
        : this.#broken("go on", error);
      this.#end(this.#over ?? why, greeting);
    }
  }

  /** False when the connection is over. */
  async #take(frame: ServerFrame, greeting: PromiseWithResolvers<void>): Promise<boolean> {
    switch (frame.type) {
      case "hello": {
        const us = this.#options.us ?? US;
        this.#peer = { protocol: frame.protocol, version: frame.version };
        this.#place = { home: frame.home, registry: frame.registry };
        this.#over = mismatchError(us, this.#peer, this.where);
        // Also to one of another protocol, so that it knows, too.
        await this.#say({ type: "hello", ...us, ...NO_PLACE });
        if (this.#over !== null) return false;
        greeting.resolve();
        return true;
      }
      case "error":
        if (frame.id === null) {
          this.#over ??= decodeError(frame.error);
          return false;
        }
        this.#pending.get(frame.id)?.push(frame);
        return true;
      case "item":
      case "result":
      case "end":
        this.#pending.get(frame.id)?.push(frame);
        return true;
    }
  }

  #end(error: AppError, greeting: PromiseWithResolvers<void>): void {
    this.#over ??= error;
    greeting.reject(this.#over);
    for (const pending of this.#pending.values()) pending.break(this.#over);
  }

  #unexpectedEnd(noise: readonly string[]): AppError {
    if (this.#peer !== null) return this.#broken("go on");
    const said = noise.length === 0 ? null : noise.join("\n");
    return new CarrierError(
      `Cannot talk to ${this.where}: it ended before it said that it is dev-sessions`,
      { unsent: true },
      said,
    );
  }

  #broken(what: string, cause?: unknown): CarrierError {
    return new CarrierError(
      `Cannot ${what}: the connection to ${this.where} has ended. Try again`,
      { unsent: false },
      null,
      cause === undefined ? {} : { cause },
    );
  }
}

/** The same, of a request that was never written. */
function unsent(over: AppError): AppError {
  if (!(over instanceof CarrierError)) return over;
  return new CarrierError(over.message, { ...over.told, unsent: true }, over.detail, { cause: over });
}
