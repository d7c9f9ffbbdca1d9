/** `logs`: the conversation as the agent recorded it. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { LogEntry, SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { sessionId } from "./parsers.ts";
import { showsProgress, withProgress } from "./ticker.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly tools: boolean;
  readonly follow: boolean;
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

/** The conversation so far, then what is added to it; ends with the session. */
export async function* follow(
  { id, tools }: LogsOptions,
  json: boolean,
  context: CliContext,
): AsyncIterable<Result> {
  const service = await context.service();
  const results = entryResults(service.logs(id, { follow: true }, context.signal), tools);
  if (!showsProgress(context.deps, json)) yield* results;
  else yield* withProgress(results, () => [id], service, context.deps, context.signal);
  if (context.signal.aborted) throw new AppError("interrupted", "Interrupted");
}

async function* entryResults(entries: AsyncIterable<LogEntry>, tools: boolean): AsyncGenerator<Result> {
  let separator = "";
  for await (const entry of entries) {
    if (!tools && entry.role === "tool") continue;
    yield { text: `${separator}${block(entry)}`, json: entry, layout: "compact" };
    separator = "\n";
  }
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
  dev-sessions logs fizz-top --tools --json

  # And on, as it grows, until the session ends; with --json one entry per line
  dev-sessions logs fizz-top --follow`,
  },
  parameters: {
    flags: {
      tools: { kind: "boolean", default: false, withNegated: false, brief: "Include tool calls" },
      follow: { kind: "boolean", default: false, withNegated: false, brief: "Go on as it grows" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array of entries" },
    },
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(flags, id) {
    const options: LogsOptions = { id, tools: flags.tools };
    const { follow: following, json } = flags;
    this.accept({
      json,
      long: following,
      run: (context) => following ? follow(options, json, context) : run(options, context),
    });
  },
});
