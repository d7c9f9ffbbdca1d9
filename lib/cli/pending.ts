/** How the CLI speaks of what a session waits for, and of the command that answers it. */

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

/** The command that answers it, of several that are pending with its request id. */
function answerCommand(id: string, pending: PendingInput, several = false): string {
  if (pending.answerable === "terminal") return `dev-sessions attach ${id}`;
  const request = several && pending.requestId !== null ? ` --request ${pending.requestId}` : "";
  return `dev-sessions respond ${id}${request} ${exampleAnswer(pending)}`;
}

function exampleAnswer(pending: PendingInput): string {
  switch (pending.kind) {
    case "permission":
    case "plan":
    case "dialog":
      return "--approve";
    case "question":
      return pending.questions.map(({ options }) =>
        options.length === 0 ? '--option "text:..."' : "--option 1"
      )
        .join(" ");
  }
}

/** `Answer it with: dev-sessions respond fizz-top --approve` */
export function answerHint(id: string, pending: PendingInput, several = false): string {
  return `Answer it with: ${answerCommand(id, pending, several)}`;
}

/** What may be answered, one per line; null when only its terminal knows. */
export function optionLines(pending: PendingInput): string | null {
  if (pending.questions.length === 0) {
    if (pending.options.length === 0) return null;
    return pending.options.map((option) =>
      option === "always" && pending.always !== null
        ? `always: ${oneLine(pending.always)}, in this session`
        : oneLine(option)
    ).join("\n");
  }
  return pending.questions.flatMap(({ question, multiSelect, options }) => [
    ...(pending.questions.length === 1 && !multiSelect
      ? []
      : [`${oneLine(question)}${multiSelect ? " (several may be chosen)" : ""}`]),
    ...options.map(({ label, description }, index) =>
      `${index + 1}. ${oneLine(label)}${description === "" ? "" : ` (${oneLine(description)})`}`
    ),
  ]).join("\n");
}

/** For people: what it is, all of what is to be approved, what may be answered, and with which command. */
export function pendingLines(id: string, pending: PendingInput, several: boolean): string[] {
  const from = pending.subagent === null ? "" : `, asked by its sub-agent ${oneLine(pending.subagent)}`;
  const since = pending.since === null ? "" : `, since ${pending.since}`;
  return [
    `${pendingPhrase(pending)}${from}${since}`,
    ...(pending.detail?.split("\n") ?? []).map((line) => `  | ${line}`),
    ...(optionLines(pending)?.split("\n") ?? []).map((line) => `  ${line}`),
    ...(pending.requestId === null ? [] : [`request ${pending.requestId}`]),
    answerHint(id, pending, several),
  ];
}

/** `"fizz-top" waits for a permission (...)`, with its options and the command that answers it. */
export function waitsForInput(
  id: string,
  pending: PendingInput,
  others: readonly PendingInput[] = [],
): AppError {
  const lines = others.length > 0
    ? [pending, ...others].flatMap((one) => pendingLines(id, one, true))
    : [optionLines(pending), answerHint(id, pending)];
  return new AppError(
    "waiting_for_input",
    `"${id}" waits for ${pendingPhrase(pending)}${others.length === 0 ? "" : ` and ${others.length} more`}`,
    lines.filter((line) => line !== null).join("\n"),
  );
}
