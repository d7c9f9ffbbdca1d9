/** States that need no look at a thread: it has ended, its container is gone, or nothing is known of it. Pure. */

import type { Session, TurnState } from "../../lib/session.ts";
import type { CodexEvidence } from "./evidence.ts";
import { parseHandle } from "./handle.ts";

/** Its server does not run, and without its container it never will. */
export function isContainerGone(session: Session, { server }: CodexEvidence): boolean {
  return server === "down" && parseHandle(session.handle)?.container !== undefined;
}

export function goneState(): Extract<TurnState, { state: "gone" }> {
  const reason = "its container is gone";
  const evidence = [{ source: "container engine", finding: reason }];
  return { state: "gone", reason, since: null, evidence, background: [], lastTurn: null };
}

export function endedState(session: Session): TurnState {
  return {
    state: "gone",
    reason: session.endReason ?? "ended",
    since: session.endedAt,
    evidence: [{ source: "registry", finding: `ended (${session.endReason ?? "no reason kept"})` }],
    background: [],
    lastTurn: null,
  };
}

/** Of a session that an earlier version started and whose thread is not proven to be there. */
export function lostState(): TurnState {
  return unknownState(
    "an earlier version of dev-sessions started it, and its thread could not be found",
    "registry",
  );
}

export function unknownState(reason: string, source = "app-server"): TurnState {
  return {
    state: "unknown",
    reason,
    since: null,
    evidence: [{ source, finding: reason }],
    background: [],
    lastTurn: null,
  };
}
