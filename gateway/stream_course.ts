/** How far a stream has come, and what to ask for to get the rest of it. Pure. */

import { parseCursor } from "../lib/events.ts";
import type { EventRecord } from "../lib/events.ts";
import type { EventsRequest, WaitRequest, WaitResult } from "../lib/service.ts";
import type { Operation, Requests } from "../lib/wire.ts";

export type Next =
  | {
    readonly kind: "ask";
    readonly request: unknown;
    /** Since the beginning; null when the stream has no end of its own. */
    readonly limitMs: number | null;
    /** Worth many attempts: the stream is one that lasts. */
    readonly lasting: boolean;
  }
  /** All that was asked for has come. */
  | { readonly kind: "done" }
  /** It can't be known what is missing. */
  | { readonly kind: "lost"; readonly message: (where: string) => string };

export class Course {
  #taken = 0;
  /** Of those that come again after a break, as a log does from its beginning. */
  #skip = 0;
  #last: unknown = null;
  readonly #done = new Set<string>();

  constructor(private readonly operation: Operation, private readonly request: unknown) {}

  /** Notes what came; false for what came before. */
  take(item: unknown): boolean {
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    this.#taken++;
    this.#last = item;
    if (this.operation === "wait") this.#done.add((item as WaitResult).id);
    return true;
  }

  /** What to ask for after the stream broke, `elapsedMs` after its beginning. */
  next(elapsedMs: number): Next {
    switch (this.operation) {
      case "wait":
        return this.#nextWait(this.request as WaitRequest, elapsedMs);
      case "events":
        return this.#nextEvents(this.request as EventsRequest);
      default: {
        // It is only added to, and comes from its beginning each time.
        this.#skip = this.#taken;
        const follow = (this.request as Partial<Requests["logs"]>).follow === true;
        return { kind: "ask", request: this.request, limitMs: null, lasting: follow };
      }
    }
  }

  #nextWait(request: WaitRequest, elapsedMs: number): Next {
    const ids = request.ids.filter((id) => !this.#done.has(id));
    if (ids.length === 0 || (request.any && this.#done.size > 0)) return { kind: "done" };
    if (request.until === "next_turn") {
      return {
        kind: "lost",
        message: (where) =>
          `Cannot go on waiting for the next turn: the connection to ${where} broke, and the turn may have ended ` +
          `since. Look with: dev-sessions status ${ids[0]}`,
      };
    }
    return {
      kind: "ask",
      request: { ...request, ids, timeoutMs: Math.max(0, request.timeoutMs - elapsedMs) },
      limitMs: request.timeoutMs,
      lasting: true,
    };
  }

  #nextEvents(request: EventsRequest): Next {
    const cursor = this.#last === null ? null : (this.#last as EventRecord).cursor;
    const since = typeof cursor === "string" ? parseCursor(cursor) : request.since;
    if (since !== "now" && !(cursor !== null && since === null)) {
      return { kind: "ask", request: { ...request, since }, limitMs: null, lasting: request.follow };
    }
    return {
      kind: "lost",
      message: (where) =>
        `Cannot go on with the events: the connection to ${where} broke before one came with a place to go on from. ` +
        "Some may be missing; read them all with: dev-sessions events",
    };
  }
}
