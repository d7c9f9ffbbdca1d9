/** Which answers fit which request, and what is said of those that do not. */

import { deepStrictEqual, match, throws } from "node:assert/strict";
import { fitAnswer } from "../../lib/answers.ts";
import { AppError } from "../../lib/errors.ts";
import { chosen } from "../../lib/responding.ts";
import type { Answer, PendingInput, Question, TurnState } from "../../lib/session.ts";
import { IDLE, PERMISSION } from "./cli/harness.ts";

const option = (label: string) => ({ label, description: "" });
const COLOUR: Question = {
  question: "Which colour?",
  header: "Colour",
  multiSelect: false,
  options: ["Red", "Blue, dark", "7", "red wine"].map(option),
};
const TOPPINGS: Question = {
  question: "Which toppings?",
  header: "Toppings",
  multiSelect: true,
  options: ["Ham", "Olives", "Corn"].map(option),
};
const PLAN: PendingInput = { ...PERMISSION, kind: "plan" };
const asks = (...questions: Question[]): PendingInput => ({ ...PERMISSION, kind: "question", questions });
const options = (...options: string[]): Answer => ({ kind: "options", options });
const text = (text: string): Answer => ({ kind: "text", text });

Deno.test("fitAnswer() finds what is meant", () => {
  const always: PendingInput = { ...PERMISSION, always: "allow Bash(ls)" };
  const table: [pending: PendingInput, answer: Answer, answers: string[][] | "itself"][] = [
    [PERMISSION, { kind: "approve" }, "itself"],
    [PERMISSION, { kind: "deny", message: null }, "itself"],
    [always, { kind: "always" }, "itself"],
    [PLAN, { kind: "approve" }, "itself"],
    [PLAN, { kind: "deny", message: "shorter" }, "itself"],
    [asks(COLOUR), { kind: "deny", message: null }, "itself"],
    [asks(COLOUR), options("1"), [["Red"]]],
    [asks(COLOUR), options("red"), [["Red"]]],
    [asks(COLOUR), options("Blue, dark"), [["Blue, dark"]]],
    [asks(COLOUR), options("2"), [["Blue, dark"]]],
    [asks(COLOUR), options("7"), [["7"]]],
    [asks(COLOUR), options("text:Red"), [["Red"]]],
    [asks(COLOUR), text("Mauve, or none"), [["Mauve, or none"]]],
    [asks(TOPPINGS), options("Corn", "1"), [["Ham", "Corn"]]],
    [asks(TOPPINGS), options("3,Ham , 3"), [["Ham", "Corn"]]],
    [asks(COLOUR, TOPPINGS), options("Red", "ham,corn"), [["Red"], ["Ham", "Corn"]]],
    [asks(COLOUR, TOPPINGS), options("text:Mauve", "2"), [["Mauve"], ["Olives"]]],
  ];
  for (const [pending, answer, answers] of table) {
    deepStrictEqual(
      fitAnswer("fizz-top", pending, answer),
      answers === "itself" ? answer : { kind: "answers", answers },
      JSON.stringify(answer),
    );
  }
});

Deno.test("fitAnswer() refuses what does not fit, and lists what does", () => {
  const dialog: PendingInput = { ...PERMISSION, kind: "dialog" };
  const table: [pending: PendingInput, answer: Answer, message: RegExp, detail: RegExp][] = [
    [PERMISSION, { kind: "always" }, /suggests nothing/, /--approve/],
    [PERMISSION, options("1"), /asks for a permission/, /--approve/],
    [PLAN, text("no"), /approval of a plan/, /--deny/],
    [PLAN, { kind: "always" }, /suggests nothing/, /--approve/],
    [dialog, { kind: "approve" }, /a dialog/, /dev-sessions attach fizz-top/],
    [asks(COLOUR), { kind: "approve" }, /asks a question/, /1\. Red\n2\. Blue, dark/],
    [asks(COLOUR), options("Green"), /"Green" is not among/, /1\. Red\n2\. Blue, dark/],
    [asks(COLOUR), options("5"), /"5" is not among/, /4\. red wine/],
    [asks(COLOUR), options("0"), /"0" is not among/, /1\. Red/],
    [asks(COLOUR), options("1", "2"), /only one/, /1\. Red/],
    [asks(COLOUR), options(","), /no option/, /1\. Red/],
    [asks(TOPPINGS), options("text:x", "Ham"), /"text:" takes one text/, /1\. Ham/],
    [asks(TOPPINGS), options("text: "), /"text:" takes one text/, /1\. Ham/],
    [
      asks(COLOUR, TOPPINGS),
      options("Red"),
      /2 questions, and 1/,
      /Which toppings\? \(several may be chosen\)\n1\. Ham/,
    ],
    [asks(COLOUR, TOPPINGS), text("Red"), /2 questions/, /one --option for each/],
  ];
  for (const [pending, answer, message, detail] of table) {
    throws(() => fitAnswer("fizz-top", pending, answer), (error) => {
      if (!(error instanceof AppError)) return false;
      deepStrictEqual(error.code, "usage");
      match(error.message, message);
      match(error.detail ?? "", detail);
      return true;
    }, JSON.stringify(answer));
  }
});

Deno.test("chosen() finds the one request that is meant, and fails closed", () => {
  const second: PendingInput = { ...PERMISSION, requestId: "q2", summary: "Bash: ls" };
  const waiting = (...others: PendingInput[]): TurnState => ({
    ...IDLE,
    state: "waiting_for_input",
    pending: PERMISSION,
    others,
  });
  const found: [state: TurnState, request: string | null, pending: PendingInput][] = [
    [waiting(), null, PERMISSION],
    [waiting(), "q1", PERMISSION],
    [waiting(second), "q2", second],
  ];
  for (const [state, request, pending] of found) deepStrictEqual(chosen("f", state, request), pending);
  const refused: [state: TurnState, request: string | null, code: string, message: RegExp][] = [
    [IDLE, null, "failure", /nothing is pending, it is idle/],
    [{ ...IDLE, state: "working" }, "q1", "failure", /it is working/],
    [{ ...IDLE, state: "gone", reason: "exit 1" }, null, "agent_gone", /exit 1/],
    [{ ...IDLE, state: "unknown", reason: "x" }, null, "failure", /it is unknown/],
    [waiting(second), null, "usage", /2 requests are pending/],
    [waiting(second), "q3", "failure", /"q3" is not pending/],
  ];
  for (const [state, request, code, message] of refused) {
    throws(() => chosen("f", state, request), (error) => {
      if (!(error instanceof AppError)) return false;
      deepStrictEqual(error.code, code);
      match(error.message, message);
      if (code === "usage") match(error.detail ?? "", /q1 {2}Bash: rm -rf dist\nq2 {2}Bash: ls/);
      return true;
    });
  }
});
