/** SessionService on this machine: the registry and the backends, with rollback of whatever did not come to be. */

import type { Backend } from "../backends/backend.ts";
import { BACKENDS } from "../backends/registry.ts";
import type { Admission } from "./admission.ts";
import type { Config } from "./config.ts";
import { Creation } from "./creation.ts";
import type { Deps } from "./deps.ts";
import type { EventRecord } from "./events.ts";
import { AppError, sessionNotFound } from "./errors.ts";
import { assertMayAnswer, assertMayInterrupt, assertNoLaxer, descendsFrom } from "./families.ts";
import { type Expanded, type ExpandRequest, expandTargets } from "./groups.ts";
import { sessionsToKill } from "./kill_order.ts";
import { normaliseMessage } from "./message_text.ts";
import { type Paths, pathsFrom } from "./paths.ts";
import { Deliveries } from "./deliveries.ts";
import { Resumption } from "./resumption.ts";
import { openStore, type Store } from "./store.ts";
import { isBeingResumed } from "./store/revival.ts";
import { waitForTurns, type WaitTarget } from "./wait.ts";
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
  WorktreeRemoval,
} from "./service.ts";
import type {
  AgentKind,
  LogEntry,
  Session,
  SessionId,
  SessionSummary,
  TokenUsage,
  TurnState,
} from "./session.ts";

/**
 * Opens the registry of this user and finishes what killed `create`s left.
 *
 * @throws AppError when the registry can't be read.
 */
export async function openService(deps: Deps): Promise<SessionService & { close(): Promise<void> }> {
  const paths = pathsFrom(deps.env);
  const store = openStore(paths, {
    now: () => deps.clock.now(),
    randomUuid: deps.randomUuid,
    warn: (line) => deps.terminal.writeErr(`${line}\n`),
  });
  try {
    const manager = new Manager(deps, paths, store);
    await manager.rollBackAbandoned();
    return manager;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** From the end of an agent to the word of the `kill` that has ended it, with room for a busy machine. */
const DEATH_PATIENCE_MS = 900;

export class Manager implements SessionService {
  readonly #backends = new Map<AgentKind, Backend>();
  readonly #deliveries: Deliveries;
  readonly #creation: Creation;
  readonly #resumption: Resumption;

  constructor(
    private readonly deps: Deps,
    private readonly paths: Paths,
    private readonly store: Store,
  ) {
    this.#deliveries = new Deliveries(deps, store);
    this.#creation = new Creation(deps, store);
    this.#resumption = new Resumption(deps, store);
  }

  async close(): Promise<void> {
    for (const [agent, backend] of this.#backends) {
      const closing = backend.close?.(() => this.#isUnused(agent));
      // Without one, the registry is closed when this returns.
      if (closing !== undefined) await closing;
    }
    this.store.close();
  }

  expand(request: ExpandRequest): Promise<Expanded> {
    return Promise.try(() => {
      const live = [...this.store.list({ lifecycle: "active" }), ...this.store.creating()];
      return expandTargets(request, [...this.store.listEnded(), ...live].sort(byCreation));
    });
  }

  async create(asked: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    await assertWorkspace(asked.path);
    const config = await this.#config();
    const request = (await import("./config.ts")).withDefaults(asked, config);
    const parent = request.parent === null ? null : this.store.find(request.parent);
    if (parent !== null) assertNoLaxer(request.mode, parent);
    const admission = await this.#admission(config, "create a session", parent?.id ?? null);
    const backend = await this.#backend(request.agent);
    const claimed = await this.#deliveries.claimCreate(request, signal);
    if ("repeated" in claimed) return claimed.repeated;
    const { ref } = claimed;
    try {
      await backend.preflight(
        request,
        (token) => this.store.list().some((row) => row.token === token && isAtWork(row)),
      );
      await this.#endIdle(config);
      const made = await admission.run((admit) =>
        this.#creation.run(request, backend, { key: ref, admit }, signal)
      );
      if (ref !== null) this.store.finishKey(ref, JSON.stringify({ id: made.session.id }));
      return { ...made, repeated: false };
    } catch (error) {
      if (ref !== null) this.store.dropKey(ref);
      throw error;
    }
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome> {
    const session = await this.#reach(request.id);
    const { render } = request;
    const finish = (text: string) => this.#withSender(session, normaliseMessage(text), request.sender);
    const plain = render === null ? finish(request.text) : null;
    const prepare = async () =>
      plain ??
        finish(
          await (await import("./render_send.ts")).renderFor(this.deps, session, request.text, render!.vars),
        );
    assertActive(session, "send to");
    if (request.mode === "interrupt") this.#assertMayInterrupt(session.id, request.sender);
    try {
      const backend = await this.#backend(session.agent);
      const outcome = await this.#deliveries.send(session, backend, prepare, request, signal);
      if (outcome.receipt.result === "refused") await this.#noticeDeath(session);
      return outcome;
    } catch (error) {
      if (error instanceof AppError && error.code === "agent_gone") await this.#noticeDeath(session);
      throw error;
    }
  }

  async interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome> {
    const session = await this.#reach(request.id);
    this.#assertMayInterrupt(session.id, request.sender);
    assertActive(session, "interrupt");
    try {
      const backend = await this.#backend(session.agent);
      const { allQueued } = request;
      return { id: session.id, ...await backend.interrupt(session, { allQueued }, signal) };
    } catch (error) {
      if (error instanceof AppError && error.code === "agent_gone") await this.#noticeDeath(session);
      throw error;
    }
  }

  #assertMayInterrupt(target: SessionId, sender: SessionId | null): void {
    assertMayInterrupt(target, sender, (id) => this.store.find(id));
  }

  async *wait(request: WaitRequest, signal: AbortSignal): AsyncGenerator<WaitResult> {
    const targets: WaitTarget[] = [];
    for (const id of new Set(request.ids)) {
      const session = await this.#reach(id);
      assertStarted(session, "wait for");
      const backend = await this.#backend(session.agent);
      const { until = "message" } = request;
      const anchor = until === "message"
        ? this.#deliveries.anchor(session, request.receipt)
        : await (await import("./goals.ts")).anchorOfWait(session, backend, until);
      targets.push({ session, backend, anchor });
    }
    for await (const result of waitForTurns(targets, request, this.deps.clock, signal)) {
      if (result.outcome.outcome !== "gone") {
        yield result;
        continue;
      }
      const ended = await this.#noticeDeath(this.#find(result.id));
      yield { ...result, outcome: { outcome: "gone", reason: ended?.endReason ?? result.outcome.reason } };
    }
  }

  async status(id: SessionId, options = { explain: false }): Promise<TurnState> {
    const session = await this.#reach(id);
    assertStarted(session, "tell the state of");
    const backend = await this.#backend(session.agent);
    const state = await backend.state(session, options);
    if (state.state !== "gone") return state;
    const ended = await this.#noticeDeath(session);
    return ended?.endReason ? { ...state, reason: ended.endReason } : state;
  }

  async respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult> {
    assertMayAnswer(request.id, request.caller, (id) => this.store.find(id));
    const session = await this.#reach(request.id);
    assertActive(session, "answer");
    const { respond } = await import("./responding.ts");
    return await respond(session, await this.#backend(session.agent), request, signal);
  }

  async goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult> {
    const session = await this.#reach(request.id);
    if (request.change === null) assertStarted(session, "tell the goal of");
    else assertActive(session, "set the goal of");
    const { changeGoal } = await import("./goals.ts");
    return await changeGoal(session, await this.#backend(session.agent), request, signal);
  }

  async lastMessages(id: SessionId, count: number, receipt: string | null = null): Promise<string[]> {
    const session = await this.#reach(id);
    const anchor = receipt === null ? null : this.#deliveries.anchor(session, receipt);
    return await (await this.#backend(session.agent)).messages(session, count, anchor);
  }

  async *logs(
    id: SessionId,
    options = { follow: false },
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<LogEntry> {
    const session = await this.#reach(id);
    const backend = await this.#backend(session.agent);
    if (!options.follow) return yield* backend.log(session);
    const log = await backend.openLog(session);
    let deadSince: number | null = null;
    for await (const _ of backend.watch(session, null, signal)) {
      // Looked at first, so that what was said before the end is read below.
      const now = this.#find(id);
      const dead = now.lifecycle === "ended" || (await this.#dead([now])).length > 0;
      yield* log.read();
      if (signal.aborted) return;
      if (!dead) continue;
      deadSince ??= this.deps.clock.monotonic();
      // Whoever has ended it says so in a moment.
      if (now.lifecycle === "active" && this.deps.clock.monotonic() - deadSince < DEATH_PATIENCE_MS) continue;
      await this.#noticeDeath(now);
      return yield* log.end();
    }
  }

  async *events(request: EventsRequest, signal: AbortSignal): AsyncGenerator<EventRecord> {
    const refs = request.ids?.map((id) => this.#find(id)) ?? null;
    const [{ feed }, { openEventStore }] = await Promise.all([
      import("./event_feed.ts"),
      import("./store/events.ts"),
    ]);
    const log = openEventStore(this.paths);
    try {
      const world = {
        registry: this.store,
        log,
        clock: this.deps.clock,
        backendOf: (session: Session) => this.#backendOrNull(session.agent),
        dead: (sessions: readonly Session[]) => this.#dead(sessions),
        markDead: async (session: Session) => void await this.#noticeDeath(session),
      };
      yield* feed(request, refs, world, signal);
    } finally {
      log.close();
    }
  }

  async list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]> {
    await this.#endIdle(await this.#config());
    const listed = new Map<SessionId, ListedSession>();
    // In the order of a session's life, so that one that goes on meanwhile is found all the same.
    for (const session of options.all ? this.store.creating() : []) {
      listed.set(session.id, { session, state: "unknown", pending: null });
    }
    for (const found of await this.#live()) {
      if (found.state !== "gone") listed.set(found.session.id, found);
    }
    if (options.all) {
      const ended = this.store.listEnded();
      const resumable = await this.#resumable(ended);
      for (const session of ended) {
        const known = { state: "gone", pending: null, resumable: resumable.has(session.token) } as const;
        listed.set(session.id, { session, ...known });
      }
    }
    return [...listed.values()]
      .filter(({ session }) => options.group === null || session.group === options.group)
      .sort((a, b) => byCreation(a.session, b.session));
  }

  /** The active sessions with their states; those that are proven to be dead are marked as ended. */
  async #live(): Promise<ListedSession[]> {
    const rows = await Promise.all(this.store.list({ lifecycle: "active" }).map((row) => this.#reached(row)));
    const listed: ListedSession[] = [];
    for (const [agent, sessions] of Map.groupBy(rows, (row) => row.agent)) {
      const states = await (await this.#backendOrNull(agent))?.states(sessions);
      for (const session of sessions) {
        const { state, pending } = states?.get(session.id) ?? { state: "unknown" as const, pending: null };
        const ended = state === "gone" ? await this.#noticeDeath(session) : null;
        listed.push({ session: ended ?? session, state, pending: pending?.summary ?? null });
      }
    }
    return listed;
  }

  inspect(id: SessionId): Promise<Session> {
    return Promise.resolve(this.#find(id));
  }

  async kill(selector: KillSelector): Promise<KillResult> {
    const killed: SessionId[] = [];
    const released: Session[] = [];
    const failed: { id: SessionId; reason: string }[] = [];
    const worktrees: WorktreeRemoval[] = [];
    const world = {
      store: this.store,
      clock: this.deps.clock,
      rollBackAbandoned: () => this.rollBackAbandoned(),
    };
    for await (const session of sessionsToKill(selector, world)) {
      try {
        // Neither killed nor failed: it had ended before.
        if (!isAtWork(session)) {
          await this.#tidyWorktree(session, worktrees);
          continue;
        }
        if (session.lifecycle === "ended") throw isBeingResumed(session.id, "kill");
        assertStarted(session, "kill");
        const reached = await this.#reach(session.id);
        await (await this.#backend(session.agent)).kill(reached);
        this.#markEnded(session, "killed");
        killed.push(session.id);
        released.push(reached);
        await this.#tidyWorktree(session, worktrees);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        failed.push({ id: session.id, reason: error.message });
      }
    }
    await this.#release(released);
    return { killed, failed, worktrees };
  }

  /** What an agent's sessions share goes with the last of them. */
  async #release(ended: readonly Session[]): Promise<void> {
    for (const [agent, sessions] of Map.groupBy(ended, (session) => session.agent)) {
      const backend = await this.#backendOrNull(agent);
      if (backend?.released === undefined) continue;
      if (this.#isUnused(agent)) await backend.released(sessions);
    }
  }

  #isUnused(agent: AgentKind): boolean {
    return ![...this.store.list({ lifecycle: "active" }), ...this.store.unfinished()]
      .some((session) => session.agent === agent);
  }

  /** Only of a session that is ended: then its agent is proven to be dead. */
  async #tidyWorktree(session: Session, into: WorktreeRemoval[]): Promise<void> {
    if (session.worktree === null) return;
    const current = this.store.find(session.id);
    if (current?.token !== session.token || current.lifecycle !== "ended") return;
    const { Worktrees } = await import("./worktree.ts");
    const removal = await new Worktrees(this.deps, this.store).removeUnlessNeeded(current);
    if (removal !== null) into.push(removal);
  }

  async usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]> {
    const sessions = ids === null
      ? this.store.list({ lifecycle: "active" })
      : [...new Set(ids)].map((id) => this.#find(id));
    const found = new Map<SessionId, TokenUsage | null>();
    for (const [agent, some] of Map.groupBy(sessions, (session) => session.agent)) {
      const known = await (await this.#backendOrNull(agent))?.usage(some);
      for (const [id, usage] of known ?? []) found.set(id, usage);
    }
    return sessions.map(({ id }) => ({ id, usage: found.get(id) ?? null }));
  }

  async attachCommand(id: SessionId): Promise<TerminalCommand> {
    const session = await this.#reach(id);
    assertActive(session, "attach to");
    return (await this.#backend(session.agent)).attachCommand(session);
  }

  async resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    const found = await this.#reach(request.id);
    assertStarted(found, "resume");
    const caller = request.caller === null ? null : this.store.find(request.caller);
    const action = `resume "${found.id}"`;
    if (caller !== null) {
      assertNoLaxer(found.mode, caller, action, `Ask a person to run: dev-sessions resume ${found.id}`);
    }
    const backend = await this.#backend(found.agent);
    const admission = await this.#admission(await this.#config(), action, found.parent);
    const session = await this.#resumption.ended(
      found,
      backend,
      async () => await this.#noticeDeath(found) ?? found,
    );
    return await admission.run((admit) =>
      this.#resumption.run(session, backend, { ...request, admit }, signal)
    );
  }

  async prune(selector: PruneSelector): Promise<PruneResult> {
    const { prune } = await import("./pruning.ts");
    return await prune(selector, {
      deps: this.deps,
      paths: this.paths,
      store: this.store,
      find: (id) => this.#find(id),
      noticeDeath: (session) => this.#noticeDeath(session),
    });
  }

  /** Rows whose `create` or `resume` was killed: removes what it left, unless that can't be told now. */
  async rollBackAbandoned(): Promise<void> {
    const unfinished = this.store.unfinished().flatMap((row) => {
      const worker = row.lifecycle === "ended" ? row.resumer : row.creator;
      return worker === null ? [] : [{ row, worker }];
    });
    if (unfinished.length === 0) return;
    const states = await this.deps.processStates(unfinished.map(({ worker }) => worker));
    const dead = unfinished.filter((_, index) => states[index] === "dead");
    for (const { row: session, worker } of dead) {
      const backend = await this.#backendOrNull(session.agent);
      if (backend === null) continue;
      try {
        if (session.lifecycle === "ended") await this.#resumption.tidyUp(session, worker, backend);
        else await this.#creation.rollBack(session, backend);
      } catch (error) {
        // Not what this command is about: it stays for the next one.
        if (!(error instanceof AppError)) throw error;
      }
    }
  }

  /** Marks a session whose agent is proven to be dead as ended; anything less changes nothing. */
  async #noticeDeath(session: Session): Promise<Session | null> {
    if (session.lifecycle !== "active") return session;
    const backend = await this.#backend(session.agent);
    if ((await backend.liveness([session])).get(session.id) !== "dead") return null;
    this.#markEnded(session, await backend.reap(session));
    return this.store.find(session.id);
  }

  /** Runs what adds a live session within the limits, see `Admission`. */
  async #admission(config: Config, action: string, parent: SessionId | null): Promise<Admission> {
    const { Admission } = await import("./admission.ts");
    return new Admission({ action, parent, limits: config, configFile: this.paths.config }, {
      find: (id) => this.store.find(id),
      noticeDeaths: async () => {
        await this.rollBackAbandoned();
        for (const session of this.store.list({ lifecycle: "active" })) {
          if (await this.#backendOrNull(session.agent) !== null) await this.#noticeDeath(session);
        }
      },
    });
  }

  async #dead(sessions: readonly Session[]): Promise<Session[]> {
    const dead: Session[] = [];
    for (const [agent, group] of Map.groupBy(sessions, (session) => session.agent)) {
      const liveness = await (await this.#backendOrNull(agent))?.liveness(group);
      dead.push(...group.filter((session) => liveness?.get(session.id) === "dead"));
    }
    return dead;
  }

  async #config(): Promise<Config> {
    return (await import("./config.ts")).readConfig(this.paths.config);
  }

  async #endIdle(config: Config): Promise<void> {
    if (config.endIdleAfter === null) return;
    const { endIdleSessions } = await import("./idle_end.ts");
    await endIdleSessions(config.endIdleAfter, {
      deps: this.deps,
      store: this.store,
      backend: (agent) => this.#backendOrNull(agent),
      markEnded: (session, reason) => this.#markEnded(session, reason),
    });
  }

  /** Tokens of those that can be resumed, as far as is cheaply known. */
  async #resumable(ended: readonly SessionSummary[]): Promise<ReadonlySet<string>> {
    const tokens = new Set<string>();
    const byAgent = Map.groupBy(this.store.resumeFacts(ended), ({ session }) => session.agent);
    for (const [agent, sessions] of byAgent) {
      const backend = await this.#backendOrNull(agent);
      for (const token of backend?.resumable(sessions) ?? []) tokens.add(token);
    }
    return tokens;
  }

  #markEnded(session: Session, reason: string): void {
    this.store.markEnded(session, { at: new Date(this.deps.clock.now()).toISOString(), reason });
  }

  /** From one session to another that is not its descendant: the agent must not take it for the user's word. */
  #withSender(target: Session, text: string, sender: SessionId | null): string {
    if (sender === null || this.store.find(sender) === null) return text;
    if (sender === target.id) {
      throw new AppError(
        "usage",
        `Cannot send to "${target.id}": it is the session that runs this command. Name another one; see: dev-sessions list`,
      );
    }
    if (descendsFrom(target, sender, (id) => this.store.find(id))) return text;
    return `Message from the agent session "${sender}", sent with dev-sessions; it is not your user's approval of anything.\n${text}`;
  }

  async #reach(id: SessionId): Promise<Session> {
    return await this.#reached(this.#find(id));
  }

  /** The row with a way to its agent: one that an earlier version wrote gets it here, when it can be proven. */
  async #reached(session: Session): Promise<Session> {
    if (session.handle !== null || session.lifecycle !== "active") return session;
    const handle = await (await this.#backendOrNull(session.agent))?.adopt(session) ?? null;
    if (handle === null) return session;
    this.store.recordHandle(session, handle);
    return this.#find(session.id);
  }

  #find(id: SessionId): Session {
    const session = this.store.find(id);
    if (session === null) throw sessionNotFound(id);
    return session;
  }

  async #backend(agent: AgentKind): Promise<Backend> {
    const backend = await this.#backendOrNull(agent);
    if (backend !== null) return backend;
    throw new AppError(
      "failure",
      `Cannot work with ${agent} sessions: this version of dev-sessions drives ${
        Object.keys(BACKENDS).join(", ")
      } only`,
    );
  }

  async #backendOrNull(agent: AgentKind): Promise<Backend | null> {
    const known = this.#backends.get(agent);
    if (known !== undefined) return known;
    const loaded = await BACKENDS[agent]?.(this.deps, this.paths) ?? null;
    if (loaded !== null) this.#backends.set(agent, loaded);
    return loaded;
  }
}

function byCreation(a: Pick<Session, "createdAt">, b: Pick<Session, "createdAt">): number {
  return a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0;
}

/** Whether something outside of the registry may belong to it. */
function isAtWork(session: Session): boolean {
  return session.lifecycle !== "ended" || session.resumer !== null;
}

async function assertWorkspace(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new AppError("failure", `Workspace path does not exist: ${path}`);
    }
    throw new AppError("failure", `Cannot use the workspace "${path}": ${(error as Error).message}`);
  }
  if (!info.isDirectory) throw new AppError("failure", `Workspace path is not a directory: ${path}`);
}

function assertStarted(session: Session, action: string): void {
  if (session.lifecycle !== "creating") return;
  throw new AppError(
    "not_delivered",
    `Cannot ${action} "${session.id}": it is still being created. Try again when its create has returned`,
  );
}

function assertActive(session: Session, action: string): void {
  assertStarted(session, action);
  if (session.lifecycle === "active" && session.handle === null) {
    throw new AppError(
      "not_delivered",
      `Cannot ${action} "${session.id}": an earlier version of dev-sessions started it, and its agent could not be ` +
        `found. If it has ended, forget it with: dev-sessions kill ${session.id}`,
    );
  }
  if (session.lifecycle !== "ended") return;
  throw new AppError(
    "agent_gone",
    `Cannot ${action} "${session.id}": its agent is gone (${session.endReason ?? "ended"}). ` +
      `Bring it back with: dev-sessions resume ${session.id}`,
  );
}
