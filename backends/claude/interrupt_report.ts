/** What a stop came to, as the one who asked for it is told. Pure. */

import { AppError } from "../../lib/errors.ts";
import type { BackgroundTask, Interruption, PendingInput } from "../../lib/session.ts";
import type { AfterEscape, TurnRef } from "./interrupt_plan.ts";

/** One step towards the result. */
export type Step =
  | {
    readonly kind: "stopped";
    readonly after: Extract<AfterEscape, { kind: "stopped" }>;
    readonly note: string | null;
  }
  | { readonly kind: "ended"; readonly turn: TurnRef; readonly reason: string }
  | { readonly kind: "rest"; readonly background: readonly BackgroundTask[] }
  | { readonly kind: "refused"; readonly reason: string; readonly pending: PendingInput | null }
  | { readonly kind: "unproven"; readonly turn: TurnRef; readonly reason: string };

export type Stopped = Extract<Step, { kind: "stopped" }>;

/** What waits behind the turn, and what goes on. */
export type Left = Pick<Interruption, "queued" | "background">;

const EVIDENCE = {
  line: "transcript: interrupt line",
  rewound: "live registry: at rest without an end; transcript: no answer",
  registry: "live registry: at rest without an end",
} as const;

/** The turn behind which something may wait; null when none was touched. */
export function touchedTurn(step: Step): TurnRef | null {
  switch (step.kind) {
    case "rest":
    case "refused":
      return null;
    case "stopped":
      return step.after.turn;
    case "ended":
    case "unproven":
      return step.turn;
  }
}

/** Escape is never pressed into a dialog: it might answer it. */
export function refusalWhileWaiting(pending: PendingInput): Step {
  return { kind: "refused", reason: `it waits for a ${pending.kind} (${pending.summary})`, pending };
}

/** What keeps a further turn from its key does not hide that turns were stopped before; null where none was. */
export function cutShort(stopped: readonly Stopped[], error: unknown): Step | null {
  const last = stopped.at(-1);
  const isUnpressed = error instanceof AppError &&
    (error.code === "interrupted" || error.code === "not_delivered");
  if (last === undefined || !isUnpressed) return null;
  const reason = `what came after it was not stopped: ${error.message}`;
  return { kind: "unproven", turn: last.after.turn, reason };
}

/** @param left behind the touched turn, now. */
export function reportOf(stopped: readonly Stopped[], last: Step, left: Left | null): Interruption {
  const base = {
    queued: [] as string[],
    background: [] as readonly BackgroundTask[],
    ...left,
    stopped: stopped.map(({ after }) => firstLine(after.turn.texts.join(" / "))),
    reason: null,
    evidence: null,
    pending: null,
  };
  switch (last.kind) {
    case "rest":
      return { ...base, result: "not_running", background: last.background };
    case "refused":
      return { ...base, result: "refused", reason: last.reason, pending: last.pending };
    case "unproven":
      return { ...base, result: "unproven", reason: last.reason };
    case "ended":
      return { ...base, result: "ended_by_itself", reason: last.reason };
    case "stopped": {
      const { after, note } = last;
      const reasons = stopped.flatMap((step) => step.note === null ? [] : [step.note]);
      if (after.overtaken) reasons.push("the turn before it had just ended by itself");
      return {
        ...base,
        result: "interrupted",
        reason: reasons.length === 0 ? note : reasons.join("; "),
        evidence: EVIDENCE[after.how],
      };
    }
  }
}

export function firstLine(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
