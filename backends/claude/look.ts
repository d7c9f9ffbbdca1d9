/** One look at a pane: what its input box holds and whether a person is attached. It changes nothing. */

import { type InputBox, isVimInsert, readInputBox } from "./screen.ts";
import type { Tmux } from "./tmux.ts";

export interface BoxLook {
  readonly box: InputBox;
  readonly attached: boolean;
  readonly vimInsert: boolean;
}

/** `no_pane`: tmux answers, but has no such pane; `unresponsive`: nothing is known, also where its command line failed. */
export async function lookAtBox(tmux: Tmux, pane: string): Promise<BoxLook | "unresponsive" | "no_pane"> {
  const format = "#{cursor_x}\t#{cursor_y}\t#{session_attached}\t#{pane_id}";
  const result = await tmux.run([
    "display-message",
    "-p",
    "-t",
    pane,
    format,
    ";",
    "capture-pane",
    "-p",
    "-e",
    "-t",
    pane,
  ]);
  if (result.kind === "unresponsive") return "unresponsive";
  if (result.kind === "failed") return result.reason === "other" ? "unresponsive" : "no_pane";
  const end = result.stdout.indexOf("\n");
  const [x, y, attached, found] = result.stdout.slice(0, end).split("\t");
  if (found !== pane) return "no_pane";
  const capture = { text: result.stdout.slice(end + 1), cursorX: Number(x), cursorY: Number(y) };
  return { box: readInputBox(capture), attached: Number(attached) > 0, vimInsert: isVimInsert(capture) };
}
