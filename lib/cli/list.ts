/** `list`: the sessions and what each does now. */

import { buildCommand } from "@stricli/core";
import type { ListedSession } from "../service.ts";
import { type Result, table } from "./output.ts";
import { groupName } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const HEADER = ["ID", "CLI", "MODE", "HOST", "STATUS", "PATH", "DESCRIPTION", "LAST USED"] as const;

interface Flags {
  readonly all: boolean;
  readonly group: string | undefined;
  readonly json: boolean;
}

export interface ListOptions {
  readonly all: boolean;
  readonly group: string | null;
  readonly json: boolean;
}

export async function run(options: ListOptions, context: CliContext): Promise<Result> {
  const service = await context.service();
  const listed = await service.list({ all: options.all, group: options.group });
  const usage = new Map(options.json ? (await service.usage(null)).map((one) => [one.id, one.usage]) : []);
  const empty = options.all ? "No sessions" : "No active sessions";
  // Only one of the two is asked for, and with a thousand sessions each takes its time.
  return {
    get text() {
      return listed.length === 0 ? empty : table(HEADER, listed.map(row));
    },
    get json() {
      return listed.map(({ session, state, pending }) =>
        sessionRecord(session, {
          state,
          pending,
          // Of ended sessions, of which there may be thousands, only when they are asked for by name.
          ...(usage.has(session.id) ? { usage: usage.get(session.id) } : {}),
        })
      );
    },
  };
}

function row({ session, state }: ListedSession): string[] {
  const { id, agent, mode, path, description, lastUsedAt } = session;
  return [id, agent, mode, "local", state, path, description ?? "", lastUsedAt];
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "List sessions",
    fullDescription: `List the live sessions, or with --all also the ended ones.

Examples:
  dev-sessions list

  # The ids of all that need an answer
  dev-sessions list --json | jq -r '.[] | select(.state == "waiting_for_input") | .id'`,
  },
  parameters: {
    flags: {
      all: { kind: "boolean", default: false, withNegated: false, brief: "Include ended sessions" },
      group: {
        kind: "parsed",
        parse: groupName,
        optional: true,
        brief: "Only this group",
        placeholder: "name",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array of records" },
    },
  },
  func(flags) {
    const options: ListOptions = { all: flags.all, group: flags.group ?? null, json: flags.json };
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
