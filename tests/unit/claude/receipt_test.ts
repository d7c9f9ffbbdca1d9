/** What became of a typed message, and whether a key may be pressed for it. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { ClaudeEvidence } from "../../../backends/claude/evidence.ts";
import {
  acceptedAt,
  explainMode,
  isOnRecord,
  isTakingIn,
  judgeReceipt,
  mayPressEnter,
  verdictWithoutProof,
  vetoTyping,
} from "../../../backends/claude/receipt.ts";
import type { InputBox } from "../../../backends/claude/screen.ts";
import { textKey } from "../../../backends/claude/text_match.ts";
import type { Interruption, Liveness, PendingInput, SendMode, SendResult } from "../../../lib/session.ts";
import { failed, hook, mark, stopped, submitted } from "../../support/claude_evidence.ts";

type Since = Partial<Pick<ClaudeEvidence, "events" | "marks">>;
const full = (since: Since) => ({ events: since.events ?? [], marks: since.marks ?? [] });
const draft = (text: string): InputBox => ({ kind: "draft", text });
const BLOCKED = "UserPromptSubmit operation blocked by hook:\n[policy.sh]: no\n\n\nOriginal prompt: go";

Deno.test("judgeReceipt() believes the transcript, and hooks alone only where none is kept", () => {
  const table: [holds: string, since: Since, transcript: "present" | "missing", result: string | null][] = [
    ["nothing yet", {}, "present", null],
    ["nothing yet, no transcript", {}, "missing", null],
    ["the hook alone", { events: [submitted(1, "go")] }, "present", null],
    ["the hook and a Stop, transcript behind", { events: [submitted(1, "go"), stopped(2)] }, "present", null],
    ["the hook alone, no transcript", { events: [submitted(1, "go")] }, "missing", null],
    ["hook and Stop, no transcript", { events: [submitted(1, "go"), stopped(2)] }, "missing", "submitted"],
    [
      "hook and StopFailure, no transcript",
      { events: [submitted(1, "go"), failed(2)] },
      "missing",
      "submitted",
    ],
    ["a Stop before the hook, no transcript", { events: [stopped(1), submitted(2, "go")] }, "missing", null],
    ["only a Stop, no transcript", { events: [stopped(1)] }, "missing", null],
    ["another's hook and Stop", { events: [submitted(1, "x"), stopped(2)] }, "missing", null],
    ["its prompt", { marks: [mark.prompt(1, "go")] }, "present", "submitted"],
    [
      "its prompt as an older Claude records it",
      { marks: [mark.prompt(1, "go", "other")] },
      "present",
      "submitted",
    ],
    ["its prompt behind a guard", { marks: [mark.prompt(1, "\u2800go ")] }, "present", "submitted"],
    ["another prompt", { marks: [mark.prompt(1, "gone")] }, "present", null],
    ["enqueued", { marks: [mark.enqueued(1, "go")] }, "present", "queued"],
    ["absorbed", { marks: [mark.absorbed(1, "go")] }, "present", "queued"],
    [
      "enqueued and taken up since",
      { marks: [mark.enqueued(1, "go"), mark.prompt(9, "go", "queued")] },
      "present",
      "queued",
    ],
    ["one that was queued before us", { marks: [mark.prompt(1, "go", "queued")] }, "present", null],
    [
      "one that was queued before us, then ours",
      { marks: [mark.prompt(1, "go", "queued"), mark.prompt(2, "go")] },
      "present",
      "submitted",
    ],
    [
      "a user's hook refused it",
      { events: [submitted(1, "go")], marks: [mark.notice(2, BLOCKED)] },
      "present",
      "refused",
    ],
    [
      "taken, then another refused",
      { marks: [mark.prompt(1, "go"), mark.notice(2, BLOCKED)] },
      "present",
      "submitted",
    ],
    [
      "another's was refused, then ours is taken",
      { marks: [mark.notice(1, BLOCKED.replace(/go$/, "else")), mark.prompt(2, "go")] },
      "present",
      "submitted",
    ],
    ["another's was refused", { marks: [mark.notice(1, BLOCKED.replace(/go$/, "else"))] }, "present", null],
    [
      "a refusal that does not say of what",
      { marks: [mark.notice(1, "UserPromptSubmit operation blocked by hook:\nno")] },
      "present",
      "refused",
    ],
    ["another notice", { marks: [mark.notice(2, "Unknown command: /go")] }, "present", null],
    ["a reply that reads the same", { marks: [mark.text(2, "go")] }, "present", null],
  ];
  for (const [holds, since, transcript, result] of table) {
    strictEqual(judgeReceipt(full(since), textKey("go"), transcript)?.result ?? null, result, holds);
  }
});

Deno.test("judgeReceipt() gives the words of the hook that refused, without the prompt", () => {
  strictEqual(
    judgeReceipt(full({ marks: [mark.notice(1, BLOCKED)] }), textKey("go"), "present")?.reason,
    "UserPromptSubmit operation blocked by hook:\n[policy.sh]: no",
  );
});

Deno.test("acceptedAt() finds the event of this message", () => {
  const events = [submitted(1, "x"), stopped(2), submitted(3, "\u2800/go "), hook("UserPromptSubmit", 4)];
  strictEqual(acceptedAt({ events }, textKey("/go")), 2);
  strictEqual(acceptedAt({ events }, textKey("y")), -1);
  strictEqual(acceptedAt({ events: [] }, textKey("y")), -1);
});

Deno.test("mayPressEnter() only while our text, and nothing else, stands in the box", () => {
  const long = Array.from({ length: 80 }, (_, line) => `line ${line} of the brief`).join("\n");
  const table: [holds: string, box: InputBox | null, text: string, allowed: boolean][] = [
    ["our text", draft("fix the bug"), "fix the bug", true],
    ["our text in several lines", draft("one\ntwo"), "one\ntwo", true],
    ["our text wrapped by the box", draft("one two\nthree"), "one two three", true],
    ["our text behind a guard", draft("\u2800/review x"), "/review x", true],
    ["our text without what Claude removed", draft("/review x"), "/re\u200bview x", true],
    ["our text in another normal form", draft("caf\u00e9"), "cafe\u0301", true],
    ["the end of a tall text", draft(long.slice(500)), long, true],
    ["no screen", null, "fix", false],
    ["an empty box", { kind: "empty" }, "fix", false],
    ["bash mode", { kind: "other_mode", what: "bash mode" }, "fix", false],
    ["no box", { kind: "unrecognised" }, "fix", false],
    ["half of our text", draft("fix the"), "fix the bug", false],
    ["our text and more", draft("fix the bug now"), "fix the bug", false],
    ["a person's draft before our text", draft("do not fix the bug"), "fix the bug", false],
    ["a person's draft that ends like ours", draft("looks ok"), "ok", false],
    ["a person's draft before a long text", draft(`wait: ${long}`), long, false],
    ["a paste that Claude folded", draft("[Pasted text #1 +29 lines]"), "fix", false],
    ["a text of which nothing is visible", draft("x"), "\u200b", false],
  ];
  for (const [holds, box, text, allowed] of table) {
    strictEqual(mayPressEnter(box, text, full({}), textKey(text)), allowed, holds);
  }
  const seen = full({ events: [submitted(1, "fix")] });
  strictEqual(mayPressEnter(draft("fix"), "fix", seen, textKey("fix")), false, "the hook saw it");
});

Deno.test("isTakingIn() while the text grows in the box and its end is not there", () => {
  const text = "line 1\nline 2\nline 3";
  const table: [holds: string, box: InputBox | null, before: InputBox | null, result: boolean][] = [
    ["the first look", draft("line 1"), null, true],
    ["it has grown", draft("line 1\nline 2"), draft("line 1"), true],
    ["it stands still", draft("line 1"), draft("line 1"), false],
    ["all of it is there", draft(text), draft("line 1"), false],
    ["the box is empty", { kind: "empty" }, draft("line 1"), false],
    ["no box", { kind: "unrecognised" }, draft("line 1"), false],
    ["no screen", null, draft("line 1"), false],
  ];
  for (const [holds, box, before, result] of table) strictEqual(isTakingIn(box, before, text), result, holds);
});

Deno.test("verdictWithoutProof() says what is seen, never more", () => {
  const seen = { events: [submitted(1, "go")] };
  const table: [box: InputBox | null, since: Since, process: Liveness, result: string][] = [
    [draft("go"), {}, "alive", "typed_not_submitted"],
    [draft("go"), seen, "alive", "refused"],
    [draft("other"), {}, "alive", "indeterminate"],
    [{ kind: "empty" }, {}, "alive", "indeterminate"],
    [{ kind: "empty" }, seen, "alive", "indeterminate"],
    [null, {}, "unknown", "indeterminate"],
    [null, {}, "dead", "indeterminate"],
    [{ kind: "unrecognised" }, seen, "dead", "indeterminate"],
  ];
  for (const [box, since, process, result] of table) {
    const verdict = verdictWithoutProof(box, "go", full(since), textKey("go"), process);
    strictEqual(verdict.result, result, JSON.stringify([box, since, process]));
    ok(verdict.reason, "a reason is always given");
  }
});

Deno.test("vetoTyping() lets nothing pass that would not be our message alone", () => {
  const pending: PendingInput = {
    kind: "permission",
    tool: "Bash",
    input: null,
    summary: "Bash: rm -rf dist",
    detail: null,
    options: ["approve", "deny"],
    questions: [],
    always: null,
    subagent: null,
    answerable: "direct",
    requestId: null,
    since: null,
  };
  const table: [box: InputBox, attached: boolean, pending: PendingInput | null, reason: string | null][] = [
    [{ kind: "empty" }, false, null, null],
    [{ kind: "empty" }, true, null, null],
    [{ kind: "unrecognised" }, false, null, null],
    [{ kind: "unrecognised" }, true, null, "a person is attached and its screen shows no input box"],
    [draft("half\nmore"), false, null, 'its input box holds text that was not sent: "half"'],
    [draft("x".repeat(90)), true, null, `its input box holds text that was not sent: "${"x".repeat(59)}…"`],
    [{ kind: "other_mode", what: "bash mode" }, false, null, "its input box is in bash mode"],
    [{ kind: "empty" }, false, pending, "it waits for a permission (Bash: rm -rf dist)"],
    [draft("half"), true, pending, "it waits for a permission (Bash: rm -rf dist)"],
  ];
  for (const [box, attached, asks, reason] of table) {
    deepStrictEqual(
      vetoTyping(box, attached, asks),
      reason === null ? null : { reason, pending: asks },
      JSON.stringify([box, attached]),
    );
  }
});

Deno.test("isOnRecord() is true for any trace of the message", () => {
  const table: [holds: string, since: Since, found: boolean][] = [
    ["nothing", {}, false],
    ["the hook", { events: [submitted(1, "go")] }, true],
    ["its prompt", { marks: [mark.prompt(1, "go")] }, true],
    ["enqueued", { marks: [mark.enqueued(1, "go")] }, true],
    ["taken back", { marks: [mark.removed(1, "go", "popAll")] }, true],
    ["another message", { events: [submitted(1, "x")], marks: [mark.prompt(1, "x")] }, false],
    ["a reply that reads the same", { marks: [mark.text(1, "go")] }, false],
  ];
  for (const [holds, since, found] of table) {
    strictEqual(isOnRecord(full(since), textKey("go")), found, holds);
  }
});

Deno.test("explainMode() claims no more than the record proves", () => {
  const stoppedWith = (result: Interruption["result"], queued: string[] = []): Interruption => ({
    result,
    stopped: [],
    queued,
    background: [],
    reason: null,
    evidence: null,
    pending: null,
  });
  const later =
    "the running turn takes it up after its current step if another one follows, else it is the next turn";
  const table: [
    result: SendResult,
    mode: SendMode,
    interruption: Interruption | null,
    since: Since,
    reason: string | null,
  ][] = [
    ["submitted", "queue", null, {}, null],
    ["queued", "queue", null, {}, null],
    ["submitted", "steer", null, {}, null],
    ["queued", "steer", null, { marks: [mark.enqueued(1, "go")] }, later],
    ["queued", "steer", null, { marks: [mark.absorbed(1, "another")] }, later],
    ["queued", "steer", null, { marks: [mark.absorbed(1, "go")] }, "the running turn has taken it up"],
    ["submitted", "interrupt", stoppedWith("not_running"), {}, null],
    ["submitted", "interrupt", stoppedWith("interrupted"), {}, "the running turn was interrupted"],
    ["submitted", "interrupt", stoppedWith("ended_by_itself"), {}, "the running turn ended by itself"],
    [
      "queued",
      "interrupt",
      stoppedWith("interrupted", ["a", "b"]),
      {},
      "the running turn was interrupted; 2 message(s) that were queued before it run first",
    ],
    ["queued", "interrupt", stoppedWith("not_running"), {}, "another turn runs first"],
    ["indeterminate", "interrupt", stoppedWith("interrupted"), {}, "as it was"],
    ["typed_not_submitted", "steer", null, {}, "as it was"],
  ];
  for (const [result, mode, interruption, since, reason] of table) {
    const before = reason === "as it was" ? reason : null;
    const verdict = { result, reason: before, evidence: null };
    deepStrictEqual(explainMode(verdict, mode, interruption, full(since), textKey("go")), {
      ...verdict,
      reason,
    });
  }
});
