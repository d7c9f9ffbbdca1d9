/** How a message goes in, by what is known right before. Pure. */

import type { SendMode } from "../../lib/session.ts";
import { courseOf } from "./course.ts";
import type { CodexEvidence } from "./evidence.ts";

export type DeliveryPlan =
  /** A turn of its own, now. */
  | { readonly way: "start" }
  /** Behind the running turn; `held`: the queue stands still and has to be started. */
  | { readonly way: "queue"; readonly held: boolean }
  /** Into this turn, and no other. */
  | { readonly way: "steer"; readonly turnId: string };

type Sources = Pick<CodexEvidence, "server" | "thread" | "turns" | "queued" | "settled">;

/**
 * What `turn/start` does on a running turn depends on the moment, so that it is used on an idle thread only. A queue
 * that stands still on one was held by an interrupt: what is in it goes first.
 *
 * @returns null between two turns, where a message can't be put into one, and where the server does not tell what runs:
 * look again.
 */
export function planDelivery(evidence: Sources, mode: SendMode): DeliveryPlan | null {
  if (evidence.server !== "up") return null;
  const running = runningTurn(evidence);
  if (running !== null || evidence.thread?.status.type === "active") {
    if (mode !== "steer") return { way: "queue", held: false };
    return running === null ? null : { way: "steer", turnId: running };
  }
  // After our own interrupt the message is what the caller wants now; the queue goes on behind it.
  if (mode === "interrupt" || evidence.queued.length === 0) return { way: "start" };
  return { way: "queue", held: true };
}

/** Its id; null when none runs as far as the records tell. */
export function runningTurn(evidence: Omit<Sources, "queued">): string | null {
  const newest = evidence.turns.at(-1);
  if (newest === undefined) return null;
  const course = courseOf(newest, evidence);
  return course === "running" || course === "unsettled" ? newest.id : null;
}
