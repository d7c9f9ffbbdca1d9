/** What an agent must offer to be a backend. Agent knowledge ends here; the core knows only this. */

import type {
  AgentKind,
  AnswerProof,
  FittingAnswer,
  Goal,
  GoalChange,
  Interruption,
  Liveness,
  LogEntry,
  Message,
  PendingInput,
  ProcessIdentity,
  Receipt,
  SandboxKind,
  Session,
  SessionEvent,
  SessionId,
  TokenUsage,
  TurnState,
  WaitOutcome,
} from "../lib/session.ts";
import type { EventBatch } from "../lib/events.ts";
import type { TerminalCommand } from "../lib/service.ts";
import type { EndedSession } from "../lib/store/revival.ts";

export interface CreateSpec {
  /** The row as it stands, lifecycle `creating`. */
  readonly session: Session;
  readonly agentArgs: readonly string[];
  readonly trust: boolean;
  readonly readyTimeoutMs: number;
}

/** What the row must hold while an ended session is being resumed. */
export interface ResumePlan extends Pick<AgentHandle, "handle" | "agentSessionId"> {
  /** The agent's id of the conversation that goes on. */
  readonly conversation: string;
  /** False for one that never got a prompt: then it begins, under the same id. */
  readonly begun: boolean;
}

export interface ResumeSpec extends CreateSpec, Pick<ResumePlan, "conversation" | "begun"> {}

export interface AgentHandle {
  readonly handle: unknown;
  readonly process: ProcessIdentity | null;
  readonly agentSessionId: string | null;
  readonly readyProven: boolean;
}

/** Thrown by `create` when the name is taken outside of the registry; the manager takes another id. */
export class NameTakenError extends Error {
  override readonly name = "NameTakenError";
}

/** Called under the session's lock over processes, so that the registry and the keystrokes agree. */
export interface SendHooks {
  /** Immediately before the first keystroke; what it throws ends the send with nothing typed. */
  readonly beforeTyping: (anchor: unknown) => void;
  readonly finished: (receipt: Receipt) => void;
}

/** A conversation that is read on as it grows. */
export interface LogReader {
  /** What became complete since the last call. */
  read(): AsyncIterable<LogEntry>;
  /** What is left when nothing more will come. */
  end(): LogEntry[];
}

/** What an agent works towards by itself; an agent that knows no goals leaves it out. */
export interface GoalOperations {
  /** Null: it has none. */
  get(session: Session): Promise<Goal | null>;
  /** @throws AppError when there is none to adjust, and when it can't be set. */
  set(session: Session, change: GoalChange, signal: AbortSignal): Promise<Goal>;
  /** False: there was none. */
  clear(session: Session, signal: AbortSignal): Promise<boolean>;
  /** For `outcome()`: what its goal comes to. @throws AppError when it has none. */
  anchor(session: Session): Promise<unknown>;
  /** For `outcome()`: what the turn comes to that runs now, else the next one. */
  nextTurn(session: Session): Promise<unknown>;
}

export interface Backend {
  readonly agent: AgentKind;
  readonly goals?: GoalOperations;
  /** Checked before anything is written: throws `AppError` when this agent can't be started here. */
  preflight(
    request: {
      readonly mode: Session["mode"];
      readonly path: string;
      readonly trust: boolean;
      readonly agentArgs?: readonly string[];
      readonly sandbox?: SandboxKind;
    },
    /** Whether the registry has a row with this token that is not ended, as of the call. */
    isLive: (token: string) => boolean,
  ): Promise<void>;
  /** What the row must hold before anything exists outside of it, so that it can be found and removed. */
  plan(
    session: Pick<Session, "id" | "token" | "mode" | "path">,
  ): Pick<AgentHandle, "handle" | "agentSessionId">;
  create(spec: CreateSpec, signal: AbortSignal): Promise<AgentHandle>;
  /** Removes what `create` left; `unknown` when that can't be told now, and then the row must stay. */
  rollback(session: Session): Promise<"removed" | "unknown">;
  /**
   * Checked before anything is written: throws `AppError` when the session can't live again here and now, or when its
   * conversation lives elsewhere.
   */
  planResume(session: Session): Promise<ResumePlan>;
  /** Starts the agent anew with its conversation. */
  resume(spec: ResumeSpec, signal: AbortSignal): Promise<AgentHandle>;
  /** As `rollback`, of a `resume`: what there was before it stays. */
  rollBackResume(session: Session): Promise<"removed" | "unknown">;
  /** Tokens of those ended sessions that nothing known keeps from being resumed; cheap. */
  resumable(ended: readonly EndedSession[]): ReadonlySet<string>;
  /** Ends the agent when it is proven to be at rest for so long, with nobody at it and nothing in its input box. */
  endIfIdle(session: Session, idleMs: number): Promise<boolean>;
  send(session: Session, message: Message, hooks: SendHooks, signal: AbortSignal): Promise<Receipt>;
  /** Stops the turn that runs at the call, and no later one; with `allQueued` also what is queued behind it. */
  interrupt(
    session: Session,
    options: { readonly allQueued: boolean },
    signal: AbortSignal,
  ): Promise<Interruption>;
  /** Looks for a delivery whose sender was killed: null when the agent's records do not have it (yet). */
  findReceipt(session: Session, message: Message, anchor: unknown): Promise<Receipt | null>;
  /** With `explain`, every source is read, also those that the decision does not need. */
  state(session: Session, options: { readonly explain: boolean }): Promise<TurnState>;
  /**
   * Answers a request that `state` has told of, if it is still open and the same; returns when the agent's record
   * proves it.
   *
   * @throws AppError when it is not, and when nothing proves that the answer arrived.
   */
  respond(
    session: Session,
    request: PendingInput,
    answer: FittingAnswer,
    signal: AbortSignal,
  ): Promise<AnswerProof>;
  /** Yields at once, then whenever evidence may have changed, at least every `pollMs`; ends with the signal. */
  watch(session: Session, pollMs: number | null, signal: AbortSignal): AsyncIterable<SessionEvent>;
  /** Null: not over yet. `anchor` null: nothing was ever sent. */
  outcome(
    session: Session,
    anchor: unknown,
    /** With the signal a look that takes long may end as `unknown`. */
    options: { readonly background: boolean; readonly signal?: AbortSignal },
  ): Promise<{
    readonly outcome: WaitOutcome | null;
    readonly state: TurnState;
  }>;
  /** Newest last; with an anchor only what was said in the turn of that message. */
  messages(session: Session, count: number, anchor: unknown): Promise<string[]>;
  log(session: Session): AsyncIterable<LogEntry>;
  openLog(session: Session): LogReader | Promise<LogReader>;
  /**
   * What the agent's records hold after a position that an earlier call returned (null: from their start), oldest
   * first and at most so much as memory should hold; reads only what is new and changes nothing.
   */
  eventsSince(session: Session, position: unknown): Promise<EventBatch>;
  /** One call for all. */
  liveness(sessions: readonly Session[]): Promise<Map<SessionId, Liveness>>;
  /** Cheap states of many sessions, for `list`. */
  states(
    sessions: readonly Session[],
  ): Promise<Map<SessionId, { state: TurnState["state"]; pending: PendingInput | null }>>;
  /** Tokens from the agent's records, also of ended sessions; null where they say nothing. One call for all. */
  usage(sessions: readonly Session[]): Promise<Map<SessionId, TokenUsage | null>>;
  /** Ends the agent; resolves when it is proven to be gone. */
  kill(session: Session): Promise<void>;
  /** Finds the agent of an imported row that has no handle; null when it can't be proven to be that one. */
  adopt(session: Session): Promise<AgentHandle | null>;
  /** Tidies up after an agent that died by itself; returns why it ended, for people. */
  reap(session: Session): Promise<string>;
  attachCommand(session: Session): TerminalCommand | Promise<TerminalCommand>;
  /** Called once these have ended and no other session of this agent lives or is about to. */
  released?(ended: readonly Session[]): Promise<void>;
  /**
   * For one of many requests that a long-lived process serves: a backend that keeps no more of a session than a command
   * would, and shares what may be shared. Left out: the backend itself is that.
   */
  forRequest?(): Backend;
  /**
   * At the end of the command: lets go of what is still open, and ends what only this command needed.
   * @param isUnused whether no session of this agent lives or is about to.
   */
  close?(isUnused: () => boolean): Promise<void>;
}
