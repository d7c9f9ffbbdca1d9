/**
 * The Codex backend: ties its parts together, decides nothing by itself. Long because the interface is: a few lines for
 * each of its operations.
 */

import type {
  AgentHandle,
  Backend,
  CreateSpec,
  LogReader,
  ResumePlan,
  ResumeSpec,
  SendHooks,
} from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { EventBatch } from "../../lib/events.ts";
import { readConfig } from "../../lib/config.ts";
import type { Paths } from "../../lib/paths.ts";
import { baseName } from "../../lib/posix_path.ts";
import type {
  AnswerProof,
  FittingAnswer,
  Interruption,
  Liveness,
  LogEntry,
  Message,
  PendingInput,
  Receipt,
  SandboxKind,
  Session,
  SessionEvent,
  SessionId,
  TokenUsage,
  TurnState,
  WaitOutcome,
} from "../../lib/session.ts";
import type { TerminalCommand } from "../../lib/service.ts";
import type { EndedSession } from "../../lib/store/revival.ts";
import { markShared } from "../docker/shared_files.ts";
import { plannedContainer } from "./container_handle.ts";
import { TOKEN_NAME, URL_NAME } from "./endpoint.ts";
import { codexAnchorOf, type CodexEvidence, isArchived } from "./evidence.ts";
import { codexHomeOf } from "./find_server.ts";
import { judgeWait } from "./goal_turns.ts";
import { CodexGoals } from "./goals.ts";
import { type CodexHandle, depsOf, handleOf, parseHandle } from "./handle.ts";
import { Link, type Use } from "./link.ts";
import { makeFolder, noteThread, type SessionFolder, sessionFolder } from "./session_folder.ts";
import { endedState, goneState, isContainerGone, lostState, unknownState } from "./plain_states.ts";
import { SessionThread } from "./session_thread.ts";
import { decideState } from "./state.ts";
import { plannedHandle, withThread } from "./threads.ts";
import { watchThread } from "./watch.ts";

const NEVER = new AbortController().signal;

export class CodexBackend implements Backend {
  readonly agent = "codex";
  readonly goals = new CodexGoals((session) => this.#thread(session));
  readonly #links = new Map<string, Link>();
  readonly #threads = new Map<string, SessionThread>();

  constructor(private readonly deps: Deps, private readonly paths: Paths) {}

  /** The connection is shared; what could not be started for an earlier request is tried again. */
  forRequest(): CodexBackend {
    for (const link of this.#links.values()) link.forgetStartFailure();
    return this;
  }

  async preflight(
    request: {
      readonly mode: Session["mode"];
      readonly path: string;
      readonly agentArgs?: readonly string[];
      readonly sandbox?: SandboxKind;
    },
    isLive: (token: string) => boolean,
  ): Promise<void> {
    if (request.mode === "docker") {
      const { preflightCodexContainer } = await import("./container.ts");
      await preflightCodexContainer(this.deps, this.paths, request, isLive);
    }
    if (request.mode === "native" && request.sandbox === "full") {
      throw new AppError(
        "usage",
        "Cannot create a session in native mode with --sandbox full: nothing would be left to ask for. " +
          "Use --mode yolo, or --sandbox workspace",
      );
    }
    const { threadConfig } = await import("./agent_args.ts");
    threadConfig(request.agentArgs ?? []);
  }

  plan(
    session?: Pick<Session, "id" | "token" | "mode" | "path">,
  ): Pick<AgentHandle, "handle" | "agentSessionId"> {
    if (session?.mode === "docker") {
      const container = plannedContainer(this.deps, session, {
        folder: this.paths.sessionFolder(session.token),
        program: readConfig(this.paths.config).docker.codex,
      });
      const { codexHome } = container;
      const handle = { codexHome, url: null, tokenFile: null, threadId: null, rollout: null, container };
      return { handle, agentSessionId: null };
    }
    const codexHome = codexHomeOf({ deps: this.deps, signal: NEVER });
    const names = { url: URL_NAME, token: TOKEN_NAME };
    return { handle: plannedHandle(this.deps, codexHome, names), agentSessionId: null };
  }

  async create(spec: CreateSpec, signal: AbortSignal): Promise<AgentHandle> {
    const { startThread } = await import("./threads.ts");
    const folder = this.#folder(spec.session);
    makeFolder(folder);
    const link = this.#link(spec.session);
    const thread = await link.whileStarting(() =>
      this.#inTime(spec, signal, (over) => startThread(link, spec, (id) => noteThread(folder, id), over))
    );
    return {
      handle: withThread(spec.session, thread),
      process: null,
      agentSessionId: thread.id,
      readyProven: true,
    };
  }

  /** @throws AppError (timed_out) when the server lets us wait. */
  async #inTime<T>(
    { session, readyTimeoutMs }: CreateSpec,
    signal: AbortSignal,
    begin: (over: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const [late, done] = [new AbortController(), new AbortController()];
    const why = new AppError(
      "timed_out",
      `Cannot start the thread of "${session.id}": the Codex server did not answer within ${
        readyTimeoutMs / 1000
      } s`,
    );
    void this.deps.clock.sleep(readyTimeoutMs, done.signal).then(() => late.abort(why));
    try {
      return await begin(AbortSignal.any([signal, late.signal]));
    } finally {
      done.abort();
    }
  }

  async rollback(session: Session): Promise<"removed" | "unknown"> {
    return await (await this.#ending()).undo(session, this.#folder(session));
  }

  async kill(session: Session): Promise<void> {
    await (await this.#ending()).kill(this.#planned(session));
  }

  async released(ended: readonly Session[]): Promise<void> {
    const { stopIfOurs } = await import("./stop_server.ts");
    const handles = ended.flatMap(({ handle }) => parseHandle(handle) ?? [])
      .filter(({ container }) => container === undefined);
    for (const [codexHome, some] of Map.groupBy(handles, (handle) => handle.codexHome)) {
      const threads = new Set(some.flatMap(({ threadId }) => threadId ?? []));
      for (const handle of some) await this.#links.get(linkKey(handle))?.close();
      const [first] = some;
      if (first === undefined) continue;
      await stopIfOurs({ deps: depsOf(this.deps, first), signal: NEVER, codexHome }, threads);
    }
  }

  async reap(session: Session): Promise<string> {
    return await (await this.#ending()).reap(session, this.#thread(session));
  }

  async planResume(session: Session): Promise<ResumePlan> {
    const { planResume } = await import("./resume.ts");
    const planned = this.#planned(session);
    return await planResume(this.#link(planned), planned);
  }

  async resume(spec: ResumeSpec, signal: AbortSignal): Promise<AgentHandle> {
    const { resumeThread } = await import("./resume.ts");
    makeFolder(this.#folder(spec.session));
    // Its row says that it has ended until it lives.
    const link = this.#link(spec.session, "agent");
    return await link.whileStarting(() =>
      this.#inTime(spec, signal, (over) => resumeThread(link, spec, over))
    );
  }

  async rollBackResume(session: Session): Promise<"removed" | "unknown"> {
    return await (await this.#ending()).undoResume(session);
  }

  resumable(ended: readonly EndedSession[]): ReadonlySet<string> {
    return new Set(ended.flatMap(({ session, handle }) => {
      const parsed = handle === null ? null : parseHandle(JSON.parse(handle));
      if (session.mode === "docker" && parsed?.container === undefined) return [];
      const threadId = handle === null ? session.agentSessionId : parsed?.threadId;
      return threadId ? [session.token] : [];
    }));
  }

  async endIfIdle(session: Session, idleMs: number): Promise<boolean> {
    const [{ hasRested }, { acquireLock }] = await Promise.all([
      import("./resume.ts"),
      import("../../lib/file_lock.ts"),
    ]);
    const options = { timeoutMs: 0, clock: this.deps.clock, signal: NEVER };
    using lock = await acquireLock(this.#folder(session).lock, options);
    if (lock === null || !await hasRested(this.#thread(session), idleMs)) return false;
    await this.kill(session);
    return true;
  }

  async send(session: Session, message: Message, hooks: SendHooks, signal: AbortSignal): Promise<Receipt> {
    return await (await this.#delivery(session)).send(message, hooks, signal);
  }

  async findReceipt(session: Session, message: Message, anchor: unknown): Promise<Receipt | null> {
    const since = codexAnchorOf(anchor);
    return since === null ? null : await (await this.#delivery(session)).find(message, since);
  }

  async interrupt(
    session: Session,
    options: { readonly allQueued: boolean },
    signal: AbortSignal,
  ): Promise<Interruption> {
    return await (await this.#interrupter(session)).interrupt(options, signal);
  }

  async respond(
    session: Session,
    request: PendingInput,
    answer: FittingAnswer,
    signal: AbortSignal,
  ): Promise<AnswerProof> {
    const { Requests } = await import("./requests.ts");
    const requests = new Requests(this.deps, session, this.#thread(session), this.#folder(session).lock);
    return await requests.answer(request, answer, signal);
  }

  async state(session: Session): Promise<TurnState> {
    if (session.lifecycle === "ended") return endedState(session);
    if (session.handle === null) return lostState();
    const evidence = await this.#thread(session).gather({ wish: "start" });
    if (isContainerGone(session, evidence)) return goneState();
    const { retrying } = evidence;
    const state = decideState(evidence);
    if (retrying === null || state.state !== "working") return state;
    return {
      ...state,
      retrying: { message: retrying.message, at: new Date(retrying.at).toISOString() },
    };
  }

  async states(
    sessions: readonly Session[],
  ): Promise<Map<SessionId, { state: TurnState["state"]; pending: PendingInput | null }>> {
    const states = await Promise.all(sessions.map(async (session) => {
      const state = await this.#stateNow(session);
      const pending = state.state === "waiting_for_input" ? state.pending : null;
      return [session.id, { state: state.state, pending }] as const;
    }));
    return new Map(states);
  }

  /** What can't be read of one session keeps none of the others from being told. */
  async #stateNow(session: Session): Promise<TurnState> {
    if (session.handle === null) return lostState();
    try {
      const evidence = await this.#thread(session).gather({ wish: "find", settle: false });
      return isContainerGone(session, evidence) ? goneState() : decideState(evidence);
    } catch (error) {
      return unknownState(`its thread can't be read: ${messageOf(error)}`);
    }
  }

  async *watch(session: Session, pollMs: number | null, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    if (session.lifecycle === "ended") {
      yield { type: "ended" };
      return;
    }
    yield* watchThread(this.#thread(session), pollMs, this.deps.clock, signal);
  }

  async outcome(
    session: Session,
    anchor: unknown,
    options: { readonly signal?: AbortSignal },
  ): Promise<{ outcome: WaitOutcome | null; state: TurnState }> {
    const since = codexAnchorOf(anchor);
    const { signal = NEVER } = options;
    let evidence: CodexEvidence;
    try {
      evidence = await this.#thread(session).gather({ wish: "start", since, signal });
    } catch (error) {
      // The wait is over, and its server has not answered by then.
      if (signal.aborted) return { outcome: null, state: unknownState("Codex's app-server does not answer") };
      throw error;
    }
    if (session.lifecycle !== "ended" && isContainerGone(session, evidence)) {
      const state = goneState();
      return { outcome: { outcome: "gone", reason: state.reason }, state };
    }
    const outcome = judgeWait(evidence, anchor);
    if (session.lifecycle !== "ended") return { outcome, state: decideState(evidence) };
    const state = endedState(session);
    const isOver = outcome?.outcome === "completed" || outcome?.outcome === "failed" ||
      outcome?.outcome === "interrupted";
    return { outcome: isOver ? outcome : { outcome: "gone", reason: session.endReason ?? "ended" }, state };
  }

  async messages(session: Session, count: number, anchor: unknown): Promise<string[]> {
    const { lastMessages } = await import("./conversation_reader.ts");
    return await lastMessages(this.#thread(session), count, codexAnchorOf(anchor));
  }

  async *log(session: Session): AsyncGenerator<LogEntry> {
    const { conversationLog } = await import("./conversation_reader.ts");
    yield* conversationLog(this.#thread(session));
  }

  async openLog(session: Session): Promise<LogReader> {
    const { ConversationReader } = await import("./conversation_reader.ts");
    return new ConversationReader(this.#thread(session));
  }

  async eventsSince(session: Session, position: unknown): Promise<EventBatch> {
    const { readEvents } = await import("./event_reader.ts");
    return await readEvents(this.#thread(session), position);
  }

  async usage(sessions: readonly Session[]): Promise<Map<SessionId, TokenUsage | null>> {
    const { rolloutUsage } = await import("./usage.ts");
    return new Map(
      await Promise.all(sessions.map(async ({ id, handle }) => {
        for (const path of rolloutsOf(parseHandle(handle))) {
          const usage = await rolloutUsage(path);
          if (usage !== null) return [id, usage] as const;
        }
        return [id, null] as const;
      })),
    );
  }

  /** A thread has no process of its own: it lives while its server has it outside of the archive, running or not. */
  async liveness(sessions: readonly Session[]): Promise<Map<SessionId, Liveness>> {
    const found = await Promise.all(sessions.map(async (session): Promise<[SessionId, Liveness]> => {
      if (session.handle === null) return [session.id, "unknown"];
      const evidence = await this.#thread(session).gather({ wish: "find", settle: false });
      const { server, thread } = evidence;
      if (isContainerGone(session, evidence)) return [session.id, "dead"];
      if (server !== "up") return [session.id, "unknown"];
      return [session.id, thread === null || isArchived(thread) ? "dead" : "alive"];
    }));
    return new Map(found);
  }

  async adopt(session: Session): Promise<AgentHandle | null> {
    if (session.agentSessionId === null) return null;
    const planned = this.#planned(session);
    const { server, thread } = await this.#thread(planned).gather({ wish: "start", settle: false });
    if (server !== "up" || thread === null) return null;
    makeFolder(this.#folder(session));
    return {
      handle: withThread(planned, thread),
      process: null,
      agentSessionId: session.agentSessionId,
      readyProven: true,
    };
  }

  async attachCommand(session: Session): Promise<TerminalCommand> {
    const { container, threadId } = handleOf(session);
    if (container !== undefined) {
      const { attachContained } = await import("./container.ts");
      return await attachContained(this.deps, container, threadId ?? "");
    }
    const { attachCommand } = await import("./attach.ts");
    return await attachCommand(this.deps, this.#link(session), this.#thread(session));
  }

  async close(isUnused: () => boolean): Promise<void> {
    const links = [...this.#links.values()];
    const started = links.filter((link) => link.hasStarted);
    await Promise.all(links.map((link) => link.close()));
    await Promise.all(links.map((link) => link.closeReader()));
    if (started.length === 0 || !isUnused()) return;
    const { stopIfOurs } = await import("./stop_server.ts");
    for (const link of started) await stopIfOurs(link.options, link.threads);
  }

  /** As if it were created here and now, for one that an earlier version created. */
  #planned(session: Session): Session {
    if (session.handle !== null) return session;
    const { handle } = this.plan();
    const planned = parseHandle(handle);
    return { ...session, handle: { ...planned, threadId: session.agentSessionId } };
  }

  #folder(session: Session): SessionFolder {
    return sessionFolder(this.paths.sessionFolder(session.token));
  }

  #link(session: Session, use: Use = useOf(session)): Link {
    const handle = handleOf(session);
    const key = linkKey(handle, use);
    let link = this.#links.get(key);
    if (link === undefined) {
      this.#links.set(key, link = new Link(this.deps, handle, use));
      if (handle.container !== undefined) markShared(handle.codexHome);
    }
    return link;
  }

  #thread(row: Session): SessionThread {
    const session = this.#planned(row);
    const key = `${session.token} ${useOf(session)}`;
    const known = this.#threads.get(key);
    if (known !== undefined && known.isOf(session)) return known;
    const thread = new SessionThread(this.deps, this.#link(session), session, this.#folder(session).retry);
    this.#threads.set(key, thread);
    return thread;
  }

  async #ending() {
    const { Ending } = await import("./ending.ts");
    return new Ending(this.deps, {
      link: (session) => this.#link(session),
      hangUp: async (session) => await this.#links.get(linkKey(handleOf(session)))?.close(),
    });
  }

  async #delivery(session: Session) {
    const { Delivery } = await import("./delivery.ts");
    const { lock } = this.#folder(session);
    return new Delivery(
      this.deps,
      session,
      this.#thread(session),
      lock,
      () => this.#interrupter(session),
    );
  }

  async #interrupter(session: Session) {
    const { Interrupter } = await import("./interrupt.ts");
    return new Interrupter(this.deps, session, this.#thread(session), this.#folder(session).lock);
  }
}

/** Where its records are, or are once it is archived. */
function rolloutsOf(handle: CodexHandle | null): string[] {
  if (handle === null || handle.rollout === null) return [];
  return [handle.rollout, `${handle.codexHome}/archived_sessions/${baseName(handle.rollout)}`];
}

function linkKey(
  handle: { readonly codexHome: string; readonly url: string | null },
  use: Use = "agent",
): string {
  return JSON.stringify([handle.codexHome, handle.url, use]);
}

/** Outside of containers all sessions of a server share one connection. */
function useOf({ lifecycle, handle }: Session): Use {
  return lifecycle === "ended" && parseHandle(handle)?.container !== undefined ? "reading" : "agent";
}
