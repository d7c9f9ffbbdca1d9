/** `respond`: answers what a session waits for, and returns when the agent's own record proves it. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { RespondRequest, RespondResult } from "../service.ts";
import type { Answer, FittingAnswer, PendingInput, SessionId } from "../session.ts";
import { oneLine, type Result } from "./output.ts";
import { anyText, callingSession, nonEmpty, target } from "./parsers.ts";
import { pendingPhrase } from "./pending.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly approve: boolean;
  readonly always: boolean;
  readonly deny: boolean;
  readonly message: string | undefined;
  readonly option: readonly string[] | undefined;
  readonly request: string | undefined;
  readonly json: boolean;
}

export interface RespondOptions extends Omit<RespondRequest, "id"> {
  readonly target: Target;
}

/** @throws AppError (usage) unless exactly one kind of answer is given. */
function respondOptions(
  flags: Omit<Flags, "json">,
  target: Target,
  text: string | undefined,
  env: ParseContext["env"],
): RespondOptions {
  const { option = [], message = null } = flags;
  const given: Answer[] = [
    ...(flags.approve ? [{ kind: "approve" } as const] : []),
    ...(flags.always ? [{ kind: "always" } as const] : []),
    ...(flags.deny ? [{ kind: "deny", message } as const] : []),
    ...(option.length > 0 ? [{ kind: "options", options: option } as const] : []),
    ...(text !== undefined ? [{ kind: "text", text } as const] : []),
  ];
  const [answer, ...others] = given;
  if (answer === undefined || others.length > 0) {
    throw usageError("Provide exactly one of --approve, --always, --deny, --option, or a text");
  }
  if (message !== null && answer.kind !== "deny") throw usageError("--message belongs to --deny");
  if (flags.request !== undefined && target.kind === "group") {
    throw usageError("--request names the request of one session: provide its <id>");
  }
  return { target, answer, request: flags.request ?? null, caller: callingSession(env) };
}

export async function* run(
  { target, ...options }: RespondOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const answerOne = async (id: SessionId) =>
    respondResult(await (await context.service()).respond({ id, ...options }, context.signal));
  if (target.kind === "session") return yield await answerOne(target.id);
  const { actOnEach } = await import("./act_on_each.ts");
  yield* actOnEach(target, "respond", options.caller, context, answerOne);
}

function respondResult({ id, pending, answer, by, evidence, note }: RespondResult): Result {
  return {
    text: sentence(id, pending, answer),
    json: { id, requestId: pending.requestId, kind: pending.kind, answer, by, evidence, note },
    notes: note === null ? [] : [`[dev-sessions] ${note}`],
  };
}

function sentence(id: SessionId, pending: PendingInput, answer: FittingAnswer): string {
  const what = pendingPhrase(pending);
  switch (answer.kind) {
    case "approve":
      return `Approved ${what} for ${id}`;
    case "always":
      return `Approved ${what} for ${id}, and until it ends: ${oneLine(pending.always ?? "")}`;
    case "deny":
      return `Denied ${what} for ${id}`;
    case "answers": {
      const answers = answer.answers.map((picks) => JSON.stringify(oneLine(picks.join(", "))));
      return `Answered ${answers.join(", ")} for ${id}`;
    }
  }
}

export const command = buildCommand<Flags, [Target, string?], ParseContext>({
  docs: {
    brief: "Answer what a session waits for",
    fullDescription:
      `Answer what a session waits for, and return when its own record proves that the answer was taken.
status says what is pending, with its options and its request id. A permission or a plan takes --approve, --always
(where the agent suggests what to allow from now on, until this session ends) or --deny; a question takes --option,
a text of your own, or --deny.

Examples:
  dev-sessions respond fizz-top --approve
  dev-sessions respond fizz-top --deny --message "Use the staging database"

  # A question: by number or by label; repeat it, or use commas, where several may be chosen
  dev-sessions respond fizz-top --option 2
  dev-sessions respond fizz-top --option Ham --option Corn
  dev-sessions respond fizz-top "Neither: keep both"

  # Several questions at once: one --option for each, in order; "text:" begins an answer of your own
  dev-sessions respond fizz-top --option Blue --option 1,3
  dev-sessions respond fizz-top --option "text:Mauve" --option Ham

  # This very request and no other
  dev-sessions respond fizz-top --approve --request "$(dev-sessions status fizz-top --json | jq -r .pending.requestId)"`,
  },
  parameters: {
    flags: {
      approve: { kind: "boolean", default: false, withNegated: false, brief: "Yes, this once" },
      always: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Yes, and what the agent suggests from now on",
      },
      deny: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "No; the agent goes on without it",
      },
      message: {
        kind: "parsed",
        parse: nonEmpty("--message"),
        optional: true,
        brief: "With --deny: what to do instead",
        placeholder: "text",
      },
      option: {
        kind: "parsed",
        parse: nonEmpty("--option"),
        optional: true,
        variadic: true,
        brief: "Choose by number or label; repeatable",
        placeholder: "n|label",
      },
      request: {
        kind: "parsed",
        parse: nonEmpty("--request"),
        optional: true,
        brief: "Which request, when several are pending",
        placeholder: "request",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print what was answered as JSON" },
    },
    positional: {
      kind: "tuple",
      parameters: [
        { parse: target, brief: "Session or @group", placeholder: "id" },
        {
          parse: (input: string) => nonEmpty("The answer")(anyText(input)),
          optional: true,
          brief: "The answer in words",
          placeholder: "text",
        },
      ],
    },
  },
  func(flags, target, text) {
    const options = respondOptions(flags, target, text, this.env);
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
