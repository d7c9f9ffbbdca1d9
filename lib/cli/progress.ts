/** The line that tells a person at a terminal who works since when, and what is waited for. Pure. */

import type { SessionId, TurnState } from "../session.ts";
import { oneLine } from "./output.ts";
import { pendingPhrase } from "./pending.ts";

const SEPARATOR = " · ";
/** From here on characters may take two cells; where they don't, the line is only shorter. */
const FIRST_WIDE_CODE_POINT = 0x1100;

export interface Doing {
  readonly id: SessionId;
  readonly state: TurnState;
}

/**
 * `fizz-top working 1m 20s · riven-jg waiting for a permission (Bash: rm -rf dist)`, at most as wide as the terminal.
 * @param now milliseconds since the epoch.
 */
export function progressLine(doings: readonly Doing[], now: number, columns: number): string {
  // The last cell stays free: some terminals begin another line when it is written.
  return fitted(doings.map((doing) => phrase(doing, now)).join(SEPARATOR), columns - 1);
}

function phrase({ id, state }: Doing, now: number): string {
  switch (state.state) {
    case "working":
      return [id, "working", ...since(state, now)].join(" ");
    case "waiting_for_input":
      return `${id} waiting for ${pendingPhrase(state.pending)}`;
    case "idle":
    case "gone":
    case "unknown":
      return `${id} ${state.state}`;
  }
}

function since(state: TurnState, now: number): string[] {
  const at = state.since === null ? NaN : Date.parse(state.since);
  return Number.isNaN(at) ? [] : [duration(now - at)];
}

/** `45s`, `1m 20s`, `2h 05m` */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds}s`;
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}

/** The text on one line of so many cells, without anything that steers a terminal. */
export function fitted(text: string, cells: number): string {
  const line = oneLine(text);
  let [used, end, full] = [0, 0, ""];
  for (const character of line) {
    used += (character.codePointAt(0) ?? 0) < FIRST_WIDE_CODE_POINT ? 1 : 2;
    // One cell is kept for the sign of what is cut off.
    if (used <= cells - 1) end += character.length;
    if (used > cells) return cells < 1 ? "" : `${line.slice(0, end)}…`;
    full += character;
  }
  return full;
}
