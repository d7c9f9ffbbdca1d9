/** How a message goes in, by what is known right before. Pure. */

import type { SendMode } from "../../lib/session.ts";
import type { CodexEvidence } from "./evidence.ts";

export type DeliveryPlan =
  /** A turn of its own, now. */
  | { readonly way: "start" }
  /** Behind the running turn; `held`: the queue stands still and has to be started. */
  | { readonly way: "queue"; readonly held: boolean }
  /** Into this turn, and no other. */
  | { readonly way: "steer"; readonly turnId: string };

/**
 * What `turn/start` does on a running turn depends on the moment, so that it is used on an idle thread only. A queue
 * that stands still on one was held by an interrupt: what is in it goes first.
 */
export function planDelivery(
  evidence: Pick<CodexEvidence, "thread" | "turns" | "queued">,
  mode: SendMode,
): DeliveryPlan {
  const running = runningTurn(evidence);
  if (running !== null) {
    return mode === "steer" ? { way: "steer", turnId: running } : { way: "queue", held: false };
  }
  // After our own interrupt the message is what the caller wants now; the queue goes on behind it.
  if (mode === "interrupt" || evidence.queued.length === 0) return { way: "start" };
  return { way: "queue", held: true };
}

/**
 * Its id; null when none runs. The thread is told to be idle a little before its turn is told to be over, and takes a
 * new one then, so that both must agree on a running one.
 */
export function runningTurn({ thread, turns }: Pick<CodexEvidence, "thread" | "turns">): string | null {
  const last = turns.at(-1);
  if (last === undefined || last.status !== "inProgress") return null;
  return thread === null || thread.status.type === "notLoaded" ? null : last.id;
}
