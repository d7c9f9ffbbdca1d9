/** The gateway's log: one line of JSON for each request and for what is worth telling; never a body, never a token. */

import type { Clock } from "../lib/deps.ts";
import type { ErrorCode } from "../lib/errors.ts";
import { LOOKS_LIKE_TOKEN } from "./tokens.ts";

export interface RequestLine {
  readonly via: "tcp" | "unix";
  readonly method: string;
  /** Of the protocol, or the path of what is none; never a query. */
  readonly operation: string;
  readonly status: number;
  readonly ms: number;
  /** `master`, or the id of a token; null when nobody is known. */
  readonly caller: string | null;
  /** Of the token. */
  readonly name: string | null;
  readonly sessions: readonly string[];
  /** What the answer said; null for a result. */
  readonly error: ErrorCode | null;
  /** How it ended, when that was not by its answer. */
  readonly end: "hung_up" | "refused" | "stopped" | null;
}

export type Level = "info" | "warning" | "error";

export class Log {
  constructor(
    private readonly clock: Pick<Clock, "now">,
    private readonly write: (line: string) => void,
  ) {}

  request(line: RequestLine): void {
    const given = Object.entries(line).filter(([, value]) =>
      value !== null && !(Array.isArray(value) && value.length === 0)
    );
    const level = line.status >= 500
      ? "error"
      : line.status === 401 || line.status === 403
      ? "warning"
      : "info";
    this.#line(level, { event: "request", ...Object.fromEntries(given) });
  }

  say(level: Level, message: string): void {
    this.#line(level, { event: "message", message: message.trim() });
  }

  #line(level: Level, fields: Record<string, unknown>): void {
    const line = JSON.stringify({ time: new Date(this.clock.now()).toISOString(), level, ...fields });
    // The net below: no text that comes to stand here may give one away.
    this.write(`${line.replaceAll(new RegExp(LOOKS_LIKE_TOKEN, "g"), "[token]")}\n`);
  }
}
