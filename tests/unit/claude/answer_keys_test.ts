/** Which key says which answer, and which screens it may be pressed on. */

import { match, rejects, strictEqual } from "node:assert/strict";
import { keyFor, pressAnswer, showsDialog } from "../../../backends/claude/answer_keys.ts";
import type { TmuxResult } from "../../../backends/claude/tmux.ts";
import { AppError } from "../../../lib/errors.ts";
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

/** What a press comes to that tmux answers so, of a dialog that stays. */
async function press(answer: TmuxResult): Promise<AppError> {
  let now = 0;
  const clock = {
    now: () => Date.now(),
    monotonic: () => now,
    sleep: (ms: number) => Promise.resolve(void (now += ms)),
  };
  const waiting = { status: "waiting", statusUpdatedAt: 1 };
  const world = {
    deps: { clock },
    session: { id: "fizz-top" },
    observer: {
      handle: { pane: "%1", configFolder: "/none" },
      registry: () => waiting,
      registryFile: () => null,
      transcript: () => "/none/t.jsonl",
    },
    tmux: {
      run: ([command]: string[]): Promise<TmuxResult> =>
        Promise.resolve(command === "send-keys" ? answer : { kind: "ok", stdout: DIALOG }),
    },
  } as unknown as Parameters<typeof pressAnswer>[0];
  const request = { ...PERMISSION, since: "2026-01-01T00:00:00.000Z" };
  let thrown: unknown;
  await rejects(
    pressAnswer(world, request, { kind: "approve" }, new AbortController().signal),
    (error) => (thrown = error) instanceof AppError,
  );
  return thrown as AppError;
}

Deno.test("a key of which tmux does not say that it was not pressed is unproven", async (t) => {
  const table: [holds: string, answer: TmuxResult, code: string, said: RegExp][] = [
    ["pressed", { kind: "ok", stdout: "" }, "unproven", /key 1 was pressed, but no record/],
    ["no answer", { kind: "unresponsive" }, "unproven", /given to tmux, which does not confirm it/],
    [
      "tmux's command line was killed",
      { kind: "failed", reason: "other", message: "tmux exited with 137" },
      "unproven",
      /given to tmux, which does not confirm it/,
    ],
    [
      "no such pane",
      { kind: "failed", reason: "no_target", message: "can't find pane: %1" },
      "not_delivered",
      /its tmux pane is gone/,
    ],
  ];
  for (const [holds, answer, code, said] of table) {
    await t.step(holds, async () => {
      const error = await press(answer);
      strictEqual(error.code, code, error.message);
      match(error.message, said);
    });
  }
});
