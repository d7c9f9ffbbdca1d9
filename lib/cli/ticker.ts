/** Brings a progress line now and then while something else takes its time; the something is never held up by it. */

import type { Deps } from "../deps.ts";
import type { SessionService } from "../service.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { type Doing, progressLine } from "./progress.ts";

/** What is over at once shows no line. */
const FIRST_MS = 500;
const PERIOD_MS = 1_000;
/** More would not fit into a line. */
const SHOWN_SESSIONS = 8;
const USUAL_COLUMNS = 80;

/** Whether a person looks: never with JSON, in a pipe, or on a terminal that can't rewrite a line. */
export function showsProgress({ terminal, env }: Deps, json: boolean): boolean {
  return !json && terminal.stderrIsTerminal() && env["TERM"] !== "dumb";
}

/** The results as they come, with a progress line about these sessions in between. */
export async function* withProgress(
  results: AsyncIterable<Result>,
  ids: () => readonly SessionId[],
  service: SessionService,
  { clock, terminal }: Deps,
  signal: AbortSignal,
): AsyncGenerator<Result> {
  const iterator = results[Symbol.asyncIterator]();
  const looks = new Set<Promise<unknown>>();
  const tick = async (ms: number, stop: AbortSignal): Promise<string | null> => {
    await clock.sleep(ms, stop);
    if (stop.aborted) return null;
    const look = doing(ids().slice(0, SHOWN_SESSIONS), service);
    looks.add(look);
    const doings = await look;
    looks.delete(look);
    return doings.length === 0
      ? null
      : progressLine(doings, clock.now(), terminal.columns?.() ?? USUAL_COLUMNS);
  };
  try {
    let ms = FIRST_MS;
    for (let next = iterator.next();;) {
      const over = new AbortController();
      const line = tick(ms, AbortSignal.any([signal, over.signal]));
      // Once stopped, only the end of the results counts.
      const first = await (signal.aborted ? next : Promise.race([next, line]));
      over.abort();
      if (typeof first === "string") yield { progress: first };
      if (first !== null && typeof first !== "string") {
        if (first.done) return;
        yield first.value;
        next = iterator.next();
      }
      ms = PERIOD_MS;
    }
  } finally {
    await iterator.return?.();
    await Promise.allSettled(looks);
  }
}

/** Those whose state can't be told now are left out. */
async function doing(ids: readonly SessionId[], service: SessionService): Promise<Doing[]> {
  const states = await Promise.allSettled(ids.map((id) => service.status(id)));
  return states.flatMap((state, index) =>
    state.status === "fulfilled" ? [{ id: ids[index]!, state: state.value }] : []
  );
}
