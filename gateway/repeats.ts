/**
 * What a server remembers of requests that must not be carried out twice: a repetition joins the one that runs or gets
 * its answer, and one that can't be known any more is told so rather than carried out. In memory and bounded.
 */

import { AppError } from "../lib/errors.ts";
import type { Clock } from "../lib/deps.ts";
import { sha256 } from "../lib/sha256.ts";
import { decodeError, encodeError } from "../lib/wire/errors.ts";

/** A client has given up long before. */
const REMEMBERED_MS = 600_000;
/** Beyond it, whoever has most of them loses the oldest. */
const MAX_REMEMBERED = 1_000;
/** A larger answer is not kept, its repetition is `unproven`. */
const MAX_ANSWER_CHARACTERS = 256 * 1024;
/** How long a request goes on when its caller has hung up, so that the caller may come back for it. */
const GRACE_MS = 5_000;

export interface Repeatable {
  /** Whose key it is: another caller's equal key is another key. */
  readonly caller: string;
  readonly key: string;
  /** Whether an earlier attempt may have arrived. */
  readonly again: boolean;
  readonly operation: string;
  /** As it was checked: the same key with another request is an error. */
  readonly request: unknown;
}

interface Entry {
  readonly caller: string;
  /** A hash of what was asked, since that may be large and this is kept for long. */
  readonly fingerprint: Promise<string>;
  readonly since: number;
  answer: Promise<unknown>;
  readonly stop: AbortController;
  callers: number;
  /** When the last one of them has left. */
  leftAt: number;
  /** Null while it runs. */
  outcome: "kept" | "too large" | null;
}

export class Repeats {
  readonly #entries = new Map<string, Entry>();

  constructor(private readonly clock: Pick<Clock, "monotonic" | "sleep">) {}

  /**
   * Runs it once for all attempts with its key.
   *
   * @param signal of this attempt: when all attempts have been given up, the run's own signal follows after 5 s.
   * @throws what the run throws, for every attempt; AppError (unproven) when an earlier attempt can't be known;
   * AppError (usage) when the key was used for another request.
   */
  async run(
    asked: Repeatable,
    start: (signal: AbortSignal) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<unknown> {
    this.#forgetOld();
    const name = nameOf(asked.caller, asked.key);
    const fingerprint = sha256(JSON.stringify([asked.operation, asked.request]));
    const known = this.#entries.get(name);
    if (known === undefined && asked.again) throw unknownEarlier(asked.operation);
    if (known === undefined) return await this.#join(this.#begin(asked, fingerprint, start), signal);
    return await this.#join(known, signal, async () => {
      if (await known.fingerprint !== await fingerprint) {
        throw new AppError(
          "usage",
          `Cannot ${asked.operation}: its idempotency key was used for another request. Use another key`,
        );
      }
      if (known.outcome === "too large") throw unknownEarlier(asked.operation);
    });
  }

  /** Stops it at once, as its caller asked; its answer says what it came to. False when it does not run. */
  cancel(caller: string, key: string): boolean {
    const entry = this.#entries.get(nameOf(caller, key));
    if (entry === undefined || entry.outcome !== null) return false;
    entry.stop.abort();
    return true;
  }

  #begin(
    { caller, key }: Repeatable,
    fingerprint: Promise<string>,
    start: (signal: AbortSignal) => Promise<unknown>,
  ): Entry {
    const stop = new AbortController();
    const entry: Entry = {
      caller,
      fingerprint,
      since: this.clock.monotonic(),
      // Also what `start` throws at once is the answer.
      answer: Promise.try(start, stop.signal),
      stop,
      callers: 0,
      leftAt: 0,
      outcome: null,
    };
    const keep = (size: number) => {
      entry.outcome = size > MAX_ANSWER_CHARACTERS ? "too large" : "kept";
      if (entry.outcome === "too large") entry.answer = Promise.resolve();
    };
    entry.answer.then((value) => keep(JSON.stringify(value)?.length ?? 0), (thrown) => {
      // An error as it was thrown may hold on to the whole request.
      const said = encodeError(thrown);
      entry.answer = Promise.reject(decodeError(said));
      entry.answer.catch(() => {});
      keep(said.message.length + (said.detail?.length ?? 0));
    });
    this.#entries.set(nameOf(caller, key), entry);
    return entry;
  }

  /** @param check what an attempt is told instead; from its beginning on it counts as one that waits. */
  async #join(entry: Entry, signal: AbortSignal, check?: () => Promise<void>): Promise<unknown> {
    entry.callers++;
    const left = () => void this.#left(entry);
    signal.addEventListener("abort", left, { once: true });
    if (signal.aborted) left();
    try {
      await check?.();
      return await entry.answer;
    } finally {
      await entry.fingerprint;
      signal.removeEventListener("abort", left);
      if (!signal.aborted) entry.callers--;
    }
  }

  async #left(entry: Entry): Promise<void> {
    entry.callers--;
    entry.leftAt = this.clock.monotonic();
    if (entry.outcome !== null) return;
    const ended = new AbortController();
    const stop = () => ended.abort();
    entry.answer.then(stop, stop);
    await this.clock.sleep(GRACE_MS, ended.signal);
    const alone = entry.callers === 0 && this.clock.monotonic() - entry.leftAt >= GRACE_MS;
    if (alone && entry.outcome === null) entry.stop.abort();
  }

  /** What runs is never forgotten. */
  #forgetOld(): void {
    const before = this.clock.monotonic() - REMEMBERED_MS;
    for (const [name, entry] of this.#entries) {
      if (entry.outcome !== null && entry.since < before) this.#entries.delete(name);
    }
    while (this.#entries.size >= MAX_REMEMBERED && this.#forgetOneOfMost());
  }

  /** False when all of them run. */
  #forgetOneOfMost(): boolean {
    const settled = [...this.#entries].filter(([, { outcome }]) => outcome !== null);
    const byCaller = [...Map.groupBy(settled, ([, { caller }]) => caller).values()];
    const [most] = byCaller.sort((a, b) => b.length - a.length);
    const oldest = most?.[0]?.[0];
    return oldest !== undefined && this.#entries.delete(oldest);
  }
}

function nameOf(caller: string, key: string): string {
  return JSON.stringify([caller, key]);
}

function unknownEarlier(operation: string): AppError {
  return new AppError(
    "unproven",
    `Cannot tell what became of ${operation}: its answer was lost, and the dev-sessions that was asked does not know ` +
      `it any more. It may have been done; look before you do it again: dev-sessions list --all`,
  );
}
