/**
 * The wire through ssh: one connection for all requests, opened by the first one, opened again after it broke. What
 * ssh says when it fails becomes an error that helps; what the other end says stays as it was said.
 */

import { AppError, type ErrorCode, messageOf } from "../../lib/errors.ts";
import type { Clock } from "../../lib/deps.ts";
import { type Operation, OPERATIONS } from "../../lib/wire.ts";
import type { Peer } from "../../lib/wire/handshake.ts";
import { type CallOptions, type Carrier, CarrierError, interrupted, unlessStopped } from "../carrier.ts";
import { NO_PLACE, type Place } from "../frames.ts";
import { Outage, outlastsOutages } from "../outage.ts";
import { verbOf } from "../verbs.ts";
import { NoiseError } from "../stdio_carrier.ts";
import type { Destination } from "./command.ts";
import {
  brokenConnection,
  connectFailure,
  inFewWords,
  noiseFailure,
  NoServerError,
  noSsh,
} from "./failures.ts";
import { type SshLink, startSsh } from "./link.ts";
import type { EarlyStarts } from "./process.ts";

/** A connection that nobody uses is closed; ssh keeps its own for a minute after that. */
const IDLE_MS = 60_000;

export interface SshWorld {
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** One complete line for people. */
  readonly note: (line: string) => void;
  readonly started: EarlyStarts;
}

/** What the other end threw. */
export class RemoteError extends AppError {
  constructor(
    code: ErrorCode,
    message: string,
    detail: string | null,
    readonly said: string,
    /** Whether an earlier attempt may have arrived: what that has come to, this does not say. */
    readonly again: boolean,
  ) {
    super(code, message, detail);
  }
}

export class SshCarrier implements Carrier {
  readonly where: string;
  #link: Promise<SshLink> | null = null;
  #open: SshLink | null = null;
  #peer: Peer | null = null;
  #place: Place = NO_PLACE;
  #running = 0;
  #idle: AbortController | null = null;
  /** Since the connection that a stream lasts on has broken. */
  readonly #outage: Outage;

  constructor(readonly destination: Destination, private readonly world: SshWorld) {
    this.where = destination.host;
    this.#outage = new Outage(this.where, world.note);
  }

  peer(): Peer | null {
    return this.#open?.carrier.peer() ?? this.#peer;
  }

  /** What the sessions there lived in when the connection was last opened. */
  get lastPlace(): Place {
    return this.#place;
  }

  /** What the sessions there live in. @throws AppError when there is no way to dev-sessions there. */
  async place(signal?: AbortSignal): Promise<Place> {
    return (await this.#connected(signal)).carrier.place();
  }

  async call(operation: Operation, request: unknown, options: CallOptions): Promise<unknown> {
    const link = await this.#connected(options.signal).catch((error) => {
      throw notAsked(operation, error, options);
    });
    return await this.#used(async () => {
      try {
        return await link.carrier.call(operation, request, options);
      } catch (error) {
        throw await this.#explained(operation, link, error, options);
      }
    });
  }

  async *stream(operation: Operation, request: unknown, options: CallOptions): AsyncGenerator<unknown> {
    const wasOpen = this.#peer !== null;
    let link: SshLink;
    try {
      link = await this.#connected(options.signal);
    } catch (error) {
      if (!wasOpen) throw error instanceof CarrierError ? hopeless(error) : error;
      throw error instanceof NoServerError ? passing(error) : error;
    }
    this.#outage.over();
    this.#begin();
    try {
      yield* link.carrier.stream(operation, request, options);
    } catch (error) {
      const explained = await this.#explained(operation, link, error, options);
      const isLost = explained instanceof CarrierError && !options.signal?.aborted;
      if (isLost && outlastsOutages(operation, request)) this.#outage.lost(inFewWords(explained));
      throw explained;
    } finally {
      this.#end();
    }
  }

  async close(): Promise<void> {
    this.#idle?.abort();
    const link = this.#link;
    this.#link = null;
    this.#open = null;
    (await link?.catch(() => null))?.close();
  }

  /** Ends also what is only being opened. */
  abandon(): void {
    this.#idle?.abort();
    this.#starting?.kill();
    void this.close();
  }
  #starting: SshLink | null = null;

  async #connected(signal: AbortSignal | undefined): Promise<SshLink> {
    if (signal?.aborted) throw new AppError("interrupted", "Interrupted");
    return await unlessStopped(this.#link ??= this.#connect(), signal);
  }

  async #connect(): Promise<SshLink> {
    try {
      const link = startSsh(this.destination, this.world);
      if (link === null) throw noSsh(this.where);
      this.#starting = link;
      try {
        await link.carrier.greeted();
      } catch (error) {
        if (error instanceof NoiseError) {
          link.kill();
          throw noiseFailure(this.destination, error.what, error.detail);
        }
        const ended = await link.ended();
        link.kill();
        if (!(error instanceof CarrierError)) throw error;
        throw connectFailure(this.destination, { ...ended, printed: error.detail });
      } finally {
        this.#starting = null;
      }
      this.#open = link;
      this.#peer = link.carrier.peer();
      this.#place = link.carrier.place();
      void link.gone.then(() => this.#forget(link));
      return link;
    } catch (error) {
      this.#link = null;
      throw error;
    }
  }

  #forget(link: SshLink): void {
    if (this.#open !== link) return;
    this.#open = null;
    this.#link = null;
  }

  async #explained(
    operation: Operation,
    link: SshLink,
    error: unknown,
    { signal, again = false }: CallOptions,
  ): Promise<unknown> {
    if (error instanceof CarrierError) {
      this.#forget(link);
      const ended = await link.ended();
      link.kill();
      return brokenConnection(this.where, ended, { unsent: error.told.unsent });
    }
    if (!(error instanceof AppError)) return error;
    return saidThere(error, { operation, where: this.where, stopped: signal?.aborted ?? false, again });
  }

  async #used<T>(work: () => Promise<T>): Promise<T> {
    this.#begin();
    try {
      return await work();
    } finally {
      this.#end();
    }
  }

  #begin(): void {
    this.#running++;
    this.#idle?.abort();
    this.#idle = null;
  }

  #end(): void {
    if (--this.#running > 0 || this.#open === null) return;
    const idle = this.#idle = new AbortController();
    void this.world.clock.sleep(IDLE_MS, idle.signal).then(() => {
      if (!idle.signal.aborted) void this.close();
    });
  }
}

/**
 * What the other end's error means here. Pure.
 *
 * @param asked `stopped`: its caller has stopped waiting; `again`: an earlier attempt may have arrived.
 */
export function saidThere(
  error: AppError,
  { operation, where, stopped, again }: {
    readonly operation: Operation;
    readonly where: string;
    readonly stopped: boolean;
    readonly again: boolean;
  },
): AppError {
  const isStopped = error.code === "interrupted";
  // Our own word, of a caller who has stopped waiting; of the earlier attempt it says nothing.
  if (stopped && isStopped) return again ? interrupted(operation, true) : error;
  if (stopped && error.code === "unproven") return error;
  return new RemoteError(
    isStopped ? "transport" : error.code,
    `Remote ${verbOf(operation)} on ${where} failed: ${error.message}${
      isStopped ? ": dev-sessions was stopped there. Try again" : ""
    }`,
    error.detail,
    error.message,
    again,
  );
}

/** It was there a moment ago: it may be about to be upgraded, or its home to be mounted. */
function passing(error: AppError): CarrierError {
  return new CarrierError(error.message, { unsent: true }, error.detail, { cause: error });
}

/** Why there was no way to ask; what an earlier attempt has come to, nobody knows then. */
function notAsked(operation: Operation, error: unknown, { again = false, signal }: CallOptions): unknown {
  // ssh has its own patience; a user who waits for one answer needs no further attempts.
  if (error instanceof CarrierError) return hopeless(error);
  if (!again || OPERATIONS[operation].repeatable) return error;
  if (signal?.aborted) return interrupted(operation, true);
  return new CarrierError(messageOf(error), { unsent: true, hopeless: true }, null, { cause: error });
}

function hopeless(error: CarrierError): CarrierError {
  return new CarrierError(error.message, { ...error.told, hopeless: true }, error.detail, { cause: error });
}
