/** `usage`: tokens that sessions have used, from the agents' own records. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { SessionUsage } from "../service.ts";
import type { TokenUsage } from "../session.ts";
import { type Result, table } from "./output.ts";
import { target } from "./parsers.ts";
import { sessionsOf } from "./targets.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const HEADER = ["ID", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "TOTAL"] as const;
const KINDS = ["input", "output", "cacheRead", "cacheWrite", "total"] as const;

interface Flags {
  readonly json: boolean;
}

export async function run(targets: readonly Target[], context: CliContext): Promise<Result> {
  const { ids } = await sessionsOf(targets, "read", null, context);
  const named = ids.length > 0;
  const found = await (await context.service()).usage(named ? ids : null);
  const missing = missingParts(found);
  return {
    notes: named
      ? []
      : missing.map(({ host, reason, ids }) =>
        `[dev-sessions] warning: could not reach ${host} (${reason}); what ${ids} used is not counted`
      ),
    text: found.length === 0 ? "No active sessions" : usageTable(found),
    json: found,
    failure: named && missing.length > 0 ? notKnown(missing) : null,
  };
}

interface Missing {
  readonly host: string;
  readonly reason: string;
  /** Of its sessions, for people. */
  readonly ids: string;
}

/** Of each host that could not be asked. */
function missingParts(found: readonly SessionUsage[]): Missing[] {
  const unasked = found.flatMap(({ id, unreachable }) =>
    unreachable === undefined ? [] : [{ id, ...unreachable }]
  );
  return [...Map.groupBy(unasked, ({ host }) => host)].map(([host, parts]) => ({
    host,
    reason: parts[0]!.reason,
    ids: parts.map(({ id }) => id).join(", "),
  }));
}

/** Who has named sessions gets no answer to a part of the question. */
function notKnown(missing: readonly Missing[]): AppError {
  const lines = missing.map(({ host, reason, ids }) =>
    `SSH transport failure talking to ${host}: ${reason}. What ${ids} used is not known; try again`
  );
  return new AppError("transport", lines[0] ?? "", lines.slice(1).join("\n") || null);
}

function usageTable(found: readonly SessionUsage[]): string {
  const rows = found.map(({ id, usage, unreachable }) => [id, ...cells(usage, unreachable ? "?" : "-")]);
  const known = found.flatMap(({ usage }) => usage === null ? [] : [usage]);
  if (found.length > 1) rows.push(["total", ...cells(known.length === 0 ? null : sum(known))]);
  return table(HEADER, rows);
}

/** @param none where there is no number: that is not the same as 0. */
function cells(usage: TokenUsage | null, none = "-"): string[] {
  return KINDS.map((kind) => usage === null ? none : String(usage[kind]));
}

function sum(all: readonly TokenUsage[]): TokenUsage {
  const of = (kind: keyof TokenUsage) => all.reduce((total, usage) => total + usage[kind], 0);
  return {
    input: of("input"),
    output: of("output"),
    cacheRead: of("cacheRead"),
    cacheWrite: of("cacheWrite"),
    total: of("total"),
  };
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "Print the tokens that sessions have used",
    fullDescription:
      `Print the tokens of sessions as the agents' own records have them, sub-agents included: all live sessions,
or those that are named, also ended ones. The four kinds exclude each other; a dash means that nothing is on record, a question mark that the session's host could not be asked.

Examples:
  dev-sessions usage

  # What one session has used altogether
  dev-sessions usage fizz-top --json | jq '.[0].usage.total'`,
  },
  parameters: {
    flags: {
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array" },
    },
    positional: {
      kind: "array",
      parameter: { parse: target, brief: "Sessions or @groups", placeholder: "id" },
    },
  },
  func(flags, ...targets) {
    this.accept({ json: flags.json, long: false, run: (context) => run(targets, context) });
  },
});
