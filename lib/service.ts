/** SessionService: the one interface that the CLI speaks, whoever carries it (this machine, a gateway, ssh). */

import type { Cursor, EventRecord } from "./events.ts";
import type {
  AgentKind,
  LogEntry,
  Mode,
  Receipt,
  Session,
  SessionId,
  SessionSummary,
  StateName,
  TurnState,
  WaitOutcome,
} from "./session.ts";

export interface CreateRequest {
  /** Absolute path. */
  readonly path: string;
  readonly agent: AgentKind;
  readonly mode: Mode;
  readonly description: string | null;
  readonly model: string | null;
  readonly group: string | null;
  /** Only for orchestrators that allocate ids themselves. */
  readonly id: SessionId | null;
  readonly parent: SessionId | null;
  readonly agentArgs: readonly string[];
  readonly trust: boolean;
  readonly readyTimeoutMs: number;
  /** A repeated request with the same key returns the first one's session. */
  readonly key: string | null;
}

export interface CreateResult {
  readonly session: Session;
  /** False when readiness could only be inferred from a quiet prompt. */
  readonly readyProven: boolean;
  /** True when `--key` named an earlier create. */
  readonly repeated: boolean;
}

export interface SendRequest {
  readonly id: SessionId;
  /** As the caller gave it; normalised by the service. */
  readonly text: string;
  readonly key: string | null;
  /** The session whose agent runs this command (`DEV_SESSIONS_ID`), if any. */
  readonly sender: SessionId | null;
}

export interface SendOutcome {
  readonly id: SessionId;
  readonly receipt: Receipt;
  readonly repeated: boolean;
}

export interface WaitRequest {
  readonly ids: readonly SessionId[];
  readonly any: boolean;
  /** Monotonic. */
  readonly timeoutMs: number;
  /** Of the safety poll beside the watch; null = the backend's own. */
  readonly pollMs: number | null;
  /** Wait for this delivery instead of the last one; one id only. */
  readonly receipt: string | null;
  /** Background shells prolong the turn, too. */
  readonly background: boolean;
}

export interface WaitResult {
  readonly id: SessionId;
  readonly outcome: WaitOutcome;
  readonly state: TurnState | null;
}

export interface EventsRequest {
  /** Null: all sessions, also those that come later. */
  readonly ids: readonly SessionId[] | null;
  /** Only what comes after this one; `now`: only what comes from now on; null: everything. */
  readonly since: Cursor | "now" | null;
  /** Goes on as more happens, until the signal or until all named sessions have ended. */
  readonly follow: boolean;
}

export interface ListedSession {
  readonly session: SessionSummary;
  readonly state: StateName;
  readonly pending: string | null;
}

export type KillSelector =
  | { readonly ids: readonly SessionId[] }
  | { readonly all: true; readonly scope: "everyone" | { readonly descendantsOf: SessionId } }
  | { readonly olderThanMs: number; readonly scope: "everyone" | { readonly descendantsOf: SessionId } };

export interface KillResult {
  readonly killed: readonly SessionId[];
  /** `reason` is a whole message, as of an error. */
  readonly failed: readonly { readonly id: SessionId; readonly reason: string }[];
}

export interface TerminalCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Every operation throws `AppError` for what a user can meet. Long operations end with the signal; what had
 * begun by then is rolled back or left provable.
 */
export interface SessionService {
  create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult>;
  send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome>;
  /** Yields each session's outcome once, as it is known; with `any` the first one, or all of them as timed out. */
  wait(request: WaitRequest, signal: AbortSignal): AsyncIterable<WaitResult>;
  /** With `explain`, the evidence is that of every source, also of those that the decision did not need. */
  status(id: SessionId, options?: { readonly explain: boolean }): Promise<TurnState>;
  /** Newest last; with a receipt only what the agent said in that message's turn. */
  lastMessages(id: SessionId, count: number, receipt?: string | null): Promise<string[]>;
  /** With `follow` it goes on as the conversation grows, until the session ends or the signal. */
  logs(
    id: SessionId,
    options?: { readonly follow: boolean },
    signal?: AbortSignal,
  ): AsyncIterable<LogEntry>;
  /** What happened, in one order for every reader. */
  events(request: EventsRequest, signal: AbortSignal): AsyncIterable<EventRecord>;
  list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]>;
  inspect(id: SessionId): Promise<Session>;
  kill(selector: KillSelector): Promise<KillResult>;
  /** The command that joins the session's terminal. */
  attachCommand(id: SessionId): Promise<TerminalCommand>;
}
