/**
 * Puts what an interrupted turn left back into it: Claude may start the next turn of the queue before it writes the
 * tool's result and the interrupt line. Pure.
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
  for (const [index, mark] of marks.entries()) {
    // A line that the turn goes on behind was not its own end.
    const overtaken = mark.kind === "interrupted" && starting && goesOn(marks, index);
    if (startsTurn(mark)) {
      if (!starting) turn = ordered.length;
      if (!starting) calls = new Set();
    } else if (mark.kind === "tool_use") calls.add(mark.id);
    starting = startsTurn(mark);
    // A call that is not of this turn was made in the one before it.
    late = turn !== null && fromQueue(ordered[turn] ?? mark) &&
      ((mark.kind === "tool_result" && !calls.has(mark.id)) || (late && mark.kind === "interrupted") ||
        overtaken);
    if (!late || turn === null) {
      ordered.push(mark);
      continue;
    }
    ordered.splice(turn++, 0, mark);
    moved++;
  }
  return moved === 0 ? marks : ordered;
}

/** Whether anything is said or done behind this mark before another turn starts. */
function goesOn(marks: readonly Mark[], index: number): boolean {
  for (let next = index + 1; next < marks.length; next++) {
    const mark = marks[next]!;
    if (startsTurn(mark)) return false;
    if (mark.kind === "assistant_text" || mark.kind === "tool_use" || mark.kind === "turn_end") return true;
  }
  return false;
}

/** A typed message starts a turn only when the one before it is over and written. */
function fromQueue(mark: Mark): boolean {
  return mark.kind === "task_notification" || (mark.kind === "prompt" && mark.source === "queued");
}

/** Says nothing of how a turn goes on. */
export function isQueueMark(mark: Mark): boolean {
  return mark.kind === "enqueued" || mark.kind === "dequeued" || mark.kind === "removed";
}
