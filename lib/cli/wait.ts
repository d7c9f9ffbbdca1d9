/** `wait`: prints each session's outcome once, as it becomes known; the worst of them makes the exit code. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { SessionId } from "../session.ts";
import type { SessionService, WaitRequest, WaitResult } from "../service.ts";
import { outcomeDetails, outcomeFailure } from "./outcome.ts";
import { note, type Result } from "./output.ts";
import { callingSession, milliseconds, nonEmpty, target } from "./parsers.ts";
import { namedIds, namesGroup, sessionsOf } from "./targets.ts";
import { showsProgress, withProgress } from "./ticker.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const TIMEOUT_MS = 300_000;

interface Flags {
  readonly any: boolean;
  readonly all: boolean;
  readonly timeout: number | undefined;
  readonly message: string | undefined;
  readonly background: boolean;
  readonly goal: boolean;
  readonly nextTurn: boolean;
  readonly interval: number | undefined;
  readonly json: boolean;
}

export interface WaitOptions extends Omit<WaitRequest, "ids"> {
  readonly targets: readonly Target[];
  readonly caller: SessionId | null;
}

/** @throws AppError (usage) for a session that waits for itself, and for flags that exclude each other. */
function waitOptions(
  flags: Omit<Flags, "json">,
  targets: readonly Target[],
  env: ParseContext["env"],
): WaitOptions {
  const ids = namedIds(targets);
  const self = callingSession(env);
  if (flags.any && flags.all) throw usageError("Use only one of --any, --all");
  if (self !== null && ids.includes(self)) {
    throw usageError(`Cannot wait for "${self}": it is the session that runs this command`);
  }
  if (flags.message !== undefined && (ids.length > 1 || namesGroup(targets))) {
    throw usageError("--message names the delivery to one session: provide exactly one <id>");
  }
  if (flags.goal && flags.nextTurn) throw usageError("Use only one of --goal, --next-turn");
  if ((flags.goal || flags.nextTurn) && flags.message !== undefined) {
    throw usageError("--message can't be combined with --goal or --next-turn");
  }
  const until = flags.goal ? "goal" : flags.nextTurn ? "next_turn" : null;
  return {
    ...(until === null ? {} : { until }),
    targets,
    caller: self,
    any: flags.any,
    timeoutMs: flags.timeout ?? TIMEOUT_MS,
    pollMs: flags.interval ?? null,
    receipt: flags.message ?? null,
    background: flags.background,
  };
}

export async function* run(
  options: WaitOptions,
  json: boolean,
  context: CliContext,
): AsyncIterable<Result> {
  const { targets, caller, ...rest } = options;
  const { ids, notes } = await sessionsOf(targets, "wait", caller, context);
  if (notes.length > 0) yield note(...notes);
  const request: WaitRequest = { ids, ...rest };
  const several = ids.length > 1 || namesGroup(targets);
  const service = await context.service();
  const done = new Map<SessionId, string>();
  const isLeft = (id: SessionId) => !done.has(id);
  const results = outcomes(request, several, done, service, context.signal);
  try {
    if (!showsProgress(context.deps, json)) yield* results;
    else {
      // What waits for an answer may hold up the others.
      const shown = () => ids.filter((id) => (done.get(id) ?? "waiting_for_input") === "waiting_for_input");
      yield* withProgress(results, shown, service, context.deps, context.signal);
    }
  } catch (error) {
    throw several && error instanceof AppError ? withoutOutcome(error, ids.filter(isLeft)) : error;
  }
  const left = request.any && done.size > 0 ? [] : ids.filter(isLeft);
  if (left.length === 0) return;
  if (context.signal.aborted) throw new AppError("interrupted", `Interrupted: ${progress(left, done)}`);
  throw new Error(`the wait ended without an outcome: ${progress(left, done)}`);
}

async function* outcomes(
  request: WaitRequest,
  several: boolean,
  done: Map<SessionId, string>,
  service: SessionService,
  signal: AbortSignal,
): AsyncGenerator<Result> {
  try {
    for await (const result of service.wait(request, signal)) {
      done.set(result.id, result.outcome.outcome);
      yield waitResult(result, several, request.until);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function waitResult({ id, outcome }: WaitResult, several: boolean, until: WaitRequest["until"]): Result {
  return {
    text: several ? `${id}\t${outcome.outcome}` : outcome.outcome,
    json: { id, ...outcomeDetails(outcome) },
    layout: "compact",
    failure: outcomeFailure(id, outcome, timedOut(id, until)),
  };
}

function timedOut(id: SessionId, until: WaitRequest["until"] = "message"): string {
  switch (until) {
    case "message":
      return `Timed out waiting for ${id}`;
    case "goal":
      return `Timed out waiting for goal on ${id}`;
    case "next_turn":
      return `Timed out waiting for the next turn on ${id}`;
  }
}

/** Of several, it is told which ones no line was printed for; what was asked wrongly was not waited for at all. */
function withoutOutcome(error: AppError, left: readonly SessionId[]): AppError {
  if (left.length === 0 || (error.code !== "transport" && error.code !== "failure")) return error;
  const detail = [error.detail, `No outcome is known of ${left.join(", ")}`].filter((part) => part !== null);
  return new AppError(error.code, error.message, detail.join("\n"), { cause: error });
}

function progress(left: readonly SessionId[], done: ReadonlyMap<SessionId, string>): string {
  const finished = [...done].map(([id, outcome]) => `${id} (${outcome})`).join(", ");
  return `still waiting for ${left.join(", ")}; done: ${finished || "none"}`;
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "Wait for the end of agents' turns",
    fullDescription:
      `Wait until the running turn of each session has ended, needs an answer, or can't end any more.
Prints one word for one session: completed, idle, failed, interrupted, waiting_for_input, gone or timed_out;
"id<TAB>word" per line, as each becomes known, for several and for @group. With --json, one JSON object per line.
@group is every live session of a group, but never the one that runs the command.
With --goal it waits until the agent has ended what it does for its goal, and prints what the goal came to: complete,
paused, blocked, usageLimited, budgetLimited or cleared.

Examples:
  dev-sessions wait fizz-top && dev-sessions last-message fizz-top

  # Whichever is ready first
  dev-sessions wait --any fizz-top riven-jg

  # A group, each as soon as it is ready
  dev-sessions wait @api | while read -r id outcome; do dev-sessions last-message "$id"; done

  # Exactly the delivery that send or ask told of
  dev-sessions wait fizz-top --message <receipt>

  # What the exit code means: dev-sessions help exit-codes`,
  },
  parameters: {
    flags: {
      any: { kind: "boolean", default: false, withNegated: false, brief: "Return with the first of them" },
      all: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Wait for all of them (the default)",
      },
      timeout: {
        kind: "parsed",
        parse: milliseconds("--timeout"),
        optional: true,
        brief: "Seconds to wait (300)",
        placeholder: "s",
      },
      message: {
        kind: "parsed",
        parse: nonEmpty("--message"),
        optional: true,
        brief: "Wait for this delivery, not the last one",
        placeholder: "receipt",
      },
      background: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Wait for background shells, too",
      },
      goal: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Wait for the end of its goal (Codex)",
      },
      nextTurn: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Wait for the turn that runs, or the next (Codex)",
      },
      interval: {
        kind: "parsed",
        parse: milliseconds("--interval", "a positive number"),
        optional: true,
        brief: "Seconds between safety checks",
        placeholder: "s",
      },
      json: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print each outcome as a line of JSON",
      },
    },
    aliases: { t: "timeout", i: "interval" },
    positional: {
      kind: "array",
      minimum: 1,
      parameter: { parse: target, brief: "Sessions or @groups", placeholder: "id" },
    },
  },
  func(flags, ...targets) {
    const options = waitOptions(flags, targets, this.env);
    this.accept({ json: flags.json, long: true, run: (context) => run(options, flags.json, context) });
  },
});
