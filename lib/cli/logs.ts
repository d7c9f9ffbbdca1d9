/** `logs`: the conversation as the agent recorded it. */

import { buildCommand } from "@stricli/core";
import type { LogEntry, SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { sessionId } from "./parsers.ts";
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
  const entries: LogEntry[] = [];
  for await (const entry of (await context.service()).logs(id)) {
    if (tools || entry.role !== "tool") entries.push(entry);
  }
  const text = entries.length === 0 ? "No conversation history available" : entries.map(block).join("\n\n");
  return { text, json: entries, layout: "compact" };
}

function block(entry: LogEntry): string {
  if (entry.role !== "tool" || entry.tool === undefined) {
    return `[${entry.role.toUpperCase()}]\n${entry.text}`;
  }
  const { name, input, result } = entry.tool;
  const lines = [`[TOOL] ${name}`, JSON.stringify(input) ?? "", result === null ? "" : `-> ${result}`];
  return lines.filter((line) => line !== "").join("\n");
}

export const command = buildCommand<Flags, [SessionId], ParseContext>({
  docs: {
    brief: "Print the conversation",
    fullDescription: `Print the conversation of a session.

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
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(flags, id) {
    const options: LogsOptions = { id, tools: flags.tools };
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
