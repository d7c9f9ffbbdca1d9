/** What is known of a Codex session at one moment: the data that every decision is made from. */

import * as v from "valibot";
import type { Goal as NeutralGoal, SendMode } from "../../lib/session.ts";
import type { Goal, QueuedSubmission, ServerRequest, Thread, ThreadItem, Turn } from "./frames.ts";

/** What is known of a Codex session at one moment. Data only. */
export interface CodexEvidence {
  /** Milliseconds since the epoch, taken before the first source was asked. */
  readonly at: number;
  /** `up`: connected; `down`: proven that no server runs; `unknown`: can't be told (frozen, refused, timeout). */
  readonly server: "up" | "down" | "unknown";
  /** Null: not known to the server, or not asked. */
  readonly thread: Thread | null;
  /** The newest ones, oldest first, with their items where a decision needs them. */
  readonly turns: readonly Turn[];
  readonly goal: Goal | null;
  readonly requests: readonly OpenRequest[];
  /** In the order in which they are taken up. */
  readonly queued: readonly QueuedMessage[];
  /** The server's last word on trying again in the running turn. */
  readonly retrying: Retrying | null;
  /** The newest message that went in; it may be on its way into the records. */
  readonly sent?: CodexAnchor | null;
  /** A look `SETTLE_MS` earlier showed the same, see `needsSecondLook()`. */
  readonly settled?: boolean;
}

/** A turn's end gets into the records this much after the thread is at rest (measured: up to 20 ms), with much room. */
export const SETTLE_MS = 1_000;

/** A request of the server that nobody has answered yet. */
export interface OpenRequest {
  readonly request: ServerRequest;
  /** The item that it is about: only there stands the diff of a file change. */
  readonly item: ThreadItem | null;
  /** Milliseconds since the epoch. */
  readonly since: number | null;
}

/** A message that waits in the server's durable queue. */
export type QueuedMessage = QueuedSubmission;

export interface Retrying {
  readonly message: string;
  readonly at: number;
}

/** Where the records stood when a message went in. */
export interface CodexAnchor {
  readonly v: 1;
  /** The receipt; the server keeps it as the message's `clientId`. */
  readonly clientId: string;
  /** The newest turn before it; null for none. */
  readonly afterTurn: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly mode: SendMode;
}

/** Whether the app-server has the thread in its archive, where nothing runs. */
export function isArchived({ path }: Pick<Thread, "path">): boolean {
  return path !== null && path.includes("/archived_sessions/");
}

/** As the rest of the house knows it. */
export function neutralGoal(goal: Goal): NeutralGoal {
  const { threadId, objective, status, tokenBudget, tokensUsed, timeUsedSeconds, createdAt, updatedAt } =
    goal;
  return { threadId, objective, status, tokenBudget, tokensUsed, timeUsedSeconds, createdAt, updatedAt };
}

const anchor = v.object({
  v: v.literal(1),
  clientId: v.string(),
  afterTurn: v.nullable(v.string()),
  at: v.number(),
  mode: v.picklist(["queue", "steer", "interrupt"]),
}) satisfies v.GenericSchema<CodexAnchor>;

/** Null for what is no anchor of ours, as for a session that nothing was ever sent to. */
export function codexAnchorOf(stored: unknown): CodexAnchor | null {
  const parsed = v.safeParse(anchor, stored);
  return parsed.success ? parsed.output : null;
}
