/** Runs a command line in this process against a service that answers from memory and records what it was asked. */

import assert from "node:assert/strict";
import { type CliDeps, runCli } from "../../../lib/cli/app.ts";
import type { Deps } from "../../../lib/deps.ts";
import type { EventRecord } from "../../../lib/events.ts";
import type {
  CreateRequest,
  CreateResult,
  GoalResult,
  InterruptOutcome,
  InterruptRequest,
  KillResult,
  KillSelector,
  ListedSession,
  RespondRequest,
  RespondResult,
  SendOutcome,
  SendRequest,
  SessionService,
  WaitRequest,
  WaitResult,
} from "../../../lib/service.ts";
import type { LogEntry, Receipt, Session, TurnState, WaitOutcome } from "../../../lib/session.ts";

export type Asked = { readonly [operation: string]: unknown };

export interface Call {
  readonly env?: Record<string, string>;
  readonly cwd?: () => string;
  readonly stdin?: string | Uint8Array;
  /** Which of stdin, stdout and stderr are terminals. */
  readonly terminals?: readonly ("stdin" | "stdout" | "stderr")[];
  readonly service?: Partial<SessionService>;
  /** Characters after which stdout's reader is gone. */
  readonly pipeBreaksAfter?: number;
  /** Why stdout can't be written. */
  readonly writeFails?: Error;
  readonly argumentBytes?: Uint8Array[];
  readonly attachExit?: number | null;
  /** Aborts the command's signal as soon as it listens. */
  readonly stopAfterMs?: number;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The service's operations with their arguments, in order. */
  readonly asked: readonly Asked[];
  readonly opened: number;
  readonly closed: number;
  readonly ran: readonly (readonly string[])[];
}

export function session(given: Partial<Session> = {}): Session {
  return {
    id: "fizz-top",
    agent: "claude",
    mode: "yolo",
    path: "/src/app",
    description: null,
    model: null,
    lifecycle: "active",
    createdAt: "2026-01-02T03:04:05.000Z",
    lastUsedAt: "2026-01-02T03:05:05.000Z",
    endedAt: null,
    endReason: null,
    parent: null,
    group: null,
    token: "00000000-0000-4000-8000-000000000001",
    creator: null,
    process: null,
    agentSessionId: "00000000-0000-4000-8000-00000000000a",
    handle: { pane: "%1" },
    legacy: null,
    lastSend: null,
    launch: null,
    worktree: null,
    resumer: null,
    ...given,
  };
}

export function receipt(given: Partial<Receipt> = {}): Receipt {
  return {
    receipt: "r-1",
    result: "submitted",
    reason: null,
    evidence: "hook UserPromptSubmit",
    pending: null,
    anchor: null,
    ...given,
  };
}

export const IDLE: TurnState = {
  state: "idle",
  since: "2026-01-02T03:04:05.000Z",
  evidence: [{ source: "registry", finding: "idle" }],
  background: [],
  lastTurn: { kind: "completed", error: null, at: "2026-01-02T03:04:05.000Z" },
};

export const PERMISSION = {
  kind: "permission",
  tool: "Bash",
  input: { command: "rm -rf dist" },
  summary: "Bash: rm -rf dist",
  detail: null,
  options: ["approve", "deny"],
  questions: [],
  always: null,
  subagent: null,
  answerable: "direct",
  requestId: "q1",
  since: null,
} as const;

export function outcome(id: string, given: WaitOutcome): WaitResult {
  return { id, outcome: given, state: null };
}

function service(asked: Asked[], given: Partial<SessionService>): SessionService {
  const base: SessionService = {
    expand: ({ targets }) =>
      Promise.resolve({
        ids: targets.flatMap((target) => target.kind === "session" ? [target.id] : ["fizz-top", "riven-jg"]),
        leftOut: [],
      }),
    create: (request: CreateRequest): Promise<CreateResult> =>
      Promise.resolve({ session: session({ path: request.path }), readyProven: true, repeated: false }),
    send: (request: SendRequest): Promise<SendOutcome> =>
      Promise.resolve({ id: request.id, receipt: receipt(), repeated: false }),
    interrupt: (request: InterruptRequest): Promise<InterruptOutcome> =>
      Promise.resolve({
        id: request.id,
        result: "interrupted",
        stopped: ["do it"],
        queued: [],
        background: [],
        reason: null,
        evidence: "transcript: interrupt line",
        pending: null,
      }),
    async *wait(request: WaitRequest): AsyncIterable<WaitResult> {
      for (const id of request.ids) yield outcome(id, { outcome: "completed" });
    },
    status: () => Promise.resolve(IDLE),
    lastMessages: () => Promise.resolve(["done"]),
    async *logs(): AsyncIterable<LogEntry> {},
    async *events(): AsyncIterable<EventRecord> {},
    list: (): Promise<ListedSession[]> => Promise.resolve([]),
    inspect: (id) => Promise.resolve(session({ id })),
    respond: (request: RespondRequest): Promise<RespondResult> =>
      Promise.resolve({
        id: request.id,
        pending: PERMISSION,
        answer: { kind: "approve" },
        by: "direct",
        evidence: "the transcript's hook_permission_decision",
        note: null,
      }),
    goal: ({ id }): Promise<GoalResult> =>
      Promise.resolve({ id, goal: null, cleared: null, defaultBudget: null }),
    usage: (ids) => Promise.resolve((ids ?? []).map((id) => ({ id, usage: null }))),
    kill: (selector: KillSelector): Promise<KillResult> =>
      Promise.resolve({ killed: "ids" in selector ? selector.ids : [], failed: [] }),
    resume: ({ id }) => Promise.resolve({ session: session({ id }), readyProven: true }),
    prune: (selector) =>
      Promise.resolve({
        forgotten: "ids" in selector ? selector.ids.map((id) => ({ id, worktree: null })) : [],
        failed: [],
        keys: 0,
      }),
    attachCommand: (id) => Promise.resolve({ command: "tmux", args: ["attach", "-t", `dev-${id}`], env: {} }),
    ...given,
  };
  return new Proxy(base, {
    get: (target, operation: keyof SessionService) => {
      if (!(operation in target)) return undefined;
      return (...args: unknown[]) => {
        const shown = args.filter((argument) => !(argument instanceof AbortSignal));
        asked.push({ [operation]: shown.length === 1 ? shown[0] : shown });
        return (target[operation] as (...args: unknown[]) => unknown)(...args);
      };
    },
  });
}

/** One row of a table: a command line and what it must come to; what is left out is not looked at. */
export interface Row {
  readonly name: string;
  readonly argv: readonly string[];
  readonly given?: Call;
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string | RegExp;
  readonly asked?: readonly Asked[];
}

export async function checkRows(t: Deno.TestContext, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    await t.step(row.name, async () => {
      const got = await call(row.argv, row.given);
      if (row.asked !== undefined) assert.deepEqual(got.asked, row.asked);
      if (row.stderr instanceof RegExp) assert.match(got.stderr, row.stderr);
      else assert.equal(got.stderr, row.stderr ?? "");
      if (row.stdout !== undefined) assert.equal(got.stdout, row.stdout);
      assert.equal(got.code, row.code ?? 0);
      assert.equal(got.closed, got.opened, "the service is closed as often as it is opened");
    });
  }
}

/** Rows of calls that are refused before the service is opened. */
export function refused(
  rows: readonly (readonly [argv: readonly string[], firstLine: string, given?: Call])[],
): Row[] {
  return rows.map(([argv, firstLine, given]) => ({
    name: argv.map((argument) => argument.length > 40 ? `${argument.slice(0, 40)}...` : argument).join(" "),
    argv,
    given: given ?? {},
    code: 2,
    stdout: "",
    stderr: new RegExp(`^${RegExp.escape(firstLine)}\n( {2}.*\n)*$`),
    asked: [],
  }));
}

export async function call(argv: readonly string[], given: Call = {}): Promise<Outcome> {
  const asked: Asked[] = [];
  const ran: string[][] = [];
  let [stdout, stderr, opened, closed] = ["", "", 0, 0];
  const terminals = given.terminals ?? [];
  const deps: Deps = {
    env: { HOME: "/home/u", ...given.env },
    cwd: given.cwd ?? (() => "/src/app"),
    clock: { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() },
    terminal: {
      stdinIsTerminal: () => terminals.includes("stdin"),
      stdoutIsTerminal: () => terminals.includes("stdout"),
      stderrIsTerminal: () => terminals.includes("stderr"),
      readStdin: () => {
        const stdin = given.stdin ?? "";
        return Promise.resolve(typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin);
      },
      writeOut: (text) => {
        if (given.writeFails !== undefined) throw given.writeFails;
        if (stdout.length >= (given.pipeBreaksAfter ?? Infinity)) throw new Deno.errors.BrokenPipe("gone");
        stdout += text;
      },
      writeErr: (text) => void (stderr += text),
    },
    randomUuid: () => crypto.randomUUID(),
    program: () => ({ kind: "compiled", executable: "/home/u/.local/bin/dev-sessions" }),
    run: () => Promise.reject(new Error("no processes here")),
    processStates: () => Promise.resolve([]),
    identify: () => Promise.resolve(null),
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const cli: CliDeps = {
    deps,
    version: "1.2.3",
    openService: () => {
      opened++;
      const opening = service(asked, given.service ?? {});
      return Promise.resolve(Object.assign(Object.create(opening), { close: () => void closed++ }));
    },
    runInTerminal: (command, args) => {
      ran.push([command, ...args]);
      return Promise.resolve(given.attachExit === undefined ? 0 : given.attachExit);
    },
    argumentBytes: () => given.argumentBytes ?? null,
    onStop: (stop) => {
      if (given.stopAfterMs !== undefined) timer = setTimeout(stop, given.stopAfterMs);
      return () => clearTimeout(timer);
    },
  };
  const code = await runCli(argv, cli);
  return { code, stdout, stderr, asked, opened, closed, ran };
}
