/**
 * The Claude Code backend: ties its parts together, decides nothing by itself. It is long because the interface that it
 * implements is.
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
import { acquireLock } from "../../lib/file_lock.ts";
import { withoutOuterAgent } from "../outer_agents.ts";
import { realPathOf } from "../../lib/files.ts";
import { claudeConfigFolder, type Paths, tmuxSocket } from "../../lib/paths.ts";
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
import { type Anchor, anchorOf } from "./evidence.ts";
import { plannedContainer } from "./planned_container.ts";
import { handleOf, tmuxSessionName } from "./handle.ts";
import { locateClaude } from "./locate.ts";
import { assertConfigFolder, ensureSocketFolder } from "./places.ts";
import { sessionFolder } from "./launch_files.ts";
import { Observer } from "./observe.ts";
import { isOnRecord } from "./receipt.ts";
import { resumable } from "./resumable.ts";
import { decideState } from "./state.ts";
import { judgeTurn } from "./turn.ts";
import { exactSession, Tmux } from "./tmux.ts";
import { watchRecords } from "./watch.ts";

/** Until a prompt that was accepted stands in the transcript (measured: 0.1 to 0.45 s), with room to spare. */
const RECORD_LAG_MS = 3_000;

export class ClaudeBackend implements Backend {
  readonly agent = "claude";
  readonly #observers = new Map<string, Observer>();

  constructor(private readonly deps: Deps, private readonly paths: Paths) {}

  /** What an observer has read stays in its memory, and only one request at a time may read on with it. */
  forRequest(): ClaudeBackend {
    return new ClaudeBackend(this.deps, this.paths);
  }

  async preflight(
    request: { readonly mode: Session["mode"]; readonly path: string; readonly sandbox?: SandboxKind },
    isLive: (token: string) => boolean,
  ): Promise<void> {
    if (request.sandbox !== undefined) {
      throw new AppError(
        "usage",
        "Cannot create a Claude session with --sandbox: only Codex confines its commands so. Leave it out, or add --cli codex",
      );
    }
    if (request.mode === "docker") {
      const { preflightContainer } = await import("./container.ts");
      await preflightContainer(this.deps, this.paths, request, isLive);
    } else {
      locateClaude(this.deps.env, this.paths.home);
      assertConfigFolder(claudeConfigFolder(this.deps.env, this.paths.home));
    }
    const socket = tmuxSocket(this.deps.env, Deno.uid() ?? 0);
    ensureSocketFolder(socket);
    const tmux = new Tmux(this.deps, socket, withoutOuterAgent(this.deps.env));
    const [{ Ending }, { tmuxUnresponsive }] = await Promise.all([
      import("./ending.ts"),
      import("./start.ts"),
    ]);
    const tidied = await new Ending(this.deps, this.paths, tmux).removeDeadPanes(isLive);
    if (tidied === "unknown") throw tmuxUnresponsive(socket);
  }

  plan(
    session: Pick<Session, "id" | "token" | "path" | "mode">,
  ): Pick<AgentHandle, "handle" | "agentSessionId"> {
    const realPath = realPathOf(session.path);
    return {
      handle: {
        socket: tmuxSocket(this.deps.env, Deno.uid() ?? 0),
        tmuxSession: tmuxSessionName(session.id),
        pane: null,
        configFolder: claudeConfigFolder(this.deps.env, this.paths.home),
        configGiven: Boolean(this.deps.env["CLAUDE_CONFIG_DIR"]),
        realPath,
        ...(session.mode === "docker" ? plannedContainer(this.deps, this.paths, session, realPath) : {}),
      },
      agentSessionId: this.deps.randomUuid(),
    };
  }

  async rollback(session: Session): Promise<"removed" | "unknown"> {
    return await (await this.#ending(session)).rollback(session);
  }

  async kill(session: Session): Promise<void> {
    if (session.handle !== null) return await (await this.#ending(session)).kill(session);
    await (await this.#ending(this.#planned(session))).assertNoSuchPane(session);
  }

  async reap(session: Session): Promise<string> {
    return await (await this.#ending(session)).reap(session);
  }

  async create(spec: CreateSpec, signal: AbortSignal): Promise<AgentHandle> {
    if (spec.session.mode === "docker") {
      const { startContained } = await import("./start_contained.ts");
      return await startContained(this.deps, this.paths, this.#tmux(spec.session), spec, false, signal);
    }
    const { startClaude, writeLaunchFiles } = await import("./start.ts");
    const mode = spec.session.mode === "native" ? "native" : "yolo";
    const binary = locateClaude(this.deps.env, this.paths.home);
    const folder = writeLaunchFiles(this.deps, this.paths, spec, { binary, mode });
    return await startClaude(this.deps, this.#tmux(spec.session), spec, folder, this.paths.state, signal);
  }

  async planResume(session: Session): Promise<ResumePlan> {
    const { planResume } = await import("./resume.ts");
    const planned = this.#planned(session);
    ensureSocketFolder(handleOf(planned).socket);
    return await planResume(this.deps, this.#tmux(planned), this.#observer(session), session, planned);
  }

  async resume(spec: ResumeSpec, signal: AbortSignal): Promise<AgentHandle> {
    const { resumeClaude } = await import("./resume.ts");
    return await resumeClaude(this.deps, this.paths, this.#tmux(spec.session), spec, signal);
  }

  async rollBackResume(session: Session): Promise<"removed" | "unknown"> {
    return await (await this.#ending(session)).rollBackResume(session);
  }

  resumable(ended: readonly EndedSession[]): ReadonlySet<string> {
    const configFolder = claudeConfigFolder(this.deps.env, this.paths.home);
    return resumable(ended, configFolder, (token) => sessionFolder(this.paths.sessionFolder(token)).events);
  }

  async endIfIdle(session: Session, idleMs: number): Promise<boolean> {
    if (session.process === null) return false;
    const { endIfIdle } = await import("./resting.ts");
    const { sendLock } = sessionFolder(this.paths.sessionFolder(session.token));
    const context = {
      deps: this.deps,
      tmux: this.#tmux(session),
      observer: this.#observer(session),
      sendLock,
    };
    return await endIfIdle(session, idleMs, context, async () => await this.kill(session));
  }

  async send(session: Session, message: Message, hooks: SendHooks, signal: AbortSignal): Promise<Receipt> {
    return await (await this.#delivery(session)).send(message, hooks, signal);
  }

  async respond(
    session: Session,
    request: PendingInput,
    answer: FittingAnswer,
    signal: AbortSignal,
  ): Promise<AnswerProof> {
    const { Requests } = await import("./requests.ts");
    const requests = new Requests(
      this.deps,
      this.paths,
      session,
      this.#observer(session),
      this.#tmux(session),
    );
    return await requests.answer(request, answer, signal);
  }

  async interrupt(
    session: Session,
    options: { readonly allQueued: boolean },
    signal: AbortSignal,
  ): Promise<Interruption> {
    const [{ Interrupter }, { Requests }] = await Promise.all([
      import("./interrupt.ts"),
      import("./requests.ts"),
    ]);
    const folder = sessionFolder(this.paths.sessionFolder(session.token));
    const [observer, tmux] = [this.#observer(session), this.#tmux(session)];
    if (await observer.terminalIsGone()) {
      const { terminalGone } = await import("./delivery.ts");
      const nothing = { stopped: [], queued: [], background: [], evidence: null, pending: null };
      return { result: "refused", reason: terminalGone(session), ...nothing };
    }
    const requests = new Requests(this.deps, this.paths, session, observer, tmux);
    const interrupter = new Interrupter(this.deps, folder, session, observer, tmux, requests);
    return await interrupter.interrupt(options, signal);
  }

  async findReceipt(session: Session, message: Message, anchor: unknown): Promise<Receipt | null> {
    const since = anchorOf(anchor);
    return since === null ? null : (await this.#delivery(session)).find(message, since);
  }

  async state(session: Session, options: { readonly explain: boolean }): Promise<TurnState> {
    if (session.lifecycle === "ended") return endedState(session);
    if (session.handle === null) return lostState();
    return decideState(await this.#observer(session).evidence({ all: options.explain }));
  }

  async states(
    sessions: readonly Session[],
  ): Promise<Map<SessionId, { state: TurnState["state"]; pending: PendingInput | null }>> {
    const liveness = await this.liveness(sessions);
    const states = new Map<SessionId, { state: TurnState["state"]; pending: PendingInput | null }>();
    for (const session of sessions) {
      const state = await this.#stateNow(session, liveness.get(session.id) ?? "unknown");
      states.set(session.id, {
        state: state.state,
        pending: state.state === "waiting_for_input" ? state.pending : null,
      });
    }
    return states;
  }

  /** What can't be read of one session keeps none of the others from being told. */
  async #stateNow(session: Session, liveness: Liveness): Promise<TurnState> {
    if (session.handle === null) return lostState();
    try {
      return decideState(await this.#observer(session).evidence({ liveness }));
    } catch (error) {
      return unknownState(`its records can't be read: ${messageOf(error)}`);
    }
  }

  async *watch(session: Session, pollMs: number | null, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    if (session.lifecycle === "ended") {
      yield { type: "ended" };
      return;
    }
    const observer = this.#observer(session);
    const folder = sessionFolder(this.paths.sessionFolder(session.token));
    const places = () => ({
      events: folder.events,
      files: [
        observer.transcript(),
        ...[observer.registryFile()].filter((file) => file !== null),
      ],
    });
    yield* watchRecords(places, pollMs, this.deps.clock, signal);
  }

  async outcome(
    session: Session,
    anchor: unknown,
    options: { background: boolean },
  ): Promise<{ outcome: WaitOutcome | null; state: TurnState }> {
    const observer = this.#observer(session);
    const sent = anchorOf(anchor);
    const since = sent === null ? { events: [], marks: [] } : observer.since(sent);
    const live = await observer.evidence(session.lifecycle === "ended" ? { liveness: "dead" } : {});
    const lost = sent !== null && await this.#wasNeverTaken(session, sent, since);
    const outcome = judgeTurn(since, live, lost ? null : sent?.text ?? null, options);
    const state = session.lifecycle === "ended" ? endedState(session) : decideState(live);
    if (outcome?.outcome === "gone" && state.state === "gone") {
      return { outcome: { outcome: "gone", reason: state.reason }, state };
    }
    return { outcome, state };
  }

  async messages(session: Session, count: number, anchor: unknown): Promise<string[]> {
    const { lastMessages, turnMessages } = await import("./messages.ts");
    const observer = this.#observer(session);
    const since = anchorOf(anchor);
    if (since === null) return await lastMessages(observer, count, this.deps.clock);
    return await turnMessages(observer, since, count, this.deps.clock);
  }

  async *log(session: Session): AsyncGenerator<LogEntry> {
    const { conversationLog } = await import("./messages.ts");
    yield* conversationLog(this.#observer(session));
  }

  async usage(sessions: readonly Session[]): Promise<Map<SessionId, TokenUsage | null>> {
    const [{ sessionUsage }, { conversationPaths }] = await Promise.all([
      import("./usage_file.ts"),
      import("./conversation_paths.ts"),
    ]);
    const usages = new Map<SessionId, TokenUsage | null>();
    for (const session of sessions) {
      const { usage } = sessionFolder(this.paths.sessionFolder(session.token));
      const paths = conversationPaths(this.#observer(session));
      usages.set(session.id, await sessionUsage(usage, paths, () => this.deps.clock.sleep(0)));
    }
    return usages;
  }

  async openLog(session: Session): Promise<LogReader> {
    const { ConversationReader } = await import("./messages.ts");
    return new ConversationReader(this.#observer(session));
  }

  async eventsSince(session: Session, position: unknown): Promise<EventBatch> {
    const { readEvents } = await import("./events.ts");
    const { events } = sessionFolder(this.paths.sessionFolder(session.token));
    return readEvents(this.#observer(session), session, events, position, this.deps.clock.now());
  }

  async liveness(sessions: readonly Session[]): Promise<Map<SessionId, Liveness>> {
    const known = sessions.filter((session) => session.process !== null);
    const states = await this.deps.processStates(known.map((session) => session.process!));
    const result = new Map<SessionId, Liveness>(sessions.map((session) => [session.id, "unknown"]));
    known.forEach((session, index) => result.set(session.id, states[index] ?? "unknown"));
    // Behind a terminal that is gone a container may go on.
    const contained = known.filter((session) =>
      session.mode === "docker" && result.get(session.id) !== "alive"
    );
    await Promise.all(
      contained.map(async (session) => result.set(session.id, await this.#observer(session).liveness())),
    );
    return result;
  }

  async adopt(session: Session): Promise<AgentHandle | null> {
    const { adoptClaude } = await import("./adopt.ts");
    const planned = this.#planned(session);
    const adopted = await adoptClaude(this.deps, this.#tmux(planned), session, handleOf(planned));
    if (adopted === null) return null;
    const { events } = sessionFolder(this.paths.sessionFolder(session.token));
    await Deno.mkdir(events, { recursive: true, mode: 0o700 });
    return adopted;
  }

  attachCommand(session: Session): TerminalCommand {
    const { socket, tmuxSession } = handleOf(session);
    const target = exactSession(tmuxSession);
    const { env } = this.deps;
    if (env["TMUX"]?.split(",")[0] === socket) {
      return { command: "tmux", args: ["-S", socket, "switch-client", "-t", target], env };
    }
    // Within a pane of another server tmux would refuse to nest.
    const { TMUX: _, TMUX_PANE: __, ...outside } = env;
    return { command: "tmux", args: ["-S", socket, "attach-session", "-t", target], env: outside };
  }

  /** As if it were created here and now, for one that an earlier version created. */
  #planned(session: Session): Session {
    return session.handle === null ? { ...session, handle: this.plan(session).handle } : session;
  }

  /** Its sender is at an end, one way or the other, and the records do not have the message. */
  async #wasNeverTaken(
    session: Session,
    anchor: Anchor,
    since: ReturnType<Observer["since"]>,
  ): Promise<boolean> {
    if (this.deps.clock.now() - anchor.at < RECORD_LAG_MS || isOnRecord(since, anchor.text)) return false;
    const { sendLock } = sessionFolder(this.paths.sessionFolder(session.token));
    using lock = await acquireLock(sendLock, {
      timeoutMs: 0,
      clock: this.deps.clock,
      signal: new AbortController().signal,
    });
    // Read again: the sender may have finished between the first look and the lock.
    return lock !== null && !isOnRecord(this.#observer(session).since(anchor), anchor.text);
  }

  #tmux(session: Session): Tmux {
    return new Tmux(this.deps, handleOf(session).socket, withoutOuterAgent(this.deps.env));
  }

  async #ending(session: Session) {
    const { Ending } = await import("./ending.ts");
    return new Ending(this.deps, this.paths, this.#tmux(session));
  }

  async #delivery(session: Session) {
    const { Delivery } = await import("./delivery.ts");
    return new Delivery(this.deps, this.paths, session, this.#observer(session), this.#tmux(session));
  }

  #observer(session: Session): Observer {
    const known = this.#observers.get(session.token);
    if (known !== undefined && known.session.process?.pid === session.process?.pid) return known;
    const observer = new Observer(this.deps, this.paths, this.#planned(session));
    this.#observers.set(session.token, observer);
    return observer;
  }
}

function endedState(session: Session): TurnState {
  return {
    state: "gone",
    reason: session.endReason ?? "ended",
    since: session.endedAt,
    evidence: [{ source: "registry", finding: `ended (${session.endReason ?? "no reason kept"})` }],
    background: [],
    lastTurn: null,
  };
}

/** Of a session that an earlier version started and whose agent is not proven to live or to be dead. */
function lostState(): TurnState {
  return unknownState("an earlier version of dev-sessions started it, and its agent could not be found");
}

function unknownState(reason: string): TurnState {
  return {
    state: "unknown",
    reason,
    since: null,
    evidence: [{ source: "registry", finding: reason }],
    background: [],
    lastTurn: null,
  };
}
