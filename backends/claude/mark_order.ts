/**
 * Puts what an interrupted tool left back into its own turn: Claude starts the next turn of the queue before it writes
 * the tool's result and the interrupt line. Pure.
 */

import { type Mark, startsTurn } from "./transcript.ts";

/** The marks in the order of their turns; the very same list when nothing came late. */
export function inTurnOrder(marks: readonly Mark[]): readonly Mark[] {
  const ordered: Mark[] = [];
  /** Where the newest turn's first message stands in `ordered`. */
  let turn: number | null = null;
  let starting = false;
  let calls = new Set<string>();
  let moved = 0;
  let late = false;
  for (const mark of marks) {
    if (startsTurn(mark)) {
      if (!starting) turn = ordered.length;
      if (!starting) calls = new Set();
    } else if (mark.kind === "tool_use") calls.add(mark.id);
    starting = startsTurn(mark);
    // A call that is not of this turn was made in the one before it.
    late = turn !== null && fromQueue(ordered[turn] ?? mark) &&
      ((mark.kind === "tool_result" && !calls.has(mark.id)) || (late && mark.kind === "interrupted"));
    if (!late || turn === null) {
      ordered.push(mark);
      continue;
    }
    ordered.splice(turn++, 0, mark);
    moved++;
  }
  return moved === 0 ? marks : ordered;
}

/** A typed message starts a turn only when the one before it is over and written. */
function fromQueue(mark: Mark): boolean {
  return mark.kind === "task_notification" || (mark.kind === "prompt" && mark.source === "queued");
}

/** Says nothing of how a turn goes on. */
export function isQueueMark(mark: Mark): boolean {
  return mark.kind === "enqueued" || mark.kind === "dequeued" || mark.kind === "removed";
}
