/** `interrupt`: stops the running turn and says so only when the agent's own record does; at rest it does nothing. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { InterruptOutcome, InterruptRequest } from "../service.ts";
import type { SessionId } from "../session.ts";
import { oneLine, type Result } from "./output.ts";
import { callingSession, target } from "./parsers.ts";
import { answerHint, optionLines, pendingPhrase } from "./pending.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly allQueued: boolean;
  readonly json: boolean;
}

export interface InterruptOptions extends Omit<InterruptRequest, "id"> {
  readonly target: Target;
}

/** @throws AppError (usage) for a session that would stop itself. */
function interruptOptions(
  flags: Omit<Flags, "json">,
  target: Target,
  env: ParseContext["env"],
): InterruptOptions {
  const sender = callingSession(env);
  if (target.kind === "session" && target.id === sender) {
    throw usageError(`Cannot interrupt "${sender}": it is the session that runs this command`);
  }
  return { target, allQueued: flags.allQueued, sender };
}

export async function* run(
  { target, ...options }: InterruptOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const stop = async (id: SessionId) =>
    interruptResult(
      await (await context.service()).interrupt({ id, ...options }, context.signal),
      options.allQueued,
    );
  if (target.kind === "session") return yield await stop(target.id);
  const { actOnEach } = await import("./act_on_each.ts");
  yield* actOnEach(target, "interrupt", options.sender, context, stop);
}

function interruptResult(outcome: InterruptOutcome, allQueued: boolean): Result {
  const { id, result, stopped, queued, background, reason, evidence } = outcome;
  return {
    text: interruptText(outcome, allQueued),
    json: { id, result, interrupted: stopped.length, stopped, queued, background, reason, evidence },
    failure: interruptFailure(outcome),
  };
}

/** Null when nothing was stopped and nothing is sure. */
function interruptText(outcome: InterruptOutcome, allQueued: boolean): string | null {
  const { id, result, stopped, queued, background, reason } = outcome;
  const lines: string[] = [];
  switch (result) {
    case "interrupted":
      lines.push(stopped.length > 1 ? `Interrupted ${id}: ${stopped.length} turns` : `Interrupted ${id}`);
      break;
    case "not_running":
      lines.push(`Nothing to interrupt: no turn of ${id} runs`);
      break;
    case "ended_by_itself":
      lines.push(`Nothing was interrupted: the turn of ${id} ended by itself`);
      break;
    case "refused":
    case "unproven":
      if (stopped.length === 0) return null;
      lines.push(`Interrupted ${id}: ${stopped.length} turn(s)`);
  }
  if (result === "interrupted" && reason !== null) lines.push(`  ${oneLine(reason)}`);
  // One that was answered at once was over before it could be stopped.
  const left = allQueued ? "was queued, and not stopped" : "queued behind it";
  for (const text of queued) lines.push(`  ${left}: ${oneLine(text)}`);
  for (const { type, description } of background) {
    lines.push(`  still runs: ${oneLine(`${type} ${description ?? ""}`)}`);
  }
  return lines.join("\n");
}

function interruptFailure({ id, result, reason, pending }: InterruptOutcome): AppError | null {
  const cannot = `Cannot interrupt "${id}":`;
  const why = (reason ?? "no reason is known").replace(/\.$/, "");
  switch (result) {
    case "interrupted":
    case "not_running":
    case "ended_by_itself":
      return null;
    case "refused":
      if (pending === null) return new AppError("not_delivered", `${cannot} ${why}. Nothing was pressed`);
      return new AppError(
        "waiting_for_input",
        `${cannot} it waits for ${pendingPhrase(pending)}. ${answerHint(id, pending)}`,
        optionLines(pending),
      );
    case "unproven":
      return new AppError(
        "unproven",
        `${cannot} it may have stopped, but nothing proves it: ${why}. ` +
          `Look with: dev-sessions status ${id} --explain`,
      );
  }
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Stop an agent's running turn",
    fullDescription: `Stop an agent's running turn and return when its own record says that it has stopped.
A session at rest is left alone. One interrupt stops one turn: what is queued behind it begins right after, and is
printed. Background shells and sub-agents go on.

Examples:
  dev-sessions interrupt fizz-top

  # Also what is queued behind the running turn
  dev-sessions interrupt fizz-top --all-queued

  # Stop it and give it something else to do
  dev-sessions send fizz-top --interrupt "Do the login form first"`,
  },
  parameters: {
    flags: {
      allQueued: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Stop also what is queued behind it, as far as that has not ended",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print what was stopped as JSON" },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func(flags, target) {
    const options = interruptOptions(flags, target, this.env);
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
