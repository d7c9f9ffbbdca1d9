/** Which key says which answer, and which screens it may be pressed on. */

import { strictEqual } from "node:assert/strict";
import { isAnswered, keyFor, pressOf, showsDialog } from "../../../backends/claude/answer_keys.ts";
import type { TmuxResult } from "../../../backends/claude/tmux.ts";
import type { FittingAnswer, PendingInput } from "../../../lib/session.ts";
import { PERMISSION } from "../cli/harness.ts";

const option = (label: string) => ({ label, description: "" });
const question = (multiSelect: boolean, labels: string[]): PendingInput => ({
  ...PERMISSION,
  kind: "question",
  questions: [{ question: "Which colour?", header: "", multiSelect, options: labels.map(option) }],
});
const PLAN: PendingInput = { ...PERMISSION, kind: "plan" };
const picks = (...answers: string[][]): FittingAnswer => ({ kind: "answers", answers });

Deno.test("keyFor() is one key, or none", () => {
  const table: [request: PendingInput, answer: FittingAnswer, key: string | null][] = [
    [PERMISSION, { kind: "approve" }, "1"],
    [PERMISSION, { kind: "always" }, null],
    [PERMISSION, { kind: "deny", message: null }, "Escape"],
    [PERMISSION, { kind: "deny", message: "no" }, null],
    [PLAN, { kind: "approve" }, "1"],
    [question(false, ["Red", "Blue"]), picks(["Blue"]), "2"],
    [question(false, ["Red", "Blue"]), picks(["Mauve"]), null],
    [question(true, ["Red", "Blue"]), picks(["Blue"]), null],
    [question(false, ["Red"]), { kind: "deny", message: null }, "Escape"],
  ];
  for (const [request, answer, key] of table) {
    strictEqual(keyFor(request, answer)?.key ?? null, key, JSON.stringify(answer));
  }
});

const ask = (...lines: string[]) => lines.join("\n");
const DIALOG = ask(" Bash command", " rm -rf dist", " Do you want to proceed?", " ❯ 1. Yes", "   2. No");

Deno.test("showsDialog() knows the very dialog with its first option chosen", () => {
  const table: [holds: string, screen: string, request: PendingInput, shown: boolean][] = [
    ["the dialog", DIALOG, PERMISSION, true],
    ["another option chosen", DIALOG.replace("❯ 1.", "  1.").replace("  2.", "❯ 2."), PERMISSION, false],
    ["another command", DIALOG.replace("dist", "src"), PERMISSION, false],
    ["no dialog", "rm -rf dist\n❯ ", PERMISSION, false],
    ["an empty screen", "", PERMISSION, false],
    ["a request whose command is not known", DIALOG, { ...PERMISSION, input: { command: "" } }, false],
    ["a question", ask("Which colour?", "❯ 1. Red", "  2. Blue"), question(false, ["Red", "Blue"]), true],
    ["a question with other options", ask("Which colour?", "❯ 1. Ham"), question(false, ["Red"]), false],
    ["a plan", ask("Exit plan mode?", "❯ 1. Yes", "2. No"), PLAN, true],
    ["a permission instead of the plan", DIALOG, PLAN, false],
  ];
  for (const [holds, screen, request, shown] of table) {
    strictEqual(showsDialog(screen, request), shown, holds);
  }
});

Deno.test("pressOf() believes that a key was not pressed only where no pane could have taken it", () => {
  const table: [answer: TmuxResult, press: ReturnType<typeof pressOf>][] = [
    [{ kind: "ok", stdout: "" }, "pressed"],
    [{ kind: "unresponsive" }, "unconfirmed"],
    // tmux's command line was killed.
    [{ kind: "failed", reason: "other", message: "tmux exited with 137" }, "unconfirmed"],
    [{ kind: "failed", reason: "server_exited", message: "lost server" }, "unconfirmed"],
    [{ kind: "failed", reason: "no_target", message: "can't find pane: %1" }, "not_pressed"],
    [{ kind: "failed", reason: "no_server", message: "no server running on /s" }, "not_pressed"],
  ];
  for (const [answer, press] of table) strictEqual(pressOf(answer), press, JSON.stringify(answer));
});

Deno.test("isAnswered() needs an entry that has moved on", () => {
  const before = { status: "waiting", statusUpdatedAt: 5 } as const;
  const table: [now: Parameters<typeof isAnswered>[1], answered: boolean][] = [
    [null, false],
    [before, false],
    [{ status: "waiting", statusUpdatedAt: 4 }, false],
    [{ status: "waiting", statusUpdatedAt: 6 }, true],
    [{ status: "busy", statusUpdatedAt: 5 }, true],
    [{ status: "idle", statusUpdatedAt: 6 }, true],
  ];
  for (const [now, answered] of table) strictEqual(isAnswered(before, now), answered, JSON.stringify(now));
});
