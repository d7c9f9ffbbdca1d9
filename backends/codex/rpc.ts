/** A connection to one app-server: requests with their answers, and what the server says by itself. Nothing is retried. */

import type { Clock } from "../../lib/deps.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  type Answer,
  type Method,
  type Notification,
  type Params,
  readFrame,
  readResult,
  type RequestId,
  type Result,
  type ServerRequest,
  type ServerRequestMethod,
} from "./frames.ts";
import { UNREAD_NOTIFICATIONS } from "./protocol/unread_notifications.ts";
import { ConnectionLost, type Loss, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";
import { versionOf } from "./version.ts";
import { CLOSE_TIMEOUT_MS, openWire, type Wire, withDeadline } from "./wire.ts";

/** For opening and `initialize` together; a server that is being started answers after 0.2 s (measured). */
export const CONNECT_TIMEOUT_MS = 5_000;
/** The slowest answer measured, to `turn/start` under load, took 0.4 s. */
const CALL_TIMEOUT_MS = 15_000;
/** Servers name the client that came first in their user agent; the version is of no use to them. */
const CLIENT_INFO = { name: "dev-sessions", title: "dev-sessions", version: "1" };

/** Frames of a server in a container that nobody has taken yet, in all; those of a real one are taken as they come. */
const MAX_HEARD_UNITS = 32 * 1024 * 1024;
/** Of a frame, however short. */
const FRAME_UNITS = 512;

export interface OpenOptions {
  readonly clock: Clock;
  /** Where the server runs; what one in a container says is bounded. Default: `host`. */
  readonly place?: "host" | "container";
  /** Default: CONNECT_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
export interface CallOptions {
  /** Default: CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  /** Gives up waiting, with the signal's reason; what was asked for may be done yet. */
  readonly signal?: AbortSignal;
}
/** What the server says by itself; `units`: how long its frame was. */
export type Incoming =
  & { readonly units: number }
  & (
    | { readonly kind: "notification"; readonly notification: Notification }
    | { readonly kind: "request"; readonly request: ServerRequest }
  );

/**
 * @throws ConnectionLost, RpcError when `initialize` is refused, UnexpectedFrame when it is answered strangely, the
 * signal's reason.
 */
export async function openConnection(endpoint: Endpoint, options: OpenOptions): Promise<Connection> {
  const { clock, timeoutMs = CONNECT_TIMEOUT_MS, signal = new AbortController().signal, place = "host" } =
    options;
  signal.throwIfAborted();
  const deadline = clock.monotonic() + timeoutMs;
  const wire = await openWire(endpoint, clock, timeoutMs, signal);
  const connection = new Connection(wire, clock, place);
  try {
    await connection.initialize({ timeoutMs: Math.max(1, deadline - clock.monotonic()), signal });
    return connection;
  } catch (error) {
    await connection.close();
    if (!(error instanceof NoAnswer)) throw error;
    throw new ConnectionLost("timeout", `no answer within ${timeoutMs} ms`, true);
  }
}

interface Pending {
  readonly method: Method;
  readonly settle: PromiseWithResolvers<unknown>;
}

/** Use `openConnection()`. */
export class Connection implements AsyncDisposable {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #pending = new Map<RequestId, Pending>();
  readonly #listeners = new Set<Listener>();
  readonly #ended = Promise.withResolvers<ConnectionLost | null>();
  #loss: ConnectionLost | null = null;
  #closing = false;
  #lastId = 0;
  #codexHome = "";
  #version: string | null = null;

  constructor(wire: Wire, clock: Clock, private readonly place: "host" | "container") {
    this.#wire = wire;
    this.#clock = clock;
    wire.socket.onmessage = (event) => this.#receive(event.data);
    // Without a goodbye the code is 0 or 1006.
    wire.socket.onclose = ({ code }) =>
      this.#end("closed", `the connection was closed by the server (${code})`);
  }

  /** The server's CODEX_HOME, as an absolute path without symlinks. */
  get codexHome(): string {
    return this.#codexHome;
  }
  /** The server's version; null when it does not say. */
  get version(): string | null {
    return this.#version;
  }
  /** Settles at the end of the connection, with null after `close()`. Never rejects. */
  get ended(): Promise<ConnectionLost | null> {
    return this.#ended.promise;
  }

  async initialize(options: CallOptions): Promise<void> {
    const capabilities = {
      experimentalApi: true,
      requestAttestation: false,
      // Not sent, they can't make us a slow reader, whom the server drops.
      optOutNotificationMethods: UNREAD_NOTIFICATIONS,
    };
    const params = { clientInfo: CLIENT_INFO, capabilities };
    const { userAgent, codexHome } = await this.call("initialize", params, options);
    this.#codexHome = codexHome;
    this.#version = versionOf(userAgent);
    this.#send({ method: "initialized" });
  }

  /**
   * Asks once. @throws RpcError when the server says no, ConnectionLost, NoAnswer after the deadline, UnexpectedFrame
   * when the answer has an unknown form (it was done, then), the signal's reason.
   */
  async call<M extends Method>(method: M, params: Params<M>, options: CallOptions = {}): Promise<Result<M>> {
    const { timeoutMs = CALL_TIMEOUT_MS, signal } = options;
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const settle = Promise.withResolvers<unknown>();
    this.#pending.set(id, { method, settle });
    const over = new AbortController();
    const abort = () => settle.reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      this.#send({ id, method, params });
      void this.#clock.sleep(timeoutMs, over.signal).then(() =>
        settle.reject(new NoAnswer(method, timeoutMs))
      );
      const result = readResult(method, await settle.promise);
      if (result.ok) return result.value;
      throw new UnexpectedFrame(`the answer to ${method}`, result.why);
    } finally {
      over.abort();
      signal?.removeEventListener("abort", abort);
      this.#pending.delete(id);
    }
  }

  /**
   * Answers a request of the server; any connection may, also one that was not asked. The first answer counts, which
   * `serverRequest/resolved` confirms to the thread's subscribers; a later one is ignored without a word.
   * @throws ConnectionLost
   */
  answer<M extends ServerRequestMethod>(_method: M, id: RequestId, result: Answer<M>): void {
    this.#send({ id, result });
  }

  /** Hears everything that comes in from now on; end it with `using`. */
  listen(): Listener {
    const listener = new Listener(
      (gone) => this.#listeners.delete(gone),
      this.place === "host" ? Infinity : MAX_HEARD_UNITS,
    );
    if (this.#loss !== null || this.#closing) listener.end(this.#closing ? null : this.#loss);
    else this.#listeners.add(listener);
    return listener;
  }

  /** Says goodbye; what was sent before has been sent. Never throws. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#loss === null) {
      this.#wire.socket.close();
      await withDeadline(this.#ended.promise, this.#clock, CLOSE_TIMEOUT_MS);
      this.#end("closed", "the connection was closed by us");
    }
    this.#wire.client?.close();
    this.#wire.client = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #send(frame: unknown): void {
    if (this.#loss !== null || this.#wire.socket.readyState !== WebSocket.OPEN) {
      throw new ConnectionLost("closed", this.#loss?.message ?? "the connection is being closed", false);
    }
    this.#wire.socket.send(JSON.stringify(frame));
  }

  #receive(data: unknown): void {
    if (this.#loss !== null) return;
    const frame = readFrame(data, this.place);
    switch (frame.kind) {
      case "result":
        return this.#pending.get(frame.id)?.settle.resolve(frame.result);
      case "error": {
        if (frame.id === null) return;
        const pending = this.#pending.get(frame.id);
        const { code, message, data } = frame.error;
        return pending?.settle.reject(new RpcError(pending.method, code, message, data));
      }
      case "notification":
      case "request":
        for (const listener of this.#listeners) {
          if (listener.push({ ...frame, units: String(data).length + FRAME_UNITS })) continue;
          return this.#refuse("it says more than can be heard");
        }
        return;
      case "ignored":
        return;
      case "garbled":
        return this.#refuse(frame.why);
      case "unexpected":
        for (const listener of this.#listeners) listener.end(new UnexpectedFrame(frame.name, frame.why));
    }
  }

  #refuse(why: string): void {
    this.#end("garbled", `the server does not speak the app-server protocol (${why})`);
    this.#wire.socket.close();
  }

  #end(loss: Loss, message: string): void {
    if (this.#loss !== null) return;
    this.#loss = new ConnectionLost(loss, message, true);
    for (const { settle } of this.#pending.values()) settle.reject(this.#loss);
    for (const listener of this.#listeners) listener.end(this.#closing ? null : this.#loss);
    this.#listeners.clear();
    this.#ended.resolve(this.#closing ? null : this.#loss);
    if (this.#closing) return;
    this.#wire.client?.close();
    this.#wire.client = null;
  }
}

/**
 * What the server says, in its order. The iteration ends after `close()`; it throws ConnectionLost when the connection
 * breaks, and UnexpectedFrame when something that we rely on comes in a form we don't know.
 */
export class Listener implements AsyncIterableIterator<Incoming, undefined>, Disposable {
  readonly #gone: (listener: Listener) => void;
  readonly #heard: Incoming[] = [];
  #units = 0;
  #end: { readonly error: Error | null } | null = null;
  #wake: PromiseWithResolvers<void> | null = null;

  /** @param maxUnits of what was heard and not taken yet. */
  constructor(gone: (listener: Listener) => void, private readonly maxUnits: number) {
    this.#gone = gone;
  }

  /** False: more is waiting than may be. */
  push(incoming: Incoming): boolean {
    if (this.#end !== null) return true;
    if (this.#units + incoming.units > this.maxUnits) return false;
    this.#heard.push(incoming);
    this.#units += incoming.units;
    this.#wake?.resolve();
    return true;
  }

  end(error: Error | null): void {
    this.#end ??= { error };
    this.#wake?.resolve();
  }

  async next(): Promise<IteratorResult<Incoming, undefined>> {
    for (;;) {
      const value = this.#heard.shift();
      if (value !== undefined) {
        this.#units -= value.units;
        return { done: false, value };
      }
      if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        return { done: true, value: undefined };
      }
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }

  return(): Promise<IteratorResult<Incoming, undefined>> {
    this[Symbol.dispose]();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.#heard.length = 0;
    this.#units = 0;
    this.end(null);
    this.#gone(this);
  }
}
