/**
 * The gateway's requests, from their first header to their last byte: who may speak is settled before a body is read,
 * what is asked is checked before anything is done, and every request ends, with a line in the log.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, type ErrorCode } from "../lib/errors.ts";
import type { Deps } from "../lib/deps.ts";
import type { SessionService } from "../lib/service.ts";
import type { SessionId } from "../lib/session.ts";
import type { Operation } from "../lib/wire.ts";
import { mismatchError, US } from "../lib/wire/handshake.ts";
import { HEADER, MAX_KEY_LENGTH } from "../lib/wire/http.ts";
import type { Authenticator, Caller } from "./authenticate.ts";
import type { Calls } from "./calls.ts";
import { type CheckedRequest, checkRequest } from "./dispatch.ts";
import { DRAIN_MS, ROLL_BACK_MS } from "./drain_times.ts";
import { rejectionOf } from "./hosts.ts";
import { answerError, answerJson, httpError, readJson, setUsualHeaders } from "./http_answers.ts";
import { legacyAnswer, type Route, routeOf, targetOf } from "./http_routes.ts";
import type { Log, RequestLine } from "./log.ts";
import { answerStream, LINES, SERVER_SENT, type Stop } from "./stream_answer.ts";

/** Of one token at the same time; the master token is bounded by the connections alone. */
const MAX_REQUESTS_OF_TOKEN = 256;
/** Of the bodies of these requests together. */
const MAX_BODIES_OF_TOKEN_BYTES = 64 * 1024 * 1024;
const STREAMS: ReadonlySet<string> = new Set<Operation>(["wait", "logs", "events"]);
/** How soon a token that is revoked or has expired ends its streams. */
const GUARD_MS = 1_000;
const DRAIN_POLL_MS = 20;
const SESSIONS_LOGGED = 10;

export interface GatewayWorld {
  readonly deps: Pick<Deps, "clock">;
  readonly serviceOf: (caller: Caller) => SessionService;
  readonly authenticator: Authenticator;
  readonly calls: Calls;
  readonly log: Log;
  readonly hosts: ReadonlySet<string>;
}

interface Open {
  readonly isStream: boolean;
  readonly caller: Caller;
  /** Of what has come. */
  bodyBytes: number;
  readonly stop: AbortController;
}

type Line = { -readonly [Key in keyof RequestLine]: RequestLine[Key] };

export class HttpGateway {
  readonly #open = new Set<Open>();
  #requests = 0;
  #served = 0;
  #draining = false;

  constructor(private readonly world: GatewayWorld) {}

  /** How many requests are under way. */
  get requests(): number {
    return this.#requests;
  }

  /** How many there have been. */
  get served(): number {
    return this.#served;
  }

  /** Never throws. */
  async handle(
    via: RequestLine["via"],
    request: IncomingMessage,
    response: ServerResponse,
    /** Tells a client that waits with its body to send it. */
    goOn: () => void = () => {},
  ): Promise<void> {
    const { clock } = this.world.deps;
    const began = clock.monotonic();
    const line: Line = {
      via,
      method: request.method ?? "",
      operation: "-",
      status: 0,
      ms: 0,
      caller: null,
      name: null,
      sessions: [],
      error: null,
      end: null,
    };
    this.#requests++;
    this.#served++;
    response.on("error", () => {});
    try {
      setUsualHeaders(response);
      await this.#answer(request, response, line, goOn);
    } catch (thrown) {
      if (response.headersSent) response.destroy();
      else {
        // What was not read of the request is not read on.
        if (!request.complete) response.setHeader("connection", "close");
        const answered = answerError(response, thrown);
        [line.status, line.error] = [answered.status, answered.error];
      }
    } finally {
      this.#requests--;
      if (line.status === 0) line.status = response.statusCode;
      line.ms = Math.round((clock.monotonic() - began) * 10) / 10;
      this.world.log.request(line);
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    line: Line,
    goOn: () => void,
  ): Promise<void> {
    const rejection = rejectionOf(request.rawHeaders, this.world.hosts);
    if (rejection !== null) {
      throw httpError(rejection.status, rejection.status === 403 ? "refused" : "usage", rejection.message);
    }
    const target = targetOf(request.url ?? "", this.world.hosts);
    const route = routeOf(line.method, target, headerOf(request, "last-event-id"));
    switch (route.kind) {
      case "health":
        line.operation = "health";
        return answerJson(response, 200, { status: "healthy", ...US });
      case "legacy":
        line.operation = route.path;
        line.status = 426;
        if (!request.complete) response.setHeader("connection", "close");
        return answerJson(response, 426, legacyAnswer(), { upgrade: "dev-sessions" });
      case "operation":
      case "cancel":
      case "events":
        line.operation = route.kind === "operation" ? route.operation : route.kind;
        return await this.#serve(route, request, response, line, goOn);
    }
  }

  async #serve(
    route: Extract<Route, { kind: "operation" | "cancel" | "events" }>,
    request: IncomingMessage,
    response: ServerResponse,
    line: Line,
    goOn: () => void,
  ): Promise<void> {
    if (this.#draining) throw stopping();
    const authenticated = await this.world.authenticator.authenticate(headerOf(request, "authorization"));
    if (!authenticated.ok) {
      throw httpError(401, "refused", authenticated.message, { "www-authenticate": "Bearer" });
    }
    // The end may have begun meanwhile, and has no eye on what is not open yet.
    if (this.#draining) throw stopping();
    const { caller } = authenticated;
    line.caller = caller.kind === "master" ? "master" : caller.id;
    line.name = caller.kind === "master" ? null : caller.name;
    assertSameProtocol(request);
    const key = keyOf(request);
    if (route.kind === "cancel") {
      const stopped = key !== null && this.world.calls.cancel(ownerOf(caller), key);
      return answerJson(response, 200, { result: { stopped } });
    }
    this.#assertRoom(caller);
    const open: Open = {
      isStream: route.kind === "events" || STREAMS.has(route.operation),
      caller,
      bodyBytes: 0,
      stop: new AbortController(),
    };
    const hangUp = () => {
      if (!response.writableFinished) open.stop.abort({ kind: "hung_up" } satisfies Stop);
    };
    response.on("close", hangUp);
    if (response.destroyed) hangUp();
    this.#open.add(open);
    try {
      const checked = route.kind === "events"
        ? checkRequest("events", route.request)
        : checkRequest(route.operation, await readJson(request, goOn, (count) => this.#take(open, count)));
      line.sessions = sessionsOf(checked);
      const format = route.kind === "events" ? SERVER_SENT : LINES;
      line.error = await this.#run(checked, key, request, response, open, format);
    } finally {
      this.#open.delete(open);
      response.off("close", hangUp);
      line.end = open.stop.signal.aborted ? (open.stop.signal.reason as Stop).kind : null;
    }
  }

  async #run(
    checked: CheckedRequest,
    key: string | null,
    request: IncomingMessage,
    response: ServerResponse,
    { caller, stop }: Open,
    format: typeof LINES,
  ): Promise<ErrorCode | null> {
    const begun = this.world.calls.serve(this.world.serviceOf(caller), checked, {
      caller: ownerOf(caller),
      key,
      again: headerOf(request, HEADER.again) === "1",
      signal: stop.signal,
    });
    if (begun.kind === "stream") {
      const { clock } = this.world.deps;
      return await answerStream(response, begun.items, format, { clock, stop: stop.signal });
    }
    const result = await begun.result.catch((thrown) => {
      // Its caller has not interrupted anything.
      const isStopped = stop.signal.aborted && (stop.signal.reason as Stop).kind === "stopped";
      if (!isStopped || !(thrown instanceof AppError) || thrown.code !== "interrupted") throw thrown;
      throw httpError(503, "transport", `${thrown.message}: the gateway was stopped. Try again`);
    });
    if (!response.destroyed) answerJson(response, 200, { result: result ?? null });
    return null;
  }

  /** Ends the streams of tokens that are no longer valid; until the signal. */
  async guard(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.world.deps.clock.sleep(GUARD_MS, signal);
      const streams = [...this.#open].filter(({ isStream }) => isStream);
      const byCaller = Map.groupBy(
        streams,
        ({ caller }) => caller.kind === "master" ? caller.version : caller.id,
      );
      for (const some of byCaller.values()) {
        const [first] = some;
        const valid = first === undefined || this.world.authenticator.isStillValid(first.caller);
        if (valid === true) continue;
        const error = new AppError(
          "refused",
          "Cannot go on: the token is no longer valid",
        );
        // Where that can't be told, its reader takes it up again, and hears more then.
        const why: Stop = valid === "unknown" ? { kind: "stopped" } : { kind: "refused", error };
        for (const { stop } of some) stop.abort(why);
      }
    }
  }

  /** Takes no more requests, ends the streams, and waits for the rest; what takes too long is rolled back. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const { isStream, stop } of this.#open) if (isStream) stop.abort({ kind: "stopped" } satisfies Stop);
    if (await this.#isIdleWithin(DRAIN_MS)) return;
    for (const { stop } of this.#open) stop.abort({ kind: "stopped" } satisfies Stop);
    await this.#isIdleWithin(ROLL_BACK_MS);
  }

  async #isIdleWithin(ms: number): Promise<boolean> {
    const { clock } = this.world.deps;
    const deadline = clock.monotonic() + ms;
    while (this.#requests > 0) {
      if (clock.monotonic() >= deadline) return false;
      await clock.sleep(DRAIN_POLL_MS);
    }
    return true;
  }

  #assertRoom(caller: Caller): void {
    if (caller.kind === "master") return;
    const requests = this.#openOf(caller.id).length;
    if (requests >= MAX_REQUESTS_OF_TOKEN) {
      throw tooMuch(`${requests} requests with this token are under way`);
    }
  }

  /** More of a body has come. */
  #take(open: Open, count: number): void {
    open.bodyBytes += count;
    if (open.caller.kind === "master") return;
    const bytes = this.#openOf(open.caller.id).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    if (bytes > MAX_BODIES_OF_TOKEN_BYTES) {
      throw tooMuch("the requests with this token that are under way have too large bodies together");
    }
  }

  #openOf(token: string): Open[] {
    return [...this.#open].filter(({ caller }) => caller.kind === "token" && caller.id === token);
  }
}

function tooMuch(why: string) {
  return httpError(429, "refused", `Cannot do that now: ${why}`, { "retry-after": "1" });
}

function stopping() {
  return httpError(503, "transport", "Cannot do that now: the gateway is stopping. Try again", {
    "retry-after": "1",
    connection: "close",
  });
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}

/** A caller that says nothing of its protocol speaks ours. */
function assertSameProtocol(request: IncomingMessage): void {
  const protocol = headerOf(request, HEADER.protocol);
  if (protocol === undefined) return;
  const version = headerOf(request, HEADER.version) ?? "of an unknown version";
  const said = /^\d{1,9}$/.test(protocol) ? Number(protocol) : null;
  if (said === null) {
    throw httpError(400, "usage", "Cannot understand the request: its protocol is no number");
  }
  const mismatch = mismatchError({ protocol: said, version: version.slice(0, 40) }, US, "the gateway");
  if (mismatch !== null) throw httpError(426, mismatch.code, mismatch.message, { upgrade: "dev-sessions" });
}

/** Whose keys they are. */
function ownerOf(caller: Caller): string {
  return caller.kind === "master" ? "master" : `token ${caller.id}`;
}

/** Headers have no letters beyond ASCII: it comes as a part of an address would. */
function keyOf(request: IncomingMessage): string | null {
  const given = headerOf(request, HEADER.key);
  if (given === undefined) return null;
  let key = "";
  try {
    key = decodeURIComponent(given);
  } catch {
    // As if it were empty.
  }
  if (key.length > 0 && key.length <= MAX_KEY_LENGTH) return key;
  throw httpError(
    400,
    "usage",
    `Cannot understand the request: its key must be 1 to ${MAX_KEY_LENGTH} characters`,
  );
}

/** For the log: what was named. They are checked ids. */
function sessionsOf({ request }: CheckedRequest): SessionId[] {
  if ("id" in request) return request.id === null ? [] : [request.id];
  return "ids" in request && request.ids !== null ? request.ids.slice(0, SESSIONS_LOGGED) : [];
}
