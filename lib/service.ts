/** SessionService: the one interface that the CLI speaks, whoever carries it (this machine, a gateway, ssh). */

import type { Cursor, EventRecord } from "./events.ts";
import type { Expanded, ExpandRequest } from "./groups.ts";
import type {
  AgentKind,
  Answer,
  AnswerProof,
  FittingAnswer,
  Goal,
  GoalChange,
  Interruption,
  LogEntry,
  Mode,
  PendingInput,
  Receipt,
  SandboxKind,
  SendMode,
  Session,
  SessionId,
  SessionSummary,
  StateName,
  TokenUsage,
  TurnState,
  WaitOutcome,
} from "./session.ts";

export interface CreateRequest {
  /** Absolute path; for another host any path, from the home folder there on. */
  readonly path: string;
  /** The ssh target where it is to live; left out: here. */
  readonly host?: string;
  /** Null: as the user has set, else claude. */
  readonly agent: AgentKind | null;
  /** Null: as the user has set, else yolo. */
  readonly mode: Mode | null;
  readonly description: string | null;
  /** Null: as the user has set, else the agent's own choice. */
  readonly model: string | null;
  readonly group: string | null;
  /** Only for orchestrators that allocate ids themselves. */
  readonly id: SessionId | null;
  readonly parent: SessionId | null;
  readonly agentArgs: readonly string[];
  readonly trust: boolean;
  /** Left out: what belongs to the mode. Only for agents that confine their commands themselves. */
  readonly sandbox?: SandboxKind;
  readonly readyTimeoutMs: number;
  /** A git worktree of its own, of the repository around `path`; `branch` null: a new one, named after the session. */
  readonly worktree: { readonly branch: string | null } | null;
  /** A repeated request with the same key returns the first one's session. */
  readonly key: string | null;
  /** Only what an earlier request with this key came to (`not_found` for nothing); nothing is begun. */
  readonly repeatOnly?: boolean;
}

/** With what was left open decided. */
export type SettledCreateRequest = CreateRequest & { readonly agent: AgentKind; readonly mode: Mode };

export interface CreateResult {
  readonly session: Session;
  /** False when readiness could only be inferred from a quiet prompt. */
  readonly readyProven: boolean;
  /** True when `--key` named an earlier create. */
  readonly repeated: boolean;
  /** What the caller should know of it, one sentence each. */
  readonly notes?: readonly string[];
}

export interface ResumeRequest {
  readonly id: SessionId;
  readonly readyTimeoutMs: number;
  /** The session whose agent runs this command (`DEV_SESSIONS_ID`), if any. */
  readonly caller: SessionId | null;
}

export interface ResumeResult {
  readonly session: Session;
  /** False when readiness could only be inferred from a quiet prompt. */
  readonly readyProven: boolean;
}

export interface SendRequest {
  readonly id: SessionId;
  /** As the caller gave it; normalised by the service. */
  readonly text: string;
  /** Null: the text is sent as it is. */
  readonly render: RenderRequest | null;
  readonly key: string | null;
  /** The session whose agent runs this command (`DEV_SESSIONS_ID`), if any. */
  readonly sender: SessionId | null;
  /** Default: `queue`. */
  readonly mode?: SendMode;
}

export interface InterruptRequest {
  readonly id: SessionId;
  /** Also what is queued behind the running turn. */
  readonly allQueued: boolean;
  /** The session whose agent runs this command (`DEV_SESSIONS_ID`), if any. */
  readonly sender: SessionId | null;
}

export interface InterruptOutcome extends Interruption {
  readonly id: SessionId;
}

/** The text is a template, see `lib/render.ts`. */
export interface RenderRequest {
  /** For `{{var.NAME}}`. */
  readonly vars: Readonly<Record<string, string>>;
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
  /** Default: `message`. */
  readonly until?: WaitUntil;
}

/** The turn of a message, the one that runs or begins next, or all that the agent does for its goal. */
export type WaitUntil = "message" | "next_turn" | "goal";

export interface GoalRequest {
  readonly id: SessionId;
  /** Null: tell what it is. An objective without a budget gets a default one. */
  readonly change:
    | null
    | { readonly kind: "begin"; readonly objective: string; readonly tokenBudget: number | null }
    | Extract<GoalChange, { readonly kind: "adjust" }>
    | { readonly kind: "clear" };
}

export interface GoalResult {
  readonly id: SessionId;
  /** Null: it has none. */
  readonly goal: Goal | null;
  /** Whether there was one to clear; null when none was to be cleared. */
  readonly cleared: boolean | null;
  /** Tokens of the default budget, when that was used. */
  readonly defaultBudget: number | null;
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
  /** Whether it has ended, and nothing is known that would keep `resume` from it. */
  readonly resumable?: boolean;
  /** Why its host could not be asked, in a few words; the rest is what was last heard of it. */
  readonly unreachable?: string;
}

export type KillScope = "everyone" | { readonly descendantsOf: SessionId };

export type KillSelector =
  & {
    /** The session whose agent runs this command, if any: ended last, since the command may end with it. */
    readonly caller: SessionId | null;
  }
  & (
    | {
      readonly ids: readonly SessionId[];
      /** With all that descend from them. */
      readonly tree: boolean;
      /** Also the caller and its ancestors, which are refused else. */
      readonly everyone: boolean;
    }
    | { readonly all: true; readonly scope: KillScope }
    | { readonly olderThanMs: number; readonly scope: KillScope }
  );

/** What became of the worktree of a session that was killed. */
export interface WorktreeRemoval {
  readonly id: SessionId;
  readonly path: string;
  readonly removed: boolean;
  /** Why it was kept, or its branch; null when there is nothing to be said. */
  readonly reason: string | null;
  /** For people: removes it whatever is in it. */
  readonly command: string | null;
}

export interface SessionUsage {
  readonly id: SessionId;
  /** Null: the agent's records say nothing of it, or its host could not be asked. */
  readonly usage: TokenUsage | null;
  /** The host that could not be asked, and why, in a few words. */
  readonly unreachable?: { readonly host: string; readonly reason: string };
}

/** What could not be done to one of several sessions. */
export interface Failure {
  readonly id: SessionId;
  /** A whole message, as of an error. */
  readonly reason: string;
  /** It may have been done. */
  readonly unproven?: boolean;
}

export interface KillResult {
  readonly killed: readonly SessionId[];
  readonly failed: readonly Failure[];
  /** Of the sessions that had one. */
  readonly worktrees?: readonly WorktreeRemoval[];
}

export interface RespondRequest {
  readonly id: SessionId;
  readonly answer: Answer;
  /** Which request is meant, when several are open. */
  readonly request: string | null;
  /** The session whose agent runs this command, if any: it may not answer for itself or for who started it. */
  readonly caller: SessionId | null;
}

export interface RespondResult extends AnswerProof {
  readonly id: SessionId;
  /** What was answered. */
  readonly pending: PendingInput;
  readonly answer: FittingAnswer;
}

export type PruneSelector =
  | {
    readonly ids: readonly SessionId[];
    /** Those whose host can't be asked are forgotten here alone. */
    readonly unreachable?: boolean;
  }
  | { readonly olderThanMs: number };

export interface PruneResult {
  readonly forgotten: readonly {
    readonly id: SessionId;
    /** Path of the git worktree that was made for it and is still there. */
    readonly worktree: string | null;
    /** Its host, which could not be asked and may still have it. */
    readonly leftOn?: string;
  }[];
  readonly failed: readonly Failure[];
  /** Stored results by `--key` that were forgotten. */
  readonly keys: number;
}

export interface TerminalCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Left out: where the caller is. */
  readonly cwd?: string;
}

/**
 * Every operation throws `AppError` for what a user can meet. Long operations end with the signal; what had
 * begun by then is rolled back or left provable.
 */
export interface SessionService {
  /** What `@group` stands for in a command; ids stand for themselves. */
  expand(request: ExpandRequest): Promise<Expanded>;
  create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult>;
  send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome>;
  /** Stops the turn that runs at the call, confirmed by the agent's record; at rest it does nothing. */
  interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome>;
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
  /** Answers what the session waits for; returns when the agent's record proves it. */
  respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult>;
  /** What an agent works towards by itself, as it is after the change. */
  goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult>;
  /** Tokens of these sessions, in this order; null: of all live ones. */
  usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]>;
  kill(selector: KillSelector): Promise<KillResult>;
  /** An ended session lives again, with its conversation, under the same id. */
  resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult>;
  /** Forgets ended sessions; never a live one, and nothing of the agent's own records. */
  prune(selector: PruneSelector): Promise<PruneResult>;
  /** The command that joins the session's terminal. */
  attachCommand(id: SessionId): Promise<TerminalCommand>;
}
