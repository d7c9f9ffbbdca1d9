/** Decides what became of a typed message, from what was recorded since its anchor. Pure. */

import type { Interruption, Liveness, PendingInput, SendMode, SendResult } from "../../lib/session.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import type { InputBox } from "./screen.ts";
import { endsWithText, showsOnlyText } from "./screen.ts";
import { textKey, textKeyOf } from "./text_match.ts";

export interface Verdict {
  readonly result: SendResult;
  readonly reason: string | null;
  readonly evidence: string | null;
}

/** Begins Claude's notice when a user's own UserPromptSubmit hook refuses a prompt. */
const BLOCKED_BY_HOOK = "UserPromptSubmit operation blocked by hook";

/** Stands between the hook's reason and what was prompted. */
const ORIGINAL_PROMPT = "\n\nOriginal prompt:";

/**
 * Null: not in the records yet. The hook event alone proves nothing, since a user's own hook may still refuse the
 * prompt; it counts only where no transcript is kept and the turn has gone on.
 */
export function judgeReceipt(
  since: Pick<ClaudeEvidence, "events" | "marks">,
  key: string,
  transcript: ClaudeEvidence["transcript"],
): Verdict | null {
  for (const mark of since.marks) {
    if (mark.kind === "informational" && mark.text.startsWith(BLOCKED_BY_HOOK)) {
      const [reason = "", ...original] = mark.text.split(ORIGINAL_PROMPT);
      // A hook refuses whatever is prompted: a person's line and a background task's report, too.
      if (original.length > 0 && textKey(original.join(ORIGINAL_PROMPT)) !== key) continue;
      return { result: "refused", reason: reason.trim(), evidence: "transcript" };
    }
    if (textKeyOf(mark) !== key) continue;
    switch (mark.kind) {
      case "enqueued":
      case "absorbed_prompt":
        return { result: "queued", reason: null, evidence: "transcript: enqueued" };
      case "prompt":
        // One that was queued before our anchor and reads the same is not this message.
        if (mark.source === "queued") break;
        return { result: "submitted", reason: null, evidence: "transcript: user prompt" };
    }
  }
  if (transcript === "present") return null;
  const accepted = acceptedAt(since, key);
  const ended = since.events.slice(accepted + 1).some((event) =>
    event.event === "Stop" || event.event === "StopFailure"
  );
  return accepted !== -1 && ended
    ? { result: "submitted", reason: null, evidence: "hooks: UserPromptSubmit and Stop" }
    : null;
}

/** Adds what the sender asked for beyond the delivery and what came of that, as far as the record proves it. */
export function explainMode(
  verdict: Verdict,
  mode: SendMode,
  stopped: Interruption | null,
  since: Pick<ClaudeEvidence, "marks">,
  key: string,
): Verdict {
  if (verdict.result !== "submitted" && verdict.result !== "queued") return verdict;
  switch (mode) {
    case "queue":
      return verdict;
    case "steer": {
      if (verdict.result === "submitted") return verdict;
      const absorbed = since.marks.some((mark) => mark.kind === "absorbed_prompt" && textKeyOf(mark) === key);
      const reason = absorbed
        ? "the running turn has taken it up"
        : "the running turn takes it up after its current step if another one follows, else it is the next turn";
      return { ...verdict, reason };
    }
    case "interrupt": {
      const parts: string[] = [];
      if (stopped?.result === "interrupted") parts.push("the running turn was interrupted");
      if (stopped?.result === "ended_by_itself") parts.push("the running turn ended by itself");
      if (verdict.result === "queued") {
        const count = stopped?.queued.length ?? 0;
        parts.push(
          count > 0 ? `${count} message(s) that were queued before it run first` : "another turn runs first",
        );
      }
      return { ...verdict, reason: parts.length === 0 ? null : parts.join("; ") };
    }
  }
}

/** Index of the hook event of this message, -1 when there is none. */
export function acceptedAt(since: Pick<ClaudeEvidence, "events">, key: string): number {
  return since.events.findIndex((event) =>
    event.event === "UserPromptSubmit" && textKey(event.body.prompt ?? "") === key
  );
}

/** Whether any record has the message, accepted or not. */
export function isOnRecord(since: Pick<ClaudeEvidence, "events" | "marks">, key: string): boolean {
  return acceptedAt(since, key) !== -1 || since.marks.some((mark) => textKeyOf(mark) === key);
}

/** Whether one more Enter is safe and needed: our text, and nothing else, still stands in the box. */
export function mayPressEnter(
  box: InputBox | null,
  text: string,
  since: Pick<ClaudeEvidence, "events" | "marks">,
  key: string,
): boolean {
  if (box?.kind !== "draft" || acceptedAt(since, key) !== -1) return false;
  return showsOnlyText(box.text, text);
}

/** Whether the agent is still at taking in a long text: its end is not in the box yet, and the box has changed. */
export function isTakingIn(box: InputBox | null, before: InputBox | null, text: string): boolean {
  if (box?.kind !== "draft" || endsWithText(box.text, text)) return false;
  return before?.kind !== "draft" || before.text !== box.text;
}

/** What remains to be said when the time for a proof is over. */
export function verdictWithoutProof(
  box: InputBox | null,
  text: string,
  since: Pick<ClaudeEvidence, "events" | "marks">,
  key: string,
  process: Liveness,
): Verdict {
  const seen = acceptedAt(since, key) !== -1;
  const stands = box?.kind === "draft" && endsWithText(box.text, text);
  if (stands && seen) {
    return {
      result: "refused",
      reason: "a hook of the user's own settings refused it; its text stands in the input box again",
      evidence: "hook UserPromptSubmit, then the text back in the box",
    };
  }
  if (stands) {
    return {
      result: "typed_not_submitted",
      reason: "its text stands in the input box, but the agent did not accept it",
      evidence: "screen",
    };
  }
  if (process === "dead") {
    return {
      result: "indeterminate",
      reason: "the agent died before its record had the message",
      evidence: null,
    };
  }
  return {
    result: "indeterminate",
    reason: seen
      ? "the agent saw it (hook UserPromptSubmit), but no turn and no queue entry was recorded"
      : box?.kind === "draft"
      ? `the agent's record does not have it, and its input box holds something else: "${
        firstLine(box.text)
      }"`
      : "the agent's record does not have it, and it is not in the input box either",
    evidence: seen ? "hook UserPromptSubmit" : null,
  };
}

/** Why nothing may be typed now; null: go on. */
export function vetoTyping(
  box: InputBox,
  attached: boolean,
  pending: PendingInput | null,
): { readonly reason: string; readonly pending: PendingInput | null } | null {
  if (pending !== null) {
    return { reason: `it waits for a ${pending.kind} (${pending.summary})`, pending };
  }
  switch (box.kind) {
    case "empty":
      return null;
    case "draft":
      return {
        reason: `its input box holds text that was not sent: "${firstLine(box.text)}"`,
        pending: null,
      };
    case "other_mode":
      return { reason: `its input box is in ${box.what}`, pending: null };
    case "unrecognised":
      return attached
        ? { reason: "a person is attached and its screen shows no input box", pending: null }
        : null;
  }
}

function firstLine(text: string): string {
  const line = text.split("\n")[0] ?? "";
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
