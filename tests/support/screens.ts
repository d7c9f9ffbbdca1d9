/** Screens of Claude Code 2.1.330 as `tmux capture-pane -p -e` gives them (120 columns, 40 rows), with the caret. */

import { join } from "node:path";
import type { ScreenCapture } from "../../backends/claude/screen.ts";

/** Column and row of the caret, 0-based. */
const CARETS = {
  idle_fresh: [2, 6],
  idle_after_turn: [2, 12],
  draft_one_line: [5, 6],
  draft_three_lines: [7, 8],
  draft_cursor_home: [2, 12],
  draft_wrapped: [110, 18],
  draft_one_big_paste: [28, 6],
  bash_mode_empty: [2, 12],
  bash_mode_draft: [3, 12],
  busy_empty: [2, 18],
  busy_queued_placeholder: [2, 21],
  busy_draft: [3, 21],
  slash_popup: [3, 12],
  help_question: [2, 12],
  ctrl_s_stash: [2, 12],
  ctrl_r_search: [18, 35],
  ctrl_o_transcript: [0, 38],
  model_dialog: [2, 22],
  ask_dialog: [0, 30],
  permission_dialog: [1, 20],
  trust_dialog: [1, 13],
  bypass_dialog: [2, 13],
  onboarding: [1, 22],
  no_login: [2, 10],
  native_default_start: [2, 6],
  vim_insert_draft: [14, 36],
  vim_normal_draft: [13, 36],
  draft_taller_than_screen: [81, 36],
} as const satisfies Record<string, readonly [number, number]>;

export type ScreenName = keyof typeof CARETS;
export const SCREEN_NAMES = Object.keys(CARETS) as ScreenName[];

export function screen(name: ScreenName): ScreenCapture {
  const text = Deno.readTextFileSync(join(import.meta.dirname!, "screens", `${name}.txt`));
  const [cursorX, cursorY] = CARETS[name];
  return { text, cursorX, cursorY };
}

/** The screen without colours and attributes. */
export function plain(name: ScreenName): string {
  // deno-lint-ignore no-control-regex
  return screen(name).text.replace(/\x1b\[[0-9;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x0e\x0f]/g, "");
}
