/** `list`: the sessions and what each does now. */

import { buildCommand } from "@stricli/core";
import { layTree } from "../families.ts";
import type { ListedSession } from "../service.ts";
import { type Result, table } from "./output.ts";
import { groupName } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const HEADER = ["ID", "CLI", "MODE", "HOST", "STATUS", "PATH", "DESCRIPTION", "LAST USED"] as const;

interface Flags {
  readonly all: boolean;
  readonly group: string | undefined;
  readonly tree: boolean;
  readonly json: boolean;
}

export interface ListOptions {
  readonly all: boolean;
  readonly group: string | null;
  readonly tree: boolean;
  readonly json: boolean;
}

export async function run(options: ListOptions, context: CliContext): Promise<Result> {
  const { all, group, tree } = options;
  const service = await context.service();
  const found = await service.list({ all, group });
  const usage = new Map(options.json ? (await service.usage(null)).map((one) => [one.id, one.usage]) : []);
  const laid = tree ? layTree(found, ({ session }) => session) : null;
  const listed = laid?.map(({ item }) => item) ?? found;
  const depths = laid?.map(({ depth }) => depth);
  const empty = `${all ? "No sessions" : "No active sessions"}${
    group === null ? "" : ` in the group ${group}`
  }`;
  // Only one of the two is asked for, and with a thousand sessions each takes its time.
  return {
    notes: unreachableNotes(found),
    get text() {
      if (listed.length === 0) return empty;
      // Columns of their own behind all others, and only where they say something: the others stay where they were.
      const groups = listed.some(({ session }) => session.group !== null);
      const header = [...HEADER, ...(all ? ["RESUME"] : []), ...(groups ? ["GROUP"] : [])];
      const cells = (one: ListedSession) => [
        ...row(one),
        ...(all ? [one.resumable ? "yes" : "-"] : []),
        ...(groups ? [one.session.group ?? ""] : []),
      ];
      return table(header, listed.map(cells), depths);
    },
    get json() {
      return listed.map(({ session, state, pending, resumable, unreachable }, index) =>
        sessionRecord(session, {
          state,
          pending,
          ...(unreachable === undefined ? {} : { unreachable }),
          // Of ended sessions, of which there may be thousands, only when they are asked for by name.
          ...(usage.has(session.id) ? { usage: usage.get(session.id) } : {}),
          ...(all ? { resumable: resumable ?? false } : {}),
          ...(depths ? { depth: depths[index] } : {}),
        })
      );
    },
  };
}

/** One line for each host that could not be asked. */
function unreachableNotes(listed: readonly ListedSession[]): string[] {
  const hosts = new Map(
    listed.flatMap(({ session: { host }, unreachable }) =>
      host === undefined || unreachable === undefined ? [] : [[host, unreachable]]
    ),
  );
  return [...hosts].map(([host, why]) =>
    `[dev-sessions] warning: could not reach ${host} (${why}); showing cached session records`
  );
}

function row({ session, state }: ListedSession): string[] {
  const { id, agent, mode, path, description, lastUsedAt, host = "local" } = session;
  return [id, agent, mode, host, state, path, description ?? "", lastUsedAt];
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "List sessions",
    fullDescription:
      `List the live sessions, or with --all also the ended ones and whether they can be resumed.

Examples:
  dev-sessions list

  # Who started whom: below each session those that it started
  dev-sessions list --tree

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
      tree: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Below each session those that it started",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array of records" },
    },
  },
  func(flags) {
    const { all, group = null, tree, json } = flags;
    const options: ListOptions = { all, group, tree, json };
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
