/** The stub agent's log of what reached it: every key, text and paste of its terminal, and every prompt it took. */

import type { InputEvent } from "./stub_agent_input.ts";
import { switches } from "./stub_agent_arguments.ts";

export type KeyRecord =
  | InputEvent
  /** What the model receives. */
  | { readonly kind: "prompt"; readonly text: string };

const folder = switches.get("keys");

/** With `STUB_AGENT=keys=<folder>`: appends to `<folder>/<pid>.jsonl`. */
export function recordKeys(record: KeyRecord): void {
  if (folder === undefined) return;
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/${Deno.pid}.jsonl`, `${JSON.stringify(record)}\n`, { append: true });
}
