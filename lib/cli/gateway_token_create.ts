/** `gateway token create`: makes a token that permits little, and shows it once. */

import { buildCommand } from "@stricli/core";
import { assertGatewayHost } from "./gateway_host.ts";
import type { KnownToken, TokenRequest } from "../../gateway/token_admin.ts";
import { SCOPED_VERB_NAMES, type ScopedVerb } from "../../gateway/verbs.ts";
import { parseDuration } from "../duration.ts";
import { resolvePath } from "../posix_path.ts";
import { type AgentKind, type Mode, MODES, OFFERED_AGENTS } from "../session.ts";
import type { Result } from "./output.ts";
import { choice, nonEmpty, positiveInteger } from "./parsers.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

const USUAL_MAX_SESSIONS = 10;
const USUAL_TTL_MS = 30 * 24 * 3_600_000;
/** So that its end is a date that every system can write. */
const MAX_TTL_DAYS = 3_660;
const MAX_TTL_MS = MAX_TTL_DAYS * 24 * 3_600_000;
const MAX_NAME_CHARACTERS = 100;
const HOST_MODE_NOTE =
  "[dev-sessions] this token starts agents on this machine itself, with all your rights: give it only to what you " +
  "trust as much as yourself";

interface Flags {
  readonly root: readonly string[];
  readonly mode: Mode | undefined;
  readonly cli: readonly AgentKind[] | undefined;
  readonly verbs: readonly ScopedVerb[] | undefined;
  readonly maxSessions: number | undefined;
  readonly ttl: number | undefined;
  readonly name: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

export async function run(
  request: TokenRequest,
  { quiet }: { readonly quiet: boolean },
  { deps }: CliContext,
): Promise<Result> {
  assertGatewayHost(deps.env, "make a token", "gateway token create");
  const { createToken } = await import("../../gateway/token_admin.ts");
  const { token, known } = await createToken(request, deps);
  return {
    notes: [
      ...(request.mode === "docker" ? [] : [HOST_MODE_NOTE]),
      ...(quiet
        ? []
        : [`[dev-sessions] token ${known.id}, valid until ${known.expiresAt}; it is shown only now`]),
    ],
    text: token,
    json: { ...tokenRecord(known), token },
    unprinted:
      `token ${known.id}, which nobody has now. Revoke it with: dev-sessions gateway token revoke ${known.id}`,
  };
}

/** What may be shown of a token at any time. */
export function tokenRecord({ id, name, createdAt, expiresAt, validity, scope, sessions }: KnownToken) {
  return {
    id,
    name,
    state: validity,
    createdAt,
    expiresAt,
    sessions,
    roots: scope?.roots.map(({ real }) => real) ?? null,
    mode: scope?.mode ?? null,
    cli: scope?.agents ?? null,
    verbs: scope === null ? null : scope.verbs ?? SCOPED_VERB_NAMES,
    maxSessions: scope?.maxSessions ?? null,
  };
}

function tokenRequest(flags: Flags, cwd: () => string): TokenRequest {
  return {
    name: flags.name ?? null,
    roots: flags.root.map((root) => resolvePath(cwd, root)),
    mode: flags.mode ?? "docker",
    agents: flags.cli ?? [],
    verbs: flags.verbs ?? null,
    maxSessions: flags.maxSessions ?? USUAL_MAX_SESSIONS,
    ttlMs: flags.ttl ?? USUAL_TTL_MS,
    boundTo: null,
  };
}

function ttl(input: string): number {
  const value = parseDuration(input);
  if (value !== null && value <= MAX_TTL_MS) return value;
  if (value !== null) throw usageError(`--ttl must be ${MAX_TTL_DAYS}d at most`);
  throw usageError("--ttl must be a duration like 30m, 12h, or 7d");
}

function name(input: string): string {
  // deno-lint-ignore no-control-regex
  if (input.trim() !== "" && input.length <= MAX_NAME_CHARACTERS && !/[\x00-\x1f\x7f]/.test(input)) {
    return input;
  }
  throw usageError(`--name must be 1 to ${MAX_NAME_CHARACTERS} characters on one line`);
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Make a token for the gateway",
    fullDescription:
      `Make a token with which a container may use the gateway, and print it. It is shown only now.
Its holder may create sessions below the roots, in no mode that is less strict than --mode, and sees only the sessions
that were made with this token.

Examples:
  # For agents in containers that work on one project
  dev-sessions gateway token create --root ~/src/api --name api

  # Into a file, to be mounted
  (umask 077; dev-sessions gateway token create -q --root ~/src/api --ttl 12h > ~/api.token)

  # Only to follow what it has started
  dev-sessions gateway token create --root ~/src/api --verbs create,ask,status --max-sessions 2`,
  },
  parameters: {
    flags: {
      root: {
        kind: "parsed",
        parse: nonEmpty("--root"),
        variadic: true,
        brief: "Folder below which sessions may be created; repeatable",
        placeholder: "path",
      },
      mode: {
        kind: "parsed",
        parse: choice("mode", MODES, MODES),
        optional: true,
        brief: "Least strict mode: docker (the default), native or yolo",
        placeholder: "mode",
      },
      cli: {
        kind: "parsed",
        parse: choice("cli", OFFERED_AGENTS, OFFERED_AGENTS),
        optional: true,
        variadic: ",",
        brief: "Agents that may be started (all)",
        placeholder: "cli",
      },
      verbs: {
        kind: "parsed",
        parse: choice("verbs", SCOPED_VERB_NAMES, SCOPED_VERB_NAMES),
        optional: true,
        variadic: ",",
        brief: "Commands that may be used (all but attach)",
        placeholder: "verbs",
      },
      maxSessions: {
        kind: "parsed",
        parse: positiveInteger("--max-sessions"),
        optional: true,
        brief: "Sessions that may live at once (10)",
        placeholder: "n",
      },
      ttl: {
        kind: "parsed",
        parse: ttl,
        optional: true,
        brief: "How long it is valid (30d)",
        placeholder: "time",
      },
      name: { kind: "parsed", parse: name, optional: true, brief: "What it is for", placeholder: "text" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print token and scope as JSON" },
      quiet: { kind: "boolean", default: false, withNegated: false, brief: "Print only the token" },
    },
    aliases: { q: "quiet" },
  },
  func(flags) {
    const request = tokenRequest(flags, this.cwd);
    this.accept({ json: flags.json, long: false, run: (context) => run(request, flags, context) });
  },
});
