/** `prune`: forgets ended sessions; what the agents keep of them stays. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { PruneResult } from "../service.ts";
import type { Result } from "./output.ts";
import { age, target } from "./parsers.ts";
import { sessionsOf } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const OLDER_THAN_MS = 30 * 86_400_000;

interface Flags {
  readonly olderThan: number | undefined;
  readonly json: boolean;
}

export type PruneOptions = { readonly targets: readonly Target[] } | { readonly olderThanMs: number };

/** @throws AppError (usage) for ids together with an age. */
function pruneOptions(flags: Omit<Flags, "json">, targets: readonly Target[]): PruneOptions {
  if (targets.length === 0) return { olderThanMs: flags.olderThan ?? OLDER_THAN_MS };
  if (flags.olderThan !== undefined) {
    throw usageError("Provide either <id> or --older-than <duration>, not both");
  }
  return { targets };
}

export async function run(options: PruneOptions, context: CliContext): Promise<Result> {
  const selector = "targets" in options
    ? { ids: (await sessionsOf(options.targets, "read", null, context)).ids }
    : options;
  return pruneResult(await (await context.service()).prune(selector));
}

function pruneResult({ forgotten, failed, keys }: PruneResult): Result {
  const lines = forgotten.map(({ id, worktree }) =>
    worktree === null ? `Forgot session ${id}` : `Forgot session ${id}; its worktree stays: ${worktree}`
  );
  if (keys > 0) lines.push(`Forgot ${keys} stored result(s) of --key`);
  if (lines.length === 0 && failed.length === 0) lines.push("No ended sessions to forget");
  const [first, ...others] = failed.map(({ reason }) => reason);
  return {
    text: lines.length === 0 ? null : lines.join("\n"),
    json: { forgotten, failed, keys },
    failure: first === undefined
      ? null
      : new AppError("failure", first, others.length === 0 ? null : others.join("\n")),
  };
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "Forget ended sessions",
    fullDescription:
      `Forget sessions that ended more than 30 days ago, or the named ones, which must have ended.
They can't be listed or resumed any more. Nothing of the agents' own is removed: conversations and worktrees stay.

Examples:
  dev-sessions prune
  dev-sessions prune --older-than 7d
  dev-sessions prune fizz-top`,
  },
  parameters: {
    flags: {
      olderThan: {
        kind: "parsed",
        parse: age,
        optional: true,
        brief: "Ended so long ago: 30m, 72h, 7d (30d)",
        placeholder: "duration",
      },
      json: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print what was forgotten as JSON",
      },
    },
    positional: {
      kind: "array",
      parameter: { parse: target, brief: "Sessions or @groups", placeholder: "id" },
    },
  },
  func(flags, ...targets) {
    const options = pruneOptions(flags, targets);
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
