/**
 * The wire over HTTP, from the client's side: one connection's worth of trying, each answer understood or refused with a
 * reason. The token goes to the gateway alone: no proxy of the environment, no redirect.
 */

import * as v from "valibot";
import type { GatewayAddress } from "../lib/client_settings.ts";
import type { Clock } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";
import { type Operation, OPERATIONS } from "../lib/wire.ts";
import { decodeError, wireError } from "../lib/wire/errors.ts";
import { mismatchError, type Peer, US } from "../lib/wire/handshake.ts";
import {
  callAnswer,
  CANCEL_PATH,
  HEADER,
  health,
  HEALTH_PATH,
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  OPERATION_PATH,
  STREAM_TYPE,
  streamLine,
} from "../lib/wire/http.ts";
import { type CallOptions, type Carrier, CarrierError, interrupted, unlessStopped } from "./carrier.ts";
import { connectFailure, inFewWords, noAnswer, silence } from "./connect_failure.ts";
import { linesOf, LineTooLongError } from "./lines.ts";
import { Outage, outlastsOutages } from "./outage.ts";
import { signalAfter } from "../lib/until_stopped.ts";

/** For the first answer of all: longer than the 5 s after which a resolver gives up. */
const GREETING_TIMEOUT_MS = 6_000;
/** For the answer of what was cancelled. */
const CANCEL_TIMEOUT_MS = 10_000;
/** Silence after which a stream counts as broken: a server says something three times as often. */
const SILENCE_MS = 3 * KEEP_ALIVE_MS;
/** No operation that only looks takes longer. */
const READ_TIMEOUT_MS = 60_000;
/** No other operation without a stream does, as one that waits for an agent to be ready. */
const CALL_TIMEOUT_MS = 1_200_000;
/** Of one answer, or of one item of a stream. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const SHOWN_CHARACTERS = 200;

export interface HttpCarrierOptions {
  readonly address: GatewayAddress;
  readonly token: string | null;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** One complete line for people. */
  readonly note: (line: string) => void;
  readonly us?: Peer;
}

/** An answer as it came, not looked at yet. */
interface Answer {
  readonly status: number;
  readonly text: string;
}

export class HttpCarrier implements Carrier {
  readonly where: string;
  readonly #options: HttpCarrierOptions;
  readonly #base: string;
  #client: Deno.HttpClient | null = null;
  #peer: Peer | null = null;
  #greeting: Promise<void> | null = null;
  readonly #outage: Outage;

  constructor(options: HttpCarrierOptions) {
    this.#options = options;
    this.where = `the gateway ${options.address.url}`;
    this.#outage = new Outage(this.where, options.note);
    this.#base = options.address.kind === "unix" ? "http://localhost" : options.address.url;
  }

  peer(): Peer | null {
    return this.#peer;
  }

  async call(operation: Operation, request: unknown, options: CallOptions): Promise<unknown> {
    const body = this.#body(operation, request);
    await this.#greet(options.signal);
    const hangUp = new AbortController();
    const done = new AbortController();
    const stop = () => void this.#cancel(options.key, hangUp, done.signal);
    options.signal?.addEventListener("abort", stop, { once: true });
    const limitMs = OPERATIONS[operation].repeatable ? READ_TIMEOUT_MS : CALL_TIMEOUT_MS;
    let isLate = false;
    void this.#options.clock.sleep(limitMs, done.signal).then(() => {
      isLate = !done.signal.aborted;
      hangUp.abort();
    });
    try {
      if (options.signal?.aborted) throw interrupted(operation, options.again ?? false);
      const answer = await this.#ask(OPERATION_PATH + operation, {
        method: "POST",
        headers: this.#headers(options),
        body,
        signal: hangUp.signal,
      });
      return this.#resultOf(answer);
    } catch (error) {
      if (hangUp.signal.aborted && options.signal?.aborted) throw interrupted(operation, true);
      if (isLate) throw silence(this.#options.address, limitMs / 1000);
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", stop);
      done.abort();
    }
  }

  async *stream(operation: Operation, request: unknown, options: CallOptions): AsyncGenerator<unknown> {
    const body = this.#body(operation, request);
    await this.#greet(options.signal);
    const hangUp = new AbortController();
    const stop = () => hangUp.abort();
    options.signal?.addEventListener("abort", stop, { once: true });
    if (options.signal?.aborted) stop();
    const watch = new Watch(this.#options.clock, stop);
    let isOpen = false;
    try {
      const response = await this.#fetch(OPERATION_PATH + operation, {
        method: "POST",
        headers: this.#headers(options),
        body,
        signal: hangUp.signal,
      });
      const isStream = response.headers.get("content-type")?.startsWith(STREAM_TYPE) ?? false;
      if (!isStream || response.body === null) return void this.#resultOf(await this.#read(response));
      isOpen = true;
      this.#outage.over();
      for await (const line of linesOf(response.body, MAX_ANSWER_BYTES)) {
        watch.alive();
        if (line.trim() === "") continue;
        const parsed = v.safeParse(streamLine, jsonOf(line));
        if (!parsed.success) throw this.#notOurs({ status: response.status, text: line });
        if ("error" in parsed.output) throw decodeError(parsed.output.error);
        if ("end" in parsed.output) return;
        yield parsed.output.item;
      }
      throw this.#broke("it ended in the middle");
    } catch (error) {
      const broke = error instanceof AppError
        ? error
        : this.#broke(error instanceof LineTooLongError ? error.message : saidOf(error));
      const isLost = isOpen && broke instanceof CarrierError && !options.signal?.aborted;
      if (isLost && outlastsOutages(operation, request)) this.#outage.lost(inFewWords(broke));
      throw broke;
    } finally {
      options.signal?.removeEventListener("abort", stop);
      watch.end();
      hangUp.abort();
    }
  }

  close(): Promise<void> {
    this.#client?.close();
    this.#client = null;
    return Promise.resolve();
  }

  /** Once for each process that gets an answer: who is there, before anything is asked of it. */
  async #greet(signal: AbortSignal | undefined): Promise<void> {
    this.#greeting ??= this.#meet().catch((error) => {
      this.#greeting = null;
      throw error;
    });
    await unlessStopped(this.#greeting, signal);
  }

  async #meet(): Promise<void> {
    const late = new AbortController();
    const done = new AbortController();
    void this.#options.clock.sleep(GREETING_TIMEOUT_MS, done.signal).then(() => late.abort());
    let answer: Answer;
    try {
      answer = await this.#ask(HEALTH_PATH, { headers: this.#headers({ key: null }), signal: late.signal });
    } catch (error) {
      if (!done.signal.aborted && late.signal.aborted) {
        throw noAnswer(this.#options.address, GREETING_TIMEOUT_MS / 1000);
      }
      throw error;
    } finally {
      done.abort();
    }
    const parsed = v.safeParse(health, jsonOf(answer.text));
    if (!parsed.success) throw this.#notOurs(answer);
    this.#peer = { protocol: parsed.output.protocol, version: parsed.output.version };
    const mismatch = mismatchError(this.#options.us ?? US, this.#peer, this.where);
    if (mismatch !== null) throw mismatch;
  }

  /** What runs there with this key is stopped; its answer still comes, and says what it came to. */
  async #cancel(key: string | null, hangUp: AbortController, done: AbortSignal): Promise<void> {
    if (key !== null) {
      const heard = new AbortController();
      const over = AbortSignal.any([done, heard.signal]);
      const late = signalAfter(this.#options.clock, CANCEL_TIMEOUT_MS, over);
      try {
        const answer = await this.#ask(CANCEL_PATH, {
          method: "POST",
          headers: this.#headers({ key }),
          body: "{}",
          signal: AbortSignal.any([done, late]),
        });
        this.#resultOf(answer);
        await this.#options.clock.sleep(CANCEL_TIMEOUT_MS, done);
      } catch {
        // Then hanging up is all that is left.
      } finally {
        heard.abort();
      }
    }
    hangUp.abort();
  }

  #headers({ key, again = false }: Pick<CallOptions, "key" | "again">): Headers {
    const { token, us = US } = this.#options;
    const headers = new Headers({
      "content-type": "application/json",
      [HEADER.protocol]: String(us.protocol),
      [HEADER.version]: us.version,
    });
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    if (key !== null) headers.set(HEADER.key, encodeURIComponent(key));
    if (again) headers.set(HEADER.again, "1");
    return headers;
  }

  #body(operation: Operation, request: unknown): Uint8Array<ArrayBuffer> {
    const bytes = new TextEncoder().encode(JSON.stringify(request));
    if (bytes.length <= MAX_BODY_BYTES) return bytes;
    throw new AppError(
      "usage",
      `Cannot ${operation}: the request has ${bytes.length} bytes, and the limit is ${MAX_BODY_BYTES} (8 MB). Ask for less`,
    );
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.#base + path, {
        ...init,
        redirect: "manual",
        ...this.#clientInit(),
      });
    } catch (error) {
      throw connectFailure(this.#options.address, saidOf(error), this.#peer !== null);
    }
  }

  /** Directly to the address: `fetch` alone would hand the token to a proxy that HTTP_PROXY names. */
  #clientInit(): { client?: Deno.HttpClient } {
    const { address } = this.#options;
    if (address.kind === "https") return {};
    this.#client ??= Deno.createHttpClient({
      proxy: address.kind === "unix"
        ? { transport: "unix", path: address.path }
        : { transport: "tcp", hostname: address.hostname, port: address.port },
    });
    return { client: this.#client };
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    return await this.#read(await this.#fetch(path, init));
  }

  async #read(response: Response): Promise<Answer> {
    let text = "";
    try {
      if (response.body !== null) {
        for await (const line of linesOf(response.body, MAX_ANSWER_BYTES)) text += `${line}\n`;
      }
    } catch (error) {
      throw this.#broke(saidOf(error));
    }
    return { status: response.status, text };
  }

  /** @throws what the gateway answered instead of a result. */
  #resultOf(answer: Answer): unknown {
    const parsed = v.safeParse(callAnswer, jsonOf(answer.text));
    if (!parsed.success) throw this.#notOurs(answer);
    if ("result" in parsed.output) return parsed.output.result;
    throw this.#errorOf(answer.status, parsed.output.error);
  }

  #errorOf(status: number, said: v.InferOutput<typeof wireError>): AppError {
    const error = decodeError(said);
    switch (status) {
      case 401: {
        const { token, address } = this.#options;
        const which = token === null ? "no token was given" : "the token is not accepted";
        return new AppError(
          "refused",
          `Cannot use the gateway ${address.url}: ${which}. Set DEV_SESSIONS_GATEWAY_TOKEN, or the path of a file ` +
            "in DEV_SESSIONS_GATEWAY_TOKEN_FILE; on the host, make one with: dev-sessions gateway token create",
          [error.message, error.detail].filter((part) => part !== null).join("\n"),
        );
      }
      // It takes nothing more before it ends, so what comes after it does.
      case 503:
        return new CarrierError(error.message, { unsent: true }, error.detail);
      default:
        return error;
    }
  }

  #notOurs({ status, text }: Answer): AppError {
    const { url } = this.#options.address;
    const value = jsonOf(text);
    const isOlder = typeof value === "object" && value !== null &&
      (("status" in value && value.status === "healthy") || ("ok" in value && typeof value.ok === "boolean"));
    if (isOlder) {
      return new AppError(
        "failure",
        `Cannot talk to the gateway ${url}: it is dev-sessions 0.4.4 or older. On the host, upgrade dev-sessions, then ` +
          "start its gateway again with: dev-sessions gateway",
      );
    }
    const shown = text.replace(/\s+/g, " ").trim().slice(0, SHOWN_CHARACTERS);
    const what = value === undefined
      ? `Gateway returned non-JSON response (status=${status}, url=${url}): ${shown}`
      : `Cannot talk to the gateway ${url}: what answers there is no dev-sessions (status ${status}): ${shown}`;
    return new CarrierError(
      what,
      { unsent: false, hopeless: status < 500 },
      "Is DEV_SESSIONS_GATEWAY_URL right?",
    );
  }

  #broke(said: string): CarrierError {
    return new CarrierError(
      `Gateway request failed for ${this.#options.address.url} (the connection broke). Try again`,
      { unsent: false },
      said,
    );
  }
}

/** Calls `stop` when nothing has been heard for too long. */
class Watch {
  readonly #ended = new AbortController();
  #last: number;

  constructor(private readonly clock: Pick<Clock, "monotonic" | "sleep">, stop: () => void) {
    this.#last = clock.monotonic();
    void this.#run(stop);
  }

  alive(): void {
    this.#last = this.clock.monotonic();
  }

  end(): void {
    this.#ended.abort();
  }

  async #run(stop: () => void): Promise<void> {
    for (let left = SILENCE_MS; left > 0; left = this.#last + SILENCE_MS - this.clock.monotonic()) {
      await this.clock.sleep(left, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
    }
    stop();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** With its causes, on one line. */
function saidOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${saidOf(error.cause)}`;
  return `${error.message}${cause}`.replace(/\s+/g, " ");
}
