/** The nouns of dev-sessions: what every room of the house means by session, turn, receipt and outcome. */

export type AgentKind = "claude" | "codex";
export const AGENT_KINDS: readonly AgentKind[] = ["claude", "codex"];
/** What people call them. */
export const AGENT_TITLES: Readonly<Record<AgentKind, string>> = { claude: "Claude Code", codex: "Codex" };

/** `yolo`: the agent never asks; `native`: its own permission prompts; `docker`: inside a container. */
export type Mode = "yolo" | "native" | "docker";
export const MODES: readonly Mode[] = ["yolo", "native", "docker"];

/** What this version can start. */
export const OFFERED_AGENTS = ["claude", "codex"] as const satisfies readonly AgentKind[];
export const OFFERED_MODES = ["yolo", "native", "docker"] as const satisfies readonly Mode[];

/** What an agent's commands may reach, where the agent itself can confine them: files of the workspace, or everything. */
export type SandboxKind = "read-only" | "workspace" | "full";
export const SANDBOX_KINDS: readonly SandboxKind[] = ["read-only", "workspace", "full"];

export type SessionId = string;

/** Proof of which process is meant: a pid alone may have been reused. Source: `lib/process_identity.ts`. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque start time as the system records it (clock ticks on Linux, `lstart` on macOS). */
  readonly start: string;
  /** Identifies one boot of the machine. */
  readonly boot: string;
  /** Identifies the machine and its process-id namespace. */
  readonly machine: string;
}

/** `unknown` is an answer: it changes no record, deletes nothing, retries nothing. */
export type Liveness = "alive" | "dead" | "unknown";

/** `creating` rows belong to a running `create`, or are rolled back by the next command. */
export type Lifecycle = "creating" | "active" | "ended";

export interface Session {
  readonly id: SessionId;
  readonly agent: AgentKind;
  readonly mode: Mode;
  /** Absolute path of the workspace. */
  readonly path: string;
  readonly description: string | null;
  readonly model: string | null;
  readonly lifecycle: Lifecycle;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly endedAt: string | null;
  /** Why it ended, for people: `killed`, `exit 1`, `signal 9`, ... */
  readonly endReason: string | null;
  /** The session that ran `create`. */
  readonly parent: SessionId | null;
  readonly group: string | null;
  /** Random; marks everything outside of the registry that belongs to this row (tmux session, folder). */
  readonly token: string;
  /** The `create` process; what it left is rolled back once it is gone. */
  readonly creator: ProcessIdentity | null;
  /** The agent's process, once it is known. */
  readonly process: ProcessIdentity | null;
  /** The agent's own id of the conversation (Claude session id, Codex thread id). */
  readonly agentSessionId: string | null;
  /** What only the backend understands, checked by its schema when it reads it. */
  readonly handle: unknown;
  /** Keys of an imported record that this version does not use. */
  readonly legacy: Record<string, unknown> | null;
  readonly lastSend: SendRecord | null;
  /** What the agent was started with beyond the columns above; null where an earlier version started it. */
  readonly launch: Launch | null;
  /** The git worktree that was made for this session alone. */
  readonly worktree: Worktree | null;
  /** The `resume` process that is at work on it; the row stays `ended` until the agent accepts input. */
  readonly resumer: ProcessIdentity | null;
  /** The ssh target where it lives; left out for sessions of this machine. */
  readonly host?: string;
}

/** An agent does not remember these, so that `resume` must give them again. */
export interface Launch {
  readonly agentArgs: readonly string[];
  readonly trust: boolean;
  /** Left out: what belongs to the mode. */
  readonly sandbox?: SandboxKind | undefined;
}

export interface Worktree {
  /** Absolute path of the repository's main working tree. */
  readonly repository: string;
  /** Absolute path of the worktree's own top folder. */
  readonly path: string;
  readonly branch: string;
  /** Whether the branch was made together with the worktree, and may go with it. */
  readonly newBranch: boolean;
  /** The commit that it began with. */
  readonly base: string;
}

/** What lists show of a session; the rest of the row is for reaching its agent. */
export type SessionSummary = Omit<
  Session,
  "creator" | "process" | "handle" | "lastSend" | "launch" | "worktree" | "resumer"
>;

/** The closed set of results of `send`. */
export type SendResult =
  /** The agent's record has the message and its turn has started. */
  | "submitted"
  /** The agent's record has the message; it is taken up after the running turn or absorbed into it. */
  | "queued"
  /** Nothing was delivered. */
  | "refused"
  /** The text stands in the agent's input box; it was not accepted. */
  | "typed_not_submitted"
  /** It may have been delivered; no record proves or disproves it. */
  | "indeterminate";

export const SEND_RESULTS: readonly SendResult[] = [
  "submitted",
  "queued",
  "refused",
  "typed_not_submitted",
  "indeterminate",
];

export interface Receipt {
  /** Names this delivery: `wait --message <receipt>`. */
  readonly receipt: string;
  readonly result: SendResult;
  /** Why, in one sentence; always present unless submitted or queued. */
  readonly reason: string | null;
  /** What proves the result, e.g. `hook UserPromptSubmit`. */
  readonly evidence: string | null;
  /** Refused because the session waits for this. */
  readonly pending: PendingInput | null;
  /** Where the agent's records stood, so that a later `wait` starts from this message. Backend's own. */
  readonly anchor: unknown;
}

/** The last delivery as the registry keeps it. */
export interface SendRecord {
  readonly receipt: string;
  /** `typing` while (or since) a sender is at work; a sender killed there leaves `typing`. */
  readonly result: SendResult | "typing";
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly anchor: unknown;
}

/**
 * How a message goes to a session that works: behind the running turn, into it, or after it was stopped. An idle
 * session takes it at once in each of them.
 */
export type SendMode = "queue" | "steer" | "interrupt";

export interface Message {
  readonly receipt: string;
  /** Normalised text: what the model is to receive. */
  readonly text: string;
  /** Default: `queue`. */
  readonly mode?: SendMode;
}

/** The closed set of results of `interrupt`. */
export type InterruptResult =
  /** The agent's own record shows that at least one turn was stopped. */
  | "interrupted"
  /** No turn ran; nothing was pressed. */
  | "not_running"
  /** The turn came to its own end first; nothing was stopped. */
  | "ended_by_itself"
  /** Nothing was pressed, see `reason`. */
  | "refused"
  /** The turn may have been stopped or may go on; no record proves it. */
  | "unproven";

export interface Interruption {
  readonly result: InterruptResult;
  /** What began each turn that was stopped, oldest first. */
  readonly stopped: readonly string[];
  /** Messages that wait behind it, or whose turn has begun since. */
  readonly queued: readonly string[];
  /** Goes on beside the turns, and is not stopped with them. */
  readonly background: readonly BackgroundTask[];
  /** In one sentence; always present when refused or unproven. */
  readonly reason: string | null;
  readonly evidence: string | null;
  /** Refused because the session waits for this. */
  readonly pending: PendingInput | null;
}

export type PendingKind = "permission" | "question" | "plan" | "dialog";

/**
 * How an answer from outside reaches the agent: `direct` is given to whoever asks and may be any answer; `keys` are
 * pressed in its dialog and can say little; with `terminal` only a person who attaches can answer.
 */
export type Answerable = "direct" | "keys" | "terminal";
export const ANSWERABLE: readonly Answerable[] = ["direct", "keys", "terminal"];

/** One question of the agent with what it offers for an answer; any other text is an answer, too. */
export interface Question {
  readonly question: string;
  readonly header: string;
  readonly multiSelect: boolean;
  readonly options: readonly { readonly label: string; readonly description: string }[];
}

/** What the session waits for. */
export interface PendingInput {
  readonly kind: PendingKind;
  /** Tool that asks, when the agent's record names it. */
  readonly tool: string | null;
  readonly input: unknown;
  /** One line for people: `Bash: rm -rf dist`. */
  readonly summary: string;
  /** All of what is to be approved, where the summary leaves some of it out: a plan, a long command. */
  readonly detail: string | null;
  /** The labels of all questions; for permissions and plans `approve`, `always` (when it is offered), `deny`. */
  readonly options: readonly string[];
  /** Empty unless the agent asks questions. */
  readonly questions: readonly Question[];
  /** What `always` allows for the rest of this session, in words; null when the agent suggests nothing. */
  readonly always: string | null;
  /** The kind of sub-agent that asks; null for the session's own agent. */
  readonly subagent: string | null;
  readonly answerable: Answerable;
  readonly requestId: string | null;
  readonly since: string | null;
}

/** An answer as the caller gives it. */
export type Answer =
  | { readonly kind: "approve" }
  /** Approve, and let the agent do the like without asking for the rest of this session. */
  | { readonly kind: "always" }
  | { readonly kind: "deny"; readonly message: string | null }
  /** Numbers from 1 or labels. With one question its picks, with several one set of picks for each. */
  | { readonly kind: "options"; readonly options: readonly string[] }
  | { readonly kind: "text"; readonly text: string };

/** An answer that fits what was asked: for questions, of each its labels or one text of the caller's own. */
export type FittingAnswer =
  | Exclude<Answer, { readonly kind: "options" | "text" }>
  | { readonly kind: "answers"; readonly answers: readonly (readonly string[])[] };

/** What proves that the answer arrived. */
export interface AnswerProof {
  readonly by: Exclude<Answerable, "terminal">;
  /** The record that has it, e.g. `the transcript's hook_permission_decision`. */
  readonly evidence: string;
  /** What else the answer brought about, for people; null for nothing. */
  readonly note: string | null;
}

export interface BackgroundTask {
  readonly id: string;
  /** `shell`, `subagent`, `cron`, ... as the agent names it. */
  readonly type: string;
  readonly description: string | null;
}

export type TurnEndKind = "completed" | "failed" | "interrupted";

export interface TurnEnd {
  readonly kind: TurnEndKind;
  /** The agent's error text, when it failed. */
  readonly error: string | null;
  readonly at: string | null;
}

/** One source that was looked at and what it said; printed by `status --explain`. */
export interface Evidence {
  readonly source: string;
  readonly finding: string;
}

interface StateBase {
  readonly since: string | null;
  readonly evidence: readonly Evidence[];
  readonly background: readonly BackgroundTask[];
  readonly lastTurn: TurnEnd | null;
  /** What the agent works towards from turn to turn; absent where the agent knows no goals. */
  readonly goal?: Goal | null;
  /** The running turn does not get on, and the agent tries again by itself. */
  readonly retrying?: Retrying;
}
export interface Retrying {
  /** The agent's words. */
  readonly message: string;
  /** ISO 8601, UTC. */
  readonly at: string;
}
export type TurnState =
  | (StateBase & { readonly state: "idle" })
  | (StateBase & { readonly state: "working" })
  | (StateBase & {
    readonly state: "waiting_for_input";
    readonly pending: PendingInput;
    /** Further requests that are open at the same time, oldest first. */
    readonly others: readonly PendingInput[];
  })
  | (StateBase & { readonly state: "gone"; readonly reason: string })
  | (StateBase & { readonly state: "unknown"; readonly reason: string });

export type StateName = TurnState["state"];

/** All but `active` are at rest. */
export type GoalStatus = "active" | "paused" | "blocked" | "usageLimited" | "budgetLimited" | "complete";

/** What an agent works towards by itself, turn after turn, until it is done or something ends it. */
export interface Goal {
  /** The agent's own id of the conversation. */
  readonly threadId: string;
  readonly objective: string;
  readonly status: GoalStatus;
  /** It ends as `budgetLimited` beyond so many tokens; null: without a limit. */
  readonly tokenBudget: number | null;
  readonly tokensUsed: number;
  readonly timeUsedSeconds: number;
  /** Seconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What is to become of a session's goal. */
export type GoalChange =
  /** In place of the one that it has. */
  | { readonly kind: "begin"; readonly objective: string; readonly tokenBudget: number }
  /** Of the one that it has: null leaves it as it is. */
  | {
    readonly kind: "adjust";
    readonly status: "active" | "paused" | null;
    readonly tokenBudget: number | null;
  };

/** What a `wait` on one session came to. */
export type WaitOutcome =
  /** Nothing was ever sent and nothing runs. */
  | { readonly outcome: "idle" }
  | { readonly outcome: "completed" }
  | { readonly outcome: "failed"; readonly error: string }
  | { readonly outcome: "interrupted" }
  | {
    readonly outcome: "waiting_for_input";
    readonly pending: PendingInput;
    readonly others: readonly PendingInput[];
  }
  | { readonly outcome: "gone"; readonly reason: string }
  | { readonly outcome: "timed_out"; readonly state: StateName }
  /** A wait for a goal: what it came to, with the error of its last turn. */
  | {
    readonly outcome: Exclude<GoalStatus, "active"> | "cleared";
    readonly goal: Goal | null;
    readonly error: string | null;
  };

export interface LogEntry {
  readonly role: "human" | "assistant" | "tool";
  readonly text: string;
  /** ISO 8601 when the agent recorded one. */
  readonly at: string | null;
  /** For `role: "tool"`. */
  readonly tool?: { readonly name: string; readonly input: unknown; readonly result: string | null };
}

/** Tokens that a session has used, as the agent's records have them; the four kinds exclude each other. */
export interface TokenUsage {
  /** Read by the model anew. */
  readonly input: number;
  readonly output: number;
  /** Taken from the cache. */
  readonly cacheRead: number;
  /** Read anew, and put into the cache. */
  readonly cacheWrite: number;
  readonly total: number;
}

/** Something happened to a session; what `wait` is woken by. */
export type SessionEvent =
  | { readonly type: "evidence_changed" }
  | { readonly type: "ended" };
