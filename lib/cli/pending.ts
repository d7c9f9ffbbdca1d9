/** How the CLI speaks of what a session waits for. */

import { AppError } from "../errors.ts";
import type { PendingInput } from "../session.ts";
import { oneLine } from "./output.ts";

const NAMES: Readonly<Record<PendingInput["kind"], string>> = {
  permission: "a permission",
  question: "the answer to a question",
  plan: "the approval of a plan",
  dialog: "the answer to a dialog",
};

/** `a permission (Bash: rm -rf dist)` */
export function pendingPhrase(pending: PendingInput): string {
  const summary = oneLine(pending.summary);
  return summary === "" ? NAMES[pending.kind] : `${NAMES[pending.kind]} (${summary})`;
}

/** The command that answers it. */
export function answerHint(id: string): string {
  return `Answer it with: dev-sessions attach ${id}`;
}

/** The options to choose from, one per line; null when there are none. */
export function optionLines(pending: PendingInput): string | null {
  if (pending.options.length === 0) return null;
  return pending.options.map((option, index) => `${index + 1}. ${oneLine(option)}`).join("\n");
}

/** `"fizz-top" waits for a permission (...)`, with its options and the command that answers it. */
export function waitsForInput(id: string, pending: PendingInput): AppError {
  const lines = [optionLines(pending), answerHint(id)].filter((line) => line !== null);
  return new AppError("waiting_for_input", `"${id}" waits for ${pendingPhrase(pending)}`, lines.join("\n"));
}
