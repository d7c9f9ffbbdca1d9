/**
 * The wire protocol: what each operation of SessionService is asked and answers, checked on arrival at both ends.
 * Whoever carries it (HTTP, stdio) adds nothing to it. Errors: `wire/errors.ts`; handshake: `wire/handshake.ts`.
 */

import * as v from "valibot";
import { AppError } from "./errors.ts";
import type { EventRecord } from "./events.ts";
import type { Expanded, ExpandRequest } from "./groups.ts";
import type {
  CreateRequest,
  CreateResult,
  EventsRequest,
  GoalRequest,
  GoalResult,
  InterruptOutcome,
  InterruptRequest,
  KillResult,
  KillSelector,
  ListedSession,
  PruneResult,
  PruneSelector,
  RespondRequest,
  RespondResult,
  ResumeRequest,
  ResumeResult,
  SendOutcome,
  SendRequest,
  SessionService,
  SessionUsage,
  TerminalCommand,
  WaitRequest,
  WaitResult,
} from "./service.ts";
import { compareVersions } from "./semver.ts";
import type { LogEntry, Session, SessionId, TurnState } from "./session.ts";
import * as requests from "./wire/requests.ts";
import * as results from "./wire/results.ts";
import { session } from "./wire/nouns.ts";
import type { Peer } from "./wire/handshake.ts";

export type Operation = keyof SessionService;

/** The one body of each operation, once it was checked. */
export interface Requests {
  readonly expand: ExpandRequest;
  readonly create: CreateRequest;
  readonly send: SendRequest;
  readonly interrupt: InterruptRequest;
  readonly wait: WaitRequest;
  readonly status: { readonly id: SessionId; readonly explain: boolean };
  readonly lastMessages: {
    readonly id: SessionId;
    readonly count: number;
    readonly receipt: string | null;
  };
  readonly logs: { readonly id: SessionId; readonly follow: boolean };
  readonly events: EventsRequest;
  readonly list: { readonly all: boolean; readonly group: string | null };
  readonly inspect: { readonly id: SessionId };
  readonly respond: RespondRequest;
  readonly goal: GoalRequest;
  readonly usage: { readonly ids: readonly SessionId[] | null };
  readonly kill: KillSelector;
  readonly resume: ResumeRequest;
  readonly prune: PruneSelector;
  readonly attachCommand: { readonly id: SessionId };
}

/** What each operation answers; of a stream, each item. */
export interface Results {
  readonly expand: Expanded;
  readonly create: CreateResult;
  readonly send: SendOutcome;
  readonly interrupt: InterruptOutcome;
  readonly wait: WaitResult;
  readonly status: TurnState;
  readonly lastMessages: readonly string[];
  readonly logs: LogEntry;
  readonly events: EventRecord;
  readonly list: readonly ListedSession[];
  readonly inspect: Session;
  readonly respond: RespondResult;
  readonly goal: GoalResult;
  readonly usage: readonly SessionUsage[];
  readonly kill: KillResult;
  readonly resume: ResumeResult;
  readonly prune: PruneResult;
  /** Holds the complete environment of the serving process: not for those who may not read that. */
  readonly attachCommand: TerminalCommand;
}

/**
 * Who keeps a repeated request from being carried out twice: the registry, by the request's own `key`; the server's
 * memory, by the request's idempotency key; nobody needs to.
 */
export type KeptBy = "registry" | "memory" | "nobody";

interface Spec<Op extends Operation> {
  readonly request: v.GenericSchema<unknown, Requests[Op]>;
  readonly result: v.GenericSchema<unknown, Results[Op]>;
  readonly kind: "call" | "stream";
  /** Whether it may be asked again, without a key, when its answer was lost. */
  readonly repeatable: boolean;
  readonly keptBy: KeptBy;
}

const asked = { kind: "call", repeatable: true, keptBy: "nobody" } as const;
const streamed = { kind: "stream", repeatable: true, keptBy: "nobody" } as const;
const keyed = { kind: "call", repeatable: false, keptBy: "registry" } as const;
const remembered = { kind: "call", repeatable: false, keptBy: "memory" } as const;

export const OPERATIONS = {
  expand: { request: requests.expandRequest, result: results.expanded, ...asked },
  create: { request: requests.createRequest, result: results.createResult, ...keyed },
  send: { request: requests.sendRequest, result: results.sendOutcome, ...keyed },
  interrupt: { request: requests.interruptRequest, result: results.interruptOutcome, ...remembered },
  wait: { request: requests.waitRequest, result: results.waitResult, ...streamed },
  status: { request: requests.statusRequest, result: results.state, ...asked },
  lastMessages: { request: requests.lastMessagesRequest, result: v.array(v.string()), ...asked },
  logs: { request: requests.logsRequest, result: results.logs, ...streamed },
  events: { request: requests.eventsRequest, result: results.events, ...streamed },
  list: { request: requests.listRequest, result: v.array(results.listedSession), ...asked },
  inspect: { request: requests.idRequest, result: session, ...asked },
  respond: { request: requests.respondRequest, result: results.respondResult, ...remembered },
  goal: { request: requests.goalRequest, result: results.goalResult, ...remembered },
  usage: { request: requests.usageRequest, result: v.array(results.sessionUsage), ...asked },
  kill: { request: requests.killRequest, result: results.killResult, ...remembered },
  resume: { request: requests.resumeRequest, result: results.resumeResult, ...remembered },
  prune: { request: requests.pruneRequest, result: results.pruneResult, ...remembered },
  attachCommand: { request: requests.idRequest, result: results.terminalCommand, ...asked },
} as const satisfies { readonly [Op in Operation]: Spec<Op> };

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name);
}

/** What was asked, checked. @throws AppError (usage) that says what is wrong with it, before anything was done. */
export function decodeRequest<Op extends Operation>(operation: Op, body: unknown): Requests[Op] {
  const schema: v.GenericSchema<unknown, Requests[Operation]> = OPERATIONS[operation].request;
  const parsed = v.safeParse(schema, body, { abortEarly: true });
  if (parsed.success) return parsed.output as Requests[Op];
  throw new AppError(
    "usage",
    `Cannot ${operation}: the request is not understood: ${complaint(parsed.issues[0])}`,
  );
}

/**
 * What was answered, checked.
 *
 * @param where the peer is, for people.
 * @throws AppError (failure) that says which of the two to upgrade.
 */
export function decodeResult<Op extends Operation>(
  operation: Op,
  value: unknown,
  { us, them, where }: { readonly us: Peer; readonly them: Peer | null; readonly where: string },
): Results[Op] {
  const schema: v.GenericSchema<unknown, Results[Operation]> = OPERATIONS[operation].result;
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output as Results[Op];
  const order = them === null ? null : compareVersions(us.version, them.version);
  const way = order !== null && order < 0
    ? "Upgrade this one with: dev-sessions upgrade"
    : order !== null && order > 0
    ? "Upgrade the other one; there, run: dev-sessions upgrade"
    : "See what runs there with: dev-sessions --version";
  throw new AppError(
    "failure",
    `Cannot understand what ${where} answered to ${operation}: it is dev-sessions ${
      them?.version ?? "of an unknown version"
    }, this is ${us.version}. ${way}`,
    complaint(parsed.issues[0]),
  );
}

/** `ids.0: must be the id of a session`, without the value, which may be a secret or long. */
function complaint(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  const custom = !issue.message.startsWith("Invalid ");
  const what = custom
    ? issue.message
    : `expected ${issue.expected ?? issue.type}, got ${kindOf(issue.input)}`;
  return path === null ? what : `${path}: ${what}`;
}

function kindOf(input: unknown): string {
  if (input === null) return "null";
  if (input === undefined) return "nothing";
  return Array.isArray(input) ? "an array" : typeof input === "object" ? "an object" : `a ${typeof input}`;
}
