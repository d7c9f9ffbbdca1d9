/**
 * A carrier that outlives its connections: what may be asked again is asked again, a stream goes on where it broke, and
 * nothing is carried out twice. What became of a request is never guessed.
 */

import type { Clock } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";
import { type Operation, OPERATIONS } from "../lib/wire.ts";
import type { Peer } from "../lib/wire/handshake.ts";
import { type CallOptions, type Carrier, CarrierError, interrupted } from "./carrier.ts";
import { Course } from "./stream_course.ts";

/** Before each further attempt; together longer than a service takes to start again. */
const PAUSES_MS: readonly number[] = [100, 300, 700, 1_500];
/** Between the attempts to take up a stream, after those above. */
const OUTAGE_PAUSE_MS = 2_000;
/** A stream without a time limit of its own is taken up for so long. */
const LONGEST_OUTAGE_MS = 600_000;

export class LastingCarrier implements Carrier {
  constructor(private readonly inner: Carrier, private readonly clock: Pick<Clock, "monotonic" | "sleep">) {}

  get where(): string {
    return this.inner.where;
  }

  peer(): Peer | null {
    return this.inner.peer();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  async call(operation: Operation, request: unknown, options: CallOptions): Promise<unknown> {
    const mayRepeat = OPERATIONS[operation].repeatable || options.key !== null;
    let again = options.again ?? false;
    for (let attempt = 0;; attempt++) {
      try {
        return await this.inner.call(operation, request, { ...options, again });
      } catch (error) {
        if (!(error instanceof CarrierError)) throw error;
        again ||= !error.told.unsent;
        if (options.signal?.aborted) throw interrupted(operation, again);
        const pause = PAUSES_MS[attempt];
        if (pause === undefined || error.told.hopeless || (again && !mayRepeat)) {
          throw again && !OPERATIONS[operation].repeatable ? lostAnswer(operation, this.where, error) : error;
        }
        await this.clock.sleep(pause, options.signal);
        if (options.signal?.aborted) throw interrupted(operation, again);
      }
    }
  }

  async *stream(operation: Operation, request: unknown, options: CallOptions): AsyncGenerator<unknown> {
    const { signal } = options;
    const course = new Course(operation, request);
    const begun = this.clock.monotonic();
    let lastGood = begun;
    let failures = 0;
    let reached = false;
    for (let asked = request;;) {
      try {
        for await (const item of this.inner.stream(operation, asked, options)) {
          reached = true;
          failures = 0;
          if (course.take(item)) yield item;
          lastGood = this.clock.monotonic();
        }
        return;
      } catch (error) {
        if (!(error instanceof CarrierError) || signal?.aborted) throw error;
        if (!error.told.unsent) {
          if (!reached) lastGood = this.clock.monotonic();
          reached = true;
        }
        const now = this.clock.monotonic();
        const next = course.next(now - begun);
        if (next.kind === "done") return;
        if (next.kind === "lost") {
          throw reached
            ? new CarrierError(next.message(this.where), { unsent: false }, null, { cause: error })
            : error;
        }
        const limit = next.limitMs === null ? lastGood + LONGEST_OUTAGE_MS : begun + next.limitMs;
        const pause = PAUSES_MS[failures++] ?? (reached && next.lasting ? OUTAGE_PAUSE_MS : null);
        if (pause === null || error.told.hopeless || now >= limit) throw error;
        await this.clock.sleep(Math.min(pause, limit - now), signal);
        if (signal?.aborted) return;
        asked = next.request;
      }
    }
  }
}

function lostAnswer(operation: Operation, where: string, cause: CarrierError): AppError {
  return new AppError(
    "unproven",
    `Cannot tell what became of ${operation}: ${where} was asked, but its answer was lost. It may have been done; ` +
      "look before you do it again: dev-sessions list --all",
    cause.message,
    { cause },
  );
}
