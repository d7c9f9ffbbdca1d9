/** `status`: one word for what a session does now, with what it waits for and the evidence when asked. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { SessionId, TurnState } from "../session.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { pendingLines } from "./pending.ts";
import { type GroupTarget, readEach } from "./targets.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly explain: boolean;
  readonly json: boolean;
}

export interface StatusOptions {
  readonly id: SessionId;
  readonly explain: boolean;
}

export async function run({ id, explain }: StatusOptions, context: CliContext): Promise<Result> {
  const state = await (await context.service()).status(id, { explain });
  return {
    text: [state.state, ...waitingLines(id, state), ...evidenceLines(state, explain)].join("\n"),
    json: statusJson(id, state, explain),
  };
}

/** Behind the word, which scripts read from the first line. */
function waitingLines(id: SessionId, state: TurnState): string[] {
  if (state.state !== "waiting_for_input") return [];
  const open = [state.pending, ...state.others];
  return open.flatMap((pending) => ["", ...pendingLines(id, pending, open.length > 1)]);
}

function runGroup(target: GroupTarget, explain: boolean, context: CliContext): AsyncIterable<Result> {
  return readEach(target, context, {
    async read(id, service) {
      const state = await service.status(id, { explain });
      const evidence = evidenceLines(state, explain).map((line) => `\t${line}`);
      return {
        text: [`${id}\t${state.state}`, ...evidence].join("\n"),
        json: statusJson(id, state, explain),
      };
    },
    separator: "\n",
    layout: "indented",
  });
}

function evidenceLines(state: TurnState, explain: boolean): string[] {
  return explain ? state.evidence.map(({ source, finding }) => `${source}: ${finding}`) : [];
}

function statusJson(id: SessionId, state: TurnState, explain: boolean): Record<string, unknown> {
  return {
    id,
    state: state.state,
    since: state.since,
    pending: state.state === "waiting_for_input" ? state.pending : null,
    others: state.state === "waiting_for_input" ? state.others : [],
    reason: "reason" in state ? state.reason : null,
    lastError: state.lastTurn?.error ?? null,
    lastTurn: state.lastTurn,
    background: state.background,
    ...(state.goal === undefined ? {} : { goal: state.goal }),
    ...(state.retrying === undefined ? {} : { retrying: state.retrying }),
    ...(explain ? { evidence: state.evidence } : {}),
  };
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Print what a session does",
    fullDescription: `Print what a session does now: idle, working, waiting_for_input, gone or unknown.
Behind waiting_for_input, further lines say what it waits for and which command answers it.
For @group, "id<TAB>state" per line, or with --json an array; it includes the sessions of the group that ended
while others of it were live.

Examples:
  dev-sessions status fizz-top

  # What it waits for, and since when
  dev-sessions status fizz-top --json

  # A group
  dev-sessions status @api

  # Why this answer: every source that was looked at
  dev-sessions status fizz-top --explain`,
  },
  parameters: {
    flags: {
      explain: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print the evidence, one source per line",
      },
      json: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print state, question, errors as JSON",
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func({ explain, json }, target) {
    this.accept({
      json,
      long: false,
      run: (context) =>
        target.kind === "session"
          ? run({ id: target.id, explain }, context)
          : runGroup(target, explain, context),
    });
  },
});
