/** `events`: what happens to sessions, one line of JSON for each event, in the same order for every reader. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import { type EventRecord, parseCursor } from "../events.ts";
import type { Target } from "../groups.ts";
import type { EventsRequest } from "../service.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { sessionsOf } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly follow: boolean;
  readonly since: EventsRequest["since"] | undefined;
  readonly json: boolean;
}

export interface EventsOptions extends Omit<EventsRequest, "ids"> {
  /** None: all sessions. */
  readonly targets: readonly Target[];
}

export async function* run(
  { targets, ...options }: EventsOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const service = await context.service();
  const { ids } = await sessionsOf(targets, "read", null, context);
  const request: EventsRequest = { ids: targets.length === 0 ? null : ids, ...options };
  let last: string | null = null;
  try {
    for await (const event of service.events(request, context.signal)) {
      const json = eventJson(event);
      yield { text: JSON.stringify(json), json, layout: "compact" };
      last = event.cursor;
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
  if (!context.signal.aborted) return;
  const on = last === null ? "" : `: go on with --since ${last}`;
  throw new AppError("interrupted", `Interrupted${on}`);
}

function eventJson({ cursor, at, id, body }: EventRecord): Record<string, unknown> {
  return { cursor, at, id, ...body };
}

/** @throws AppError (usage) for what no event has carried. */
function cursor(input: string): NonNullable<EventsRequest["since"]> {
  const parsed = input === "now" ? "now" : parseCursor(input);
  if (parsed !== null) return parsed;
  throw usageError(
    `--since must be the cursor of an event, or "now": ${JSON.stringify(input)}`,
    'The cursor is in every line that events prints, e.g. "e1-5f0c2a91-42"',
  );
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "Print what happens, as JSON lines",
    fullDescription:
      `Print what happened to the sessions (without ids: to all of them), one JSON object per line: a cursor,
the time, the session's id and a type: session_created, session_resumed, session_ended, turn_started, turn_joined,
turn_completed, turn_failed, turn_interrupted, input_requested, input_resolved or message.
With --follow it goes on as more happens, until it is stopped or all the named sessions have ended.

Examples:
  dev-sessions events fizz-top

  # From now on, of all sessions, also of those that are created later
  dev-sessions events --follow --since now

  # Exactly what came after the event with this cursor
  dev-sessions events --since <cursor>`,
  },
  parameters: {
    flags: {
      follow: { kind: "boolean", default: false, withNegated: false, brief: "Go on as more happens" },
      since: {
        kind: "parsed",
        parse: cursor,
        optional: true,
        brief: 'Only what came after this event, or "now"',
        placeholder: "cursor",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print errors as JSON, too" },
    },
    positional: {
      kind: "array",
      parameter: { parse: target, brief: "Sessions or @groups", placeholder: "id" },
    },
  },
  func(flags, ...targets) {
    const options: EventsOptions = { targets, since: flags.since ?? null, follow: flags.follow };
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
