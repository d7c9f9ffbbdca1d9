/** `goal`: what an agent works towards by itself, turn after turn; never without a limit of tokens. */

import { buildCommand } from "@stricli/core";
import type { GoalRequest, GoalResult } from "../service.ts";
import type { Goal, SessionId } from "../session.ts";
import { type MessageSource, messageSource, readMessage } from "./message.ts";
import type { Result } from "./output.ts";
import { anyText, nonEmpty, positiveInteger, sessionId } from "./parsers.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly budget: number | undefined;
  readonly file: string | undefined;
  readonly pause: boolean;
  readonly resume: boolean;
  readonly clear: boolean;
  readonly json: boolean;
}

export interface GoalOptions {
  readonly id: SessionId;
  /** A new objective is read when the command runs. */
  readonly change:
    | Exclude<GoalRequest["change"], { readonly kind: "begin" }>
    | { readonly kind: "begin"; readonly source: MessageSource; readonly tokenBudget: number | null };
}

/** @throws AppError (usage) for flags that exclude each other, and for an objective without text. */
function goalOptions(
  flags: Omit<Flags, "json">,
  id: SessionId,
  words: readonly string[],
): GoalOptions {
  const { budget, file, pause, resume, clear } = flags;
  const tokenBudget = budget ?? null;
  const given = words.length > 0 || file !== undefined;
  if ([pause, resume, clear].filter(Boolean).length > 1) {
    throw usageError("Use only one of --pause, --resume, --clear");
  }
  if (clear && (given || tokenBudget !== null)) {
    throw usageError("--clear cannot be combined with an objective or --budget");
  }
  if ((pause || resume) && given) {
    throw usageError("--pause/--resume cannot be combined with an objective");
  }
  if (words.length > 0 && file !== undefined) {
    throw usageError("Provide either an objective or --file, not both");
  }
  if (clear) return { id, change: { kind: "clear" } };
  if (given) {
    const text = words.join(" ");
    if (words.length > 0 && text.trim() === "") throw usageError("The objective must not be empty");
    const source = messageSource(words.length > 0 ? text : undefined, file);
    return { id, change: { kind: "begin", source, tokenBudget } };
  }
  const status = pause ? "paused" : resume ? "active" : null;
  if (status === null && tokenBudget === null) return { id, change: null };
  return { id, change: { kind: "adjust", status, tokenBudget } };
}

export async function run({ id, change }: GoalOptions, context: CliContext): Promise<Result> {
  const asked: GoalRequest["change"] = change?.kind === "begin"
    ? {
      kind: "begin",
      objective: await readMessage(change.source, context),
      tokenBudget: change.tokenBudget,
    }
    : change;
  return goalResult(await (await context.service()).goal({ id, change: asked }, context.signal));
}

function goalResult({ id, goal, cleared, defaultBudget }: GoalResult): Result {
  if (cleared !== null) {
    const text = cleared ? `Cleared goal for ${id}` : `No goal to clear for ${id}`;
    return { text, json: { cleared }, layout: "compact" };
  }
  if (goal === null) return { text: `No goal set for ${id}`, json: null };
  const notes: string[] = [];
  if (defaultBudget !== null) {
    notes.push(
      `No --budget was given: the goal ends at ${defaultBudget} tokens. ` +
        `Set another limit with: dev-sessions goal ${id} --budget <tokens>`,
    );
  }
  if (goal.status === "budgetLimited" && (goal.tokenBudget === null || goal.tokenBudget > goal.tokensUsed)) {
    notes.push(`Its budget is not used up any more. Let it go on with: dev-sessions goal ${id} --resume`);
  }
  return { text: goalText(goal), json: goal, notes };
}

function goalText({ objective, status, tokensUsed, tokenBudget, timeUsedSeconds }: Goal): string {
  return [
    `objective: ${objective}`,
    `status: ${status}`,
    `tokens used: ${tokensUsed}`,
    `token budget: ${tokenBudget ?? "none"}`,
    `time used: ${timeUsedSeconds}s`,
  ].join("\n");
}

export const command = buildCommand<Flags, [SessionId, ...string[]], ParseContext>({
  docs: {
    brief: "Give a session a goal, or tell its goal",
    fullDescription:
      `Give a Codex session a goal, or tell the goal that it has. The agent works towards it by itself: when a
turn is over, the next one begins at once, until the goal is complete or blocked, its tokens are used up, or somebody
ends it. Words behind the id are the objective; it takes the place of an earlier goal. A goal without --budget gets a
limit, too, and says so.
Status: active, paused, blocked, usageLimited, budgetLimited or complete. --pause lets the running turn end.

Examples:
  dev-sessions goal fizz-top "Make the tests of src/parser pass" --budget 200000
  dev-sessions wait fizz-top --goal

  # What it is, and what it has used
  dev-sessions goal fizz-top

  # Stop, and go on with a higher limit
  dev-sessions goal fizz-top --pause
  dev-sessions goal fizz-top --resume --budget 400000

  # Stop the running turn, too
  dev-sessions goal fizz-top --clear && dev-sessions interrupt fizz-top`,
  },
  parameters: {
    flags: {
      budget: {
        kind: "parsed",
        parse: positiveInteger("--budget"),
        optional: true,
        brief: "Tokens after which it ends (500000)",
        placeholder: "n",
      },
      file: {
        kind: "parsed",
        parse: nonEmpty("--file"),
        optional: true,
        brief: 'Read the objective from a file, "-" is stdin',
        placeholder: "path",
      },
      pause: { kind: "boolean", default: false, withNegated: false, brief: "End it for now" },
      resume: { kind: "boolean", default: false, withNegated: false, brief: "Let it go on" },
      clear: { kind: "boolean", default: false, withNegated: false, brief: "Forget it" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print the goal as JSON" },
    },
    aliases: { f: "file" },
    positional: {
      kind: "array",
      minimum: 1,
      parameter: { parse: anyText, brief: "Session, then the words of its objective", placeholder: "id" },
    },
  },
  func({ json, ...flags }, given, ...words) {
    const options = goalOptions(flags, sessionId(given), words);
    this.accept({ json, long: true, run: (context) => run(options, context) });
  },
});
