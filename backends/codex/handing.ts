/** What a failed step of handing a message over means for the message. Pure. */

import { AppError, messageOf } from "../../lib/errors.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";

/**
 * `reach`: a connection that hears of the thread, without a word of the message. `message`: the one request that has it.
 * `start_queue`: the queue that stands still, with the message in it.
 */
export type HandingStep = "reach" | "message" | "start_queue";

export type Handed =
  | { readonly kind: "taken" }
  /** It is proven that nothing was taken, and that another attempt may go better. */
  | { readonly kind: "again"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string }
  /** The message has left this process, and nobody has said what became of it. */
  | { readonly kind: "unclear"; readonly reason: string };

/** Turns that come and go. */
export const TOO_FAST = "its turns begin and end faster than a message can go in";

/** Null for an error that is nobody's answer: a fault of our own. */
export function judgeFault(step: HandingStep, error: unknown): Handed | null {
  switch (step) {
    case "reach":
      return reachFault(error);
    case "message":
      return messageFault(error);
    case "start_queue":
      // The message is in the durable queue, whatever becomes of this.
      return { kind: "taken" };
  }
}

function reachFault(error: unknown): Handed | null {
  if (error instanceof AppError) return { kind: "refused", reason: error.message };
  if (error instanceof RpcError) return refusedBy(error);
  if (error instanceof ConnectionLost) return brokenBefore(error);
  // Another attempt would wait as long, and hear the same.
  if (error instanceof NoAnswer || error instanceof UnexpectedFrame) {
    return { kind: "refused", reason: `the Codex server does not tell of its thread: ${messageOf(error)}` };
  }
  return null;
}

function messageFault(error: unknown): Handed | null {
  if (error instanceof RpcError) {
    return /active turn/.test(error.message) ? { kind: "again", reason: TOO_FAST } : refusedBy(error);
  }
  if (error instanceof ConnectionLost && !error.sent) return brokenBefore(error);
  const mayBeDone = [ConnectionLost, NoAnswer, UnexpectedFrame].some((kind) => error instanceof kind);
  return mayBeDone ? { kind: "unclear", reason: messageOf(error) } : null;
}

function refusedBy({ message }: RpcError): Handed {
  return { kind: "refused", reason: `Codex refuses it: ${message}` };
}

function brokenBefore({ message }: ConnectionLost): Handed {
  return {
    kind: "again",
    reason: `the connection to the Codex server breaks before it can be sent: ${message}`,
  };
}
