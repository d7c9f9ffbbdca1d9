/** `kill`: ends sessions; one that had ended already is a success, since that is what was asked for. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { KillResult, KillSelector } from "../service.ts";
import type { SessionId } from "../session.ts";
import { keptNote } from "../worktree_decision.ts";
import type { Result } from "./output.ts";
import { age, callingSession, sessionId } from "./parsers.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly all: boolean;
  readonly olderThan: number | undefined;
  readonly everyone: boolean;
  readonly json: boolean;
}

/** @throws AppError (usage) unless exactly one selector is given. */
export function killSelector(
  flags: Omit<Flags, "json">,
  ids: readonly SessionId[],
  env: ParseContext["env"],
): KillSelector {
  const selectors = [ids.length > 0, flags.all, flags.olderThan !== undefined].filter(Boolean).length;
  if (selectors !== 1) throw usageError("Provide exactly one of <id>, --all, or --older-than <duration>");
  if (ids.length > 0) {
    if (flags.everyone) throw usageError("--everyone belongs to --all and --older-than");
    return { ids: [...new Set(ids)] };
  }
  const self = callingSession(env);
  const scope = self === null || flags.everyone ? "everyone" : { descendantsOf: self };
  return flags.olderThan === undefined ? { all: true, scope } : { olderThanMs: flags.olderThan, scope };
}

export async function run(selector: KillSelector, context: CliContext): Promise<Result> {
  return killResult(selector, await (await context.service()).kill(selector));
}

function killResult(selector: KillSelector, { killed, failed, worktrees = [] }: KillResult): Result {
  const lines = killed.map((id) => `Killed session ${id}`);
  let alreadyEnded: SessionId[] = [];
  if ("ids" in selector) {
    alreadyEnded = selector.ids.filter((id) => !killed.includes(id) && !failed.some((one) => one.id === id));
    lines.push(...alreadyEnded.map((id) => `Session ${id} had already ended`));
  } else if (killed.length > 0) {
    lines.push(`Killed ${killed.length} session(s)`);
  } else if (failed.length === 0) {
    lines.push("No matching sessions to kill");
  }
  for (const { path, removed, reason } of worktrees) {
    if (removed) lines.push(`Removed worktree ${path}${reason === null ? "" : `; ${reason}`}`);
  }
  return {
    text: lines.length === 0 ? null : lines.join("\n"),
    json: {
      killed,
      alreadyEnded,
      failed,
      worktrees: worktrees.map(({ id, path, removed, reason }) => ({ id, path, removed, reason })),
    },
    notes: worktrees.filter(({ removed }) => !removed).map((kept) => `[dev-sessions] ${keptNote(kept)}`),
    failure: killFailure(failed),
  };
}

function killFailure(failed: KillResult["failed"]): AppError | null {
  const [first, ...others] = failed.map(({ reason }) => reason);
  if (first === undefined) return null;
  return new AppError("failure", first, others.length === 0 ? null : others.join("\n"));
}

export const command = buildCommand<Flags, SessionId[], ParseContext>({
  docs: {
    brief: "End sessions",
    fullDescription:
      `End sessions. Their conversations stay readable. A git worktree that was made for a session
goes with it, unless anything in it could be lost; then it is kept, and why is said on stderr.
Run by an agent, --all and --older-than cover only the sessions that this agent has started (and theirs in turn).

Examples:
  dev-sessions kill fizz-top
  dev-sessions kill --older-than 24h

  # From inside a session: really all
  dev-sessions kill --all --everyone`,
  },
  parameters: {
    flags: {
      all: { kind: "boolean", default: false, withNegated: false, brief: "All sessions" },
      olderThan: {
        kind: "parsed",
        parse: age,
        optional: true,
        brief: "Not used for so long: 30m, 72h, 7d",
        placeholder: "duration",
      },
      everyone: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "From inside a session: not only its own",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print what was ended as JSON" },
    },
    positional: { kind: "array", parameter: { parse: sessionId, brief: "Sessions", placeholder: "id" } },
  },
  func(flags, ...ids) {
    const selector = killSelector(flags, ids, this.env);
    this.accept({ json: flags.json, long: false, run: (context) => run(selector, context) });
  },
});
