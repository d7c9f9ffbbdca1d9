/** `logs`: the conversation as the agent recorded it. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { SessionService } from "../service.ts";
import type { LogEntry, SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { type GroupTarget, heading, readEach } from "./targets.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly tools: boolean;
  readonly json: boolean;
}

export interface LogsOptions {
  readonly id: SessionId;
  readonly tools: boolean;
}

export async function run({ id, tools }: LogsOptions, context: CliContext): Promise<Result> {
  const entries = await entriesOf(id, tools, await context.service());
  return { text: conversation(entries), json: entries, layout: "compact" };
}

function runGroup(target: GroupTarget, tools: boolean, context: CliContext): AsyncIterable<Result> {
  return readEach(target, context, {
    async read(id, service) {
      const entries = await entriesOf(id, tools, service);
      return { text: `${heading(id)}\n${conversation(entries)}`, json: { id, entries } };
    },
    separator: "\n\n",
    layout: "compact",
  });
}

async function entriesOf(id: SessionId, tools: boolean, service: SessionService): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of service.logs(id)) {
    if (tools || entry.role !== "tool") entries.push(entry);
  }
  return entries;
}

function conversation(entries: readonly LogEntry[]): string {
  return entries.length === 0 ? "No conversation history available" : entries.map(block).join("\n\n");
}

function block(entry: LogEntry): string {
  if (entry.role !== "tool" || entry.tool === undefined) {
    return `[${entry.role.toUpperCase()}]\n${entry.text}`;
  }
  const { name, input, result } = entry.tool;
  const lines = [`[TOOL] ${name}`, JSON.stringify(input) ?? "", result === null ? "" : `-> ${result}`];
  return lines.filter((line) => line !== "").join("\n");
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Print the conversation",
    fullDescription: `Print the conversation of a session.
For @group, each under a line "==> id <==", or with --json an array of {"id", "entries"}; it includes the sessions
of the group that ended while others of it were live.

Examples:
  dev-sessions logs fizz-top

  # With what the agent did, for a script
  dev-sessions logs fizz-top --tools --json`,
  },
  parameters: {
    flags: {
      tools: { kind: "boolean", default: false, withNegated: false, brief: "Include tool calls" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array of entries" },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func({ tools, json }, target) {
    this.accept({
      json,
      long: false,
      run: (context) =>
        target.kind === "session" ? run({ id: target.id, tools }, context) : runGroup(target, tools, context),
    });
  },
});
