/** `kill`: ends sessions; one that had ended already is a success, since that is what was asked for. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { KillResult, KillSelector } from "../service.ts";
import type { SessionId } from "../session.ts";
import { keptNote } from "../worktree_decision.ts";
import { failureOf } from "./failures.ts";
import type { Result } from "./output.ts";
import { age, callingSession, target } from "./parsers.ts";
import { namedIds, namesGroup, sessionsOf } from "./targets.ts";
import { canAsk } from "./prompts.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly all: boolean;
  readonly olderThan: number | undefined;
  readonly everyone: boolean;
  readonly tree: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

type Selector<T> = T extends { readonly ids: unknown } ? Omit<T, "ids"> : T;

export interface KillOptions {
  /** None when the selector says it all. */
  readonly targets: readonly Target[];
  /** Without ids, those of the targets are meant. */
  readonly selector: Selector<KillSelector>;
  /** Whether a person may be asked before all or the old ones are ended. */
  readonly mayAsk: boolean;
}

/** @throws AppError (usage) unless exactly one selector is given. */
function killOptions(
  flags: Omit<Flags, "json">,
  targets: readonly Target[],
  env: ParseContext["env"],
): KillOptions {
  const selectors = [targets.length > 0, flags.all, flags.olderThan !== undefined].filter(Boolean).length;
  if (selectors !== 1) throw usageError("Provide exactly one of <id>, --all, or --older-than <duration>");
  const caller = callingSession(env);
  const { everyone, tree } = flags;
  const mayAsk = !flags.yes;
  if (targets.length > 0) return { targets, selector: { tree, everyone, caller }, mayAsk };
  if (tree) throw usageError("--tree belongs to <id>");
  const scope = caller === null || everyone ? "everyone" : { descendantsOf: caller };
  return {
    targets,
    mayAsk,
    selector: flags.olderThan === undefined
      ? { all: true, scope, caller }
      : { olderThanMs: flags.olderThan, scope, caller },
  };
}

export async function* run(
  { targets, selector, mayAsk }: KillOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const service = await context.service();
  if (!("tree" in selector)) {
    if (!mayAsk || !canAsk(context.deps)) return yield killResult(await service.kill(selector), [], true);
    const { confirmedIds } = await import("./kill_confirmation.ts");
    const ids = yield* confirmedIds(selector, service, context);
    const agreed = { ids, tree: false, everyone: true, caller: selector.caller };
    return yield killResult(await service.kill(agreed), [], true);
  }
  const { tree, everyone, caller } = selector;
  const { ids, notes } = await sessionsOf(
    targets,
    tree ? "kill tree" : "kill",
    everyone ? null : caller,
    context,
  );
  const killed = await service.kill({ ...selector, ids });
  const result = killResult(killed, namedIds(targets), tree || namesGroup(targets));
  yield { ...result, notes: [...notes, ...result.notes ?? []] };
}

/** @param bulk there may be more of them than were named, or none. */
function killResult(
  { killed, failed, worktrees = [] }: KillResult,
  named: readonly SessionId[],
  bulk: boolean,
): Result {
  const lines = killed.map((id) => `Killed session ${id}`);
  const alreadyEnded = named.filter((id) => !killed.includes(id) && !failed.some((one) => one.id === id));
  lines.push(...alreadyEnded.map((id) => `Session ${id} had already ended`));
  if (bulk && killed.length > 0) lines.push(`Killed ${killed.length} session(s)`);
  if (lines.length === 0 && failed.length === 0) lines.push("No matching sessions to kill");
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
    failure: failureOf(failed),
  };
}

export const command = buildCommand<Flags, Target[], ParseContext>({
  docs: {
    brief: "End sessions",
    fullDescription:
      `End sessions. Their conversations stay readable. A git worktree that was made for a session
goes with it, unless anything in it could be lost; then it is kept, and why is said on stderr.
Run by an agent, --all and --older-than cover only the sessions that this agent has started (and theirs in turn),
and its own session and its ancestors are refused, or left out of a group. --everyone lifts both.
At a terminal, --all and --older-than show what they would end and ask; in a pipe and with --yes they do not.

Examples:
  dev-sessions kill fizz-top
  dev-sessions kill --older-than 24h

  # Without a question
  dev-sessions kill --all --yes

  # All sessions of a group
  dev-sessions kill @api

  # A session with all that it has started, and they in turn
  dev-sessions kill --tree fizz-top

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
      tree: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "With all sessions that they have started",
      },
      yes: { kind: "boolean", default: false, withNegated: false, brief: "Do not ask" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print what was ended as JSON" },
    },
    positional: {
      kind: "array",
      parameter: { parse: target, brief: "Sessions or @groups", placeholder: "id" },
    },
  },
  func(flags, ...targets) {
    const options = killOptions(flags, targets, this.env);
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
