/** Decides what became of a message that was sent, from the server's records. Pure. */

import type { SendResult } from "../../lib/session.ts";
import { hasClientId } from "./course.ts";
import type { CodexAnchor, CodexEvidence } from "./evidence.ts";

export interface Verdict {
  readonly result: Extract<SendResult, "submitted" | "queued">;
  readonly reason: string | null;
  readonly evidence: string;
}

/**
 * Null: not in the records (yet), which proves nothing before two looks at rest, see `needsSecondLook()`.
 *
 * `submitted` when a turn began with it; `queued` when it waits in the queue or went into a turn that ran.
 */
export function judgeReceipt(
  evidence: Pick<CodexEvidence, "turns" | "queued">,
  anchor: Pick<CodexAnchor, "clientId">,
): Verdict | null {
  const turn = evidence.turns.find((one) => hasClientId(one, anchor.clientId));
  if (turn !== undefined) {
    const first = turn.items.find((item) => item.type === "userMessage" || item.type === "agentMessage");
    // The turn of a goal begins without a message.
    return first?.type === "userMessage" && first.clientId === anchor.clientId
      ? { result: "submitted", reason: null, evidence: `turn ${turn.id}` }
      : { result: "queued", reason: "the running turn has taken it up", evidence: `turn ${turn.id}` };
  }
  const place = evidence.queued.findIndex(({ clientUserMessageId }) =>
    clientUserMessageId === anchor.clientId
  );
  if (place === -1) return null;
  return {
    result: "queued",
    reason: place === 0 ? null : `${place} message(s) that were queued before it run first`,
    evidence: "thread/queue/list",
  };
}
