/** `prune`: forgets ended sessions; what the agents keep of them stays. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { PruneResult } from "../service.ts";
import { failureOf } from "./failures.ts";
import type { Result } from "./output.ts";
import { age, target } from "./parsers.ts";
import { sessionsOf } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const OLDER_THAN_MS = 30 * 86_400_000;

interface Flags {
  readonly olderThan: number | undefined;
  readonly unreachable: boolean;
  readonly json: boolean;
}

export type PruneOptions =
  | { readonly targets: readonly Target[]; readonly unreachable: boolean }
  | { readonly olderThanMs: number };

/** @throws AppError (usage) for ids together with an age, and for `--unreachable` without ids. */
function pruneOptions(flags: Omit<Flags, "json">, targets: readonly Target[]): PruneOptions {
  if (targets.length === 0) {
    if (flags.unreachable) {
      throw usageError(
        "--unreachable belongs to <id>: name the sessions to forget. See them with: dev-sessions list --all",
      );
    }
    return { olderThanMs: flags.olderThan ?? OLDER_THAN_MS };
  }
  if (flags.olderThan !== undefined) {
    throw usageError("Provide either <id> or --older-than <duration>, not both");
  }
  return { targets, unreachable: flags.unreachable };
}

export async function run(options: PruneOptions, context: CliContext): Promise<Result> {
  const selector = "targets" in options
    ? {
      ids: (await sessionsOf(options.targets, "read", null, context)).ids,
      ...(options.unreachable ? { unreachable: true } : {}),
    }
    : options;
  return pruneResult(await (await context.service()).prune(selector));
}

function pruneResult({ forgotten, failed, keys }: PruneResult): Result {
  const lines = forgotten.map(({ id, worktree, leftOn }) => {
    if (leftOn !== undefined) return `Forgot session ${id} here only; it may still live on ${leftOn}`;
    return worktree === null
      ? `Forgot session ${id}`
      : `Forgot session ${id}; its worktree stays: ${worktree}`;
  });
  if (keys > 0) lines.push(`Forgot ${keys} stored result(s) of --key`);
  if (lines.length === 0 && failed.length === 0) lines.push("No ended sessions to forget");
  return {
    text: lines.length === 0 ? null : lines.join("\n"),
    json: { forgotten, failed, keys },
    failure: failureOf(failed),
  };
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "Forget ended sessions",
    fullDescription:
      `Forget sessions that ended more than 30 days ago, or the named ones, which must have ended.
They can't be listed or resumed any more. Nothing of the agents' own is removed: conversations and worktrees stay.
A session on another host is forgotten there, too. With --unreachable one whose host can't be asked is forgotten here
only, whether it has ended or not; it may live on over there.

Examples:
  dev-sessions prune
  dev-sessions prune --older-than 7d
  dev-sessions prune fizz-top

  # Its host is gone for good
  dev-sessions prune --unreachable fizz-top`,
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
      unreachable: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Also when its host can't be asked, here only",
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
