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
}

export async function run(options: ListOptions, context: CliContext): Promise<Result> {
  const listed = await (await context.service()).list(options);
  const empty = options.all ? "No sessions" : "No active sessions";
  // Only one of the two is asked for, and with a thousand sessions each takes its time.
  return {
    get text() {
      if (listed.length === 0) return empty;
      if (!options.all) return table(HEADER, listed.map(row));
      return table([...HEADER, "RESUME"], listed.map((one) => [...row(one), one.resumable ? "yes" : "-"]));
    },
    get json() {
      return listed.map(({ session, state, pending, resumable }) =>
        sessionRecord(session, { state, pending, ...(options.all ? { resumable: resumable ?? false } : {}) })
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
    fullDescription:
      `List the live sessions, or with --all also the ended ones and whether they can be resumed.

Examples:
  dev-sessions list

  # The ids of all that can be brought back
  dev-sessions list --all --json | jq -r '.[] | select(.resumable) | .id'

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
    const options: ListOptions = { all: flags.all, group: flags.group ?? null };
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
