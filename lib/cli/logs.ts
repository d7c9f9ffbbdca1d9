/** `logs`: the conversation as the agent recorded it. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { SessionService } from "../service.ts";
import type { LogEntry, SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { type GroupTarget, heading, readEach } from "./targets.ts";
import { showsProgress, withProgress } from "./ticker.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

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

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Print the conversation",
    fullDescription: `Print the conversation of a session.
For @group, each under a line "==> id <==", or with --json an array of {"id", "entries"}; it includes the sessions
of the group that ended while others of it were live.

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
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func({ tools, json, follow: following }, target) {
    if (target.kind === "group" && following) {
      throw usageError(`--follow shows one session: name one of "@${target.group}"`);
    }
    this.accept({
      json,
      long: following,
      run: (context) => {
        if (target.kind === "group") return runGroup(target, tools, context);
        const options: LogsOptions = { id: target.id, tools };
        return following ? follow(options, json, context) : run(options, context);
      },
    });
  },
});
