/** Waits for turns to end: woken by the backends' watches, bounded by the monotonic clock, nothing typed or changed. */

import type { Backend } from "../backends/backend.ts";
import type { WaitRequest, WaitResult } from "./service.ts";
import type { Session, StateName } from "./session.ts";
import type { Clock } from "./deps.ts";

/** One session of a wait with what is needed to judge it. */
export interface WaitTarget {
  readonly session: Session;
  readonly backend: Backend;
  /** Null: nothing was ever sent. */
  readonly anchor: unknown;
}

/**
 * Yields each target's outcome as it becomes known, with `any` only the first. After `timeoutMs` the targets that
 * are still open time out together.
 */
export async function* waitForTurns(
  targets: readonly WaitTarget[],
  options: Pick<WaitRequest, "any" | "timeoutMs" | "pollMs" | "background">,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<WaitResult> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  // Not compared with the clock afterwards: a timer may fire a fraction of a millisecond early.
  const expiry = clock.sleep(options.timeoutMs, stop).then(() => over.abort());
  const open = new Map(
    targets.map((
      target,
    ) => [target.session.id, waitForOne(target, options, stop).then((result) => ({ result }))]),
  );
  try {
    while (open.size > 0) {
      const { result } = await Promise.race(open.values());
      open.delete(result.id);
      if (signal.aborted) return;
      yield result;
      if (options.any && result.outcome.outcome !== "timed_out") return;
    }
  } finally {
    over.abort();
    await Promise.allSettled([...open.values(), expiry]);
  }
}

async function waitForOne(
  target: WaitTarget,
  options: Pick<WaitRequest, "pollMs" | "background">,
  stop: AbortSignal,
): Promise<WaitResult> {
  const { session, backend } = target;
  let state: StateName = "unknown";
  // The watch starts before the first look, so that nothing falls in between; it yields once at its start.
  for await (const _ of backend.watch(session, options.pollMs, stop)) {
    const judged = await backend.outcome(session, target.anchor, {
      background: options.background,
      signal: stop,
    });
    // A look that was broken off says less than the one before.
    if (!stop.aborted || judged.state.state !== "unknown") state = judged.state.state;
    if (judged.outcome !== null) return { id: session.id, outcome: judged.outcome, state: judged.state };
    if (stop.aborted) break;
  }
  return { id: session.id, outcome: { outcome: "timed_out", state }, state: null };
}
