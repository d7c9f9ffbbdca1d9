/** The requests of a server, whoever carries them: begun, kept from being done twice, and stopped when their caller says so. */

import type { Clock } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";
import type { SessionService } from "../lib/service.ts";
import { OPERATIONS } from "../lib/wire.ts";
import { begin, type CheckedRequest, type Dispatched } from "./dispatch.ts";
import { Repeats } from "./repeats.ts";

export interface Attempt {
  /** Whose idempotency keys these are: a token, a connection. */
  readonly caller: string;
  /** The idempotency key. */
  readonly key: string | null;
  /** An earlier attempt with this key may have arrived. */
  readonly again: boolean;
  /** Aborted when the caller has hung up. */
  readonly signal: AbortSignal;
}

export class Calls {
  readonly #repeats: Repeats;
  readonly #running = new Map<string, Set<AbortController>>();

  constructor(clock: Pick<Clock, "monotonic" | "sleep">) {
    this.#repeats = new Repeats(clock);
  }

  /** As `begin()`; what the server's memory keeps from being done twice is done once for all its attempts. */
  serve(service: SessionService, checked: CheckedRequest, attempt: Attempt): Dispatched {
    const { operation, request } = checked;
    const { caller, key, again, signal } = attempt;
    if (OPERATIONS[operation].kind === "stream") return begin(service, checked, signal);
    if (key === null) return { kind: "call", result: resultOf(begin(service, checked, signal), signal) };
    if (OPERATIONS[operation].keptBy !== "memory") {
      return this.#cancellable(service, checked, caller, key, signal);
    }
    const start = (own: AbortSignal) => resultOf(begin(service, checked, own), own);
    return {
      kind: "call",
      result: this.#repeats.run({ caller, key, again, operation, request }, start, signal),
    };
  }

  /**
   * Stops what runs with this key; its answer still comes, and says what it came to.
   *
   * @returns whether anything ran with it.
   */
  cancel(caller: string, key: string): boolean {
    const running = this.#running.get(nameOf(caller, key));
    for (const stop of running ?? []) stop.abort();
    return this.#repeats.cancel(caller, key) || running !== undefined;
  }

  #cancellable(
    service: SessionService,
    checked: CheckedRequest,
    caller: string,
    key: string,
    signal: AbortSignal,
  ): Dispatched {
    const stop = new AbortController();
    const name = nameOf(caller, key);
    const running = this.#running.get(name) ?? new Set();
    this.#running.set(name, running.add(stop));
    const done = () => {
      running.delete(stop);
      if (running.size === 0) this.#running.delete(name);
    };
    const own = AbortSignal.any([signal, stop.signal]);
    const run = async () => {
      try {
        return await resultOf(begin(service, checked, own), own);
      } finally {
        done();
      }
    };
    return { kind: "call", result: run() };
  }
}

async function resultOf(begun: Dispatched, signal: AbortSignal): Promise<unknown> {
  if (begun.kind !== "call") throw new Error("a stream has no single result");
  try {
    return await begun.result;
  } catch (error) {
    throw meaningOf(error, signal);
  }
}

/** Of what a service throws. What gives up because it is stopped throws the signal's reason: that is no failure. Pure. */
export function meaningOf(error: unknown, signal: Pick<AbortSignal, "aborted" | "reason">): unknown {
  if (!signal.aborted || error !== signal.reason || error instanceof AppError) return error;
  return new AppError("interrupted", "Interrupted");
}

function nameOf(caller: string, key: string): string {
  return JSON.stringify([caller, key]);
}
