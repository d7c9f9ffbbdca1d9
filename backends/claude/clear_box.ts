/**
 * Clears the message that Claude puts back into its input box when a turn is stopped before anything was answered:
 * there it would block every later message. Anything else in the box stays.
 */

import type { Clock } from "../../lib/deps.ts";
import { lookAtBox } from "./look.ts";
import { showsOnlyText, showsPartOfText } from "./screen.ts";
import type { Tmux } from "./tmux.ts";

/** One Ctrl-U clears one line of the box, the next one joins it with the line above; 100 at once count as a paste. */
const KEYS_AT_ONCE = "20";
const ROUNDS = 60;
const POLL_MS = 150;

/** @param options.works whether a turn has begun meanwhile; then no key is pressed any more. */
export async function clearGivenBack(
  tmux: Tmux,
  pane: string,
  text: string,
  options: { readonly clock: Clock; readonly works: () => boolean },
): Promise<"cleared" | "left" | "not_there"> {
  let seen = false;
  for (let round = 0; round < ROUNDS; round++) {
    const look = await lookAtBox(tmux, pane);
    if (typeof look === "string") break;
    const { box } = look;
    if (box.kind === "empty" && seen) return "cleared";
    if (box.kind === "draft") {
      seen ||= showsOnlyText(box.text, text);
      // Whoever edits it has made it a draft.
      if (!seen || !showsPartOfText(box.text, text) || options.works()) break;
      await tmux.run(["send-keys", "-t", pane, "-N", KEYS_AT_ONCE, "C-u"]);
    }
    await options.clock.sleep(POLL_MS);
  }
  return seen ? "left" : "not_there";
}
