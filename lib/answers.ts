/** Fits an answer to what was asked, before anything is given to the agent: whatever does not fit is an error. Pure. */

import { AppError } from "./errors.ts";
import type { Answer, FittingAnswer, PendingInput, Question } from "./session.ts";

/** In front of a text that is the answer to one question of several. */
const TEXT_PREFIX = "text:";

/** @throws AppError (usage) that says which answers are possible. */
export function fitAnswer(id: string, pending: PendingInput, answer: Answer): FittingAnswer {
  switch (pending.kind) {
    case "permission":
    case "plan":
      return fitDecision(id, pending, answer);
    case "question":
      return fitQuestions(id, pending, answer);
    case "dialog":
      throw unfit(id, "it waits for a dialog in its terminal", `Answer it there: dev-sessions attach ${id}`);
  }
}

function fitDecision(id: string, pending: PendingInput, answer: Answer): FittingAnswer {
  const asks = pending.kind === "plan" ? "it asks for the approval of a plan" : "it asks for a permission";
  switch (answer.kind) {
    case "approve":
    case "deny":
      return answer;
    case "always":
      if (pending.always !== null) return answer;
      throw unfit(
        id,
        "the agent suggests nothing to allow from now on",
        `Approve this one with: dev-sessions respond ${id} --approve`,
      );
    case "options":
    case "text":
      throw unfit(id, asks, "Use --approve, or --deny with --message and what you want instead");
  }
}

function fitQuestions(id: string, pending: PendingInput, answer: Answer): FittingAnswer {
  const { questions } = pending;
  switch (answer.kind) {
    case "deny":
      return answer;
    case "approve":
    case "always":
      throw unfit(id, "it asks a question", `Choose with --option, or give a text.\n${listed(questions)}`);
    case "text": {
      if (questions.length === 1) return { kind: "answers", answers: [[answer.text]] };
      throw unfit(id, `it asks ${questions.length} questions`, oneForEach(questions));
    }
    case "options": {
      const [only] = questions;
      if (questions.length === 1 && only !== undefined) {
        return { kind: "answers", answers: [picksOf(id, only, answer.options.flatMap(texts(only)))] };
      }
      if (answer.options.length !== questions.length) {
        throw unfit(
          id,
          `it asks ${questions.length} questions, and ${answer.options.length} of --option were given`,
          oneForEach(questions),
        );
      }
      return {
        kind: "answers",
        answers: questions.map((question, index) =>
          picksOf(id, question, texts(question)(answer.options[index] ?? ""))
        ),
      };
    }
  }
}

/** A whole label may hold commas; else they part several picks. */
const texts = (question: Question) => (option: string): string[] => {
  if (option.startsWith(TEXT_PREFIX) || find(question, option) !== null) return [option];
  return option.split(",").map((part) => part.trim()).filter((part) => part !== "");
};

/** In the order in which they are offered. */
function picksOf(id: string, question: Question, given: readonly string[]): string[] {
  const free = given.find((pick) => pick.startsWith(TEXT_PREFIX) && find(question, pick) === null);
  if (free !== undefined) {
    const text = free.slice(TEXT_PREFIX.length).trim();
    if (given.length === 1 && text !== "") return [text];
    throw unfit(id, `"${TEXT_PREFIX}" takes one text that is the whole answer`, listed([question]));
  }
  const picks = new Set(given.map((pick) => {
    const index = find(question, pick);
    if (index !== null) return index;
    throw unfit(id, `${JSON.stringify(pick)} is not among the options`, listed([question]));
  }));
  if (picks.size === 0) throw unfit(id, "no option is named", listed([question]));
  if (picks.size > 1 && !question.multiSelect) {
    throw unfit(id, "only one of the options can be chosen", listed([question]));
  }
  return question.options.flatMap(({ label }, index) => picks.has(index) ? [label] : []);
}

/** By label, as it is or without regard to case, else by its number from 1; null for none. */
function find(question: Question, pick: string): number | null {
  const labels = question.options.map(({ label }) => label);
  const exact = labels.indexOf(pick);
  if (exact !== -1) return exact;
  const alike = labels.flatMap((label, index) => label.toLowerCase() === pick.toLowerCase() ? [index] : []);
  if (alike.length === 1) return alike[0]!;
  const number = /^\d{1,3}$/.test(pick) ? Number(pick) : 0;
  return number >= 1 && number <= labels.length ? number - 1 : null;
}

function oneForEach(questions: readonly Question[]): string {
  return `Give one --option for each of them, in order; a text of your own begins with "${TEXT_PREFIX}"\n${
    listed(questions)
  }`;
}

/** Each question with its numbered options, one per line. */
function listed(questions: readonly Question[]): string {
  return questions.flatMap(({ question, multiSelect, options }) => [
    ...(questions.length === 1 ? [] : [`${question}${multiSelect ? " (several may be chosen)" : ""}`]),
    ...options.map(({ label }, index) => `${index + 1}. ${label}`),
  ]).join("\n");
}

function unfit(id: string, why: string, help: string): AppError {
  return new AppError("usage", `Cannot answer "${id}": ${why}`, help);
}
