/**
 * SessionService on this machine: the registry and the backends, with rollback of whatever did not come to be.
 *
 * Long, because it is every operation of the service: each brings together what other modules decide and do.
 */

import type { Admission } from "./admission.ts";
import type { Config } from "./config.ts";
import { Creation } from "./creation.ts";
import type { Deps } from "./deps.ts";
import type { EventRecord } from "./events.ts";
import { AppError, messageOf } from "./errors.ts";
import { assertMayAnswer, assertMayInterrupt, assertNoLaxer } from "./families.ts";
import { type Expanded, type ExpandRequest, expandTargets } from "./groups.ts";
import { InHand } from "./in_hand.ts";
import type { TokenLimit } from "./limits.ts";
import { normaliseMessage } from "./message_text.ts";
import { type Paths, pathsFrom } from "./paths.ts";
import { listSessions } from "./listing.ts";
import { Deliveries } from "./deliveries.ts";
import { Resumption } from "./resumption.ts";
import { Reach } from "./reach.ts";
import { assertActive, assertStarted, assertWorkspace, byCreation } from "./session_checks.ts";
import { withSender } from "./sender.ts";
import { openRegistry } from "./open_registry.ts";
import type { Store } from "./store.ts";
import type { SessionOwner } from "./store/sessions.ts";
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
  SettledCreateRequest,
  TerminalCommand,
  WaitRequest,
  WaitResult,
} from "./service.ts";
import type { LogEntry, Session, SessionId, TokenUsage, TurnState } from "./session.ts";

/**
 * Opens the registry of this user and finishes what killed `create`s left.
 *
 * @throws AppError when the registry can't be read.
 */
export async function openService(deps: Deps): Promise<Manager> {
  const store = openRegistry(deps);
  try {
    return await managerOf(deps, store);
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Over a registry that is open already; what an abandoned command has left is undone first. @throws AppError. */
export async function managerOf(deps: Deps, store: Store): Promise<Manager> {
  const manager = new Manager(deps, pathsFrom(deps.env), store);
  await manager.rollBackAbandoned();
  return manager;
}

export interface CreateElsewhere {
  readonly request: SettledCreateRequest;
  readonly admission: Admission;
  readonly deliveries: Deliveries;
}

export class Manager implements SessionService {
  readonly #reach: Reach;
  /** What this process is at work on. */
  readonly #inHand: InHand;
  readonly #deliveries: Deliveries;
  readonly #creation: Creation;
  readonly #resumption: Resumption;

  constructor(
    private readonly deps: Deps,
    private readonly paths: Paths,
    private readonly store: Store,
    /** Of a process that serves many requests: what they share. */
    shared: Manager | null = null,
    /** The gateway's token with which sessions are made, then those that it stands on; empty: none. */
    private readonly tokens: readonly TokenLimit[] = [],
  ) {
    this.#reach = new Reach(deps, paths, store, shared === null ? null : shared.#reach);
    this.#inHand = shared === null ? new InHand() : shared.#inHand;
    this.#deliveries = new Deliveries(deps, store, this.#inHand);
    this.#creation = new Creation(deps, store, this.#inHand, ownerOf(tokens));
    this.#resumption = new Resumption(deps, store, this.#inHand);
  }

  /** The same service for one of many requests: it keeps nothing, and needs no closing. */
  forRequest(tokens: readonly TokenLimit[] = []): Manager {
    return new Manager(this.deps, this.paths, this.store, this, tokens);
  }

  /** Lets go of what the agents' servers share; only while no request is at work. */
  async rest(): Promise<void> {
    await this.#reach.close();
  }

  async close(): Promise<void> {
    await this.#reach.close();
    this.store.close();
  }

  expand(request: ExpandRequest): Promise<Expanded> {
    return Promise.try(() => {
      const live = [...this.store.list({ lifecycle: "active" }), ...this.store.creating()];
      return expandTargets(request, [...this.store.listEnded(), ...live].sort(byCreation));
    });
  }

  async create(asked: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    if (asked.host !== undefined) throw notHere();
    if (!asked.repeatOnly) await assertWorkspace(asked.path);
    const config = await this.#config();
    const request = (await import("./config.ts")).withDefaults(asked, config);
    const parent = request.parent === null ? null : this.store.find(request.parent);
    if (parent !== null) assertNoLaxer(request.mode, parent);
    const admission = await this.#admission(config, "create a session", parent?.id ?? null);
    const backend = await this.#reach.backend(request.agent);
    const claimed = await this.#deliveries.claimCreate(request, signal);
    if ("repeated" in claimed) return claimed.repeated;
    const { ref } = claimed;
    try {
      await backend.preflight(
        request,
        (token) => this.store.atWork().some((row) => row.token === token),
      );
      await this.#endIdle(config);
      const made = await admission.run((admit) =>
        this.#creation.run(request, backend, { key: ref, admit }, signal)
      );
      this.#deliveries.created(ref, made.session.id);
      return { ...made, repeated: false };
    } catch (error) {
      if (ref !== null) this.store.dropKey(ref);
      throw error;
    } finally {
      this.#deliveries.release(ref);
    }
  }

  /**
   * What a create on another host needs of this one: its limits, its keys, and what the user has set.
   *
   * @throws AppError (refused) for what the parent may not start.
   */
  async forCreateElsewhere(asked: CreateRequest): Promise<CreateElsewhere> {
    const config = await this.#config();
    const request = (await import("./config.ts")).withDefaults(asked, config);
    const parent = request.parent === null ? null : this.store.find(request.parent);
    if (parent !== null) assertNoLaxer(request.mode, parent);
    return {
      request: { ...request, parent: parent?.id ?? null },
      admission: await this.#admission(config, "create a session", parent?.id ?? null),
      deliveries: this.#deliveries,
    };
  }

  /** As `forCreateElsewhere()`, of a session that is to live again. */
  async forResumeElsewhere({ id, parent }: Pick<Session, "id" | "parent">): Promise<Admission> {
    return await this.#admission(await this.#config(), `resume "${id}"`, parent);
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome> {
    const session = await this.#reach.reach(request.id);
    const { render } = request;
    const finish = (text: string) =>
      withSender(session, normaliseMessage(text), request.sender, (id) => this.store.find(id));
    const plain = render === null ? finish(request.text) : null;
    const prepare = async () =>
      plain ??
        finish(
          await (await import("./render_send.ts")).renderFor(this.deps, session, request.text, render!.vars),
        );
    const check = () => {
      assertActive(session, "send to");
      if (request.mode === "interrupt") this.#assertMayInterrupt(session.id, request.sender);
    };
    try {
      const backend = await this.#reach.backend(session.agent);
      const outcome = await this.#deliveries.send(session, backend, { check, prepare }, request, signal);
      if (outcome.receipt.result === "refused") await this.#reach.noticeDeath(session);
      return outcome;
    } catch (error) {
      if (error instanceof AppError && error.code === "agent_gone") await this.#reach.noticeDeath(session);
      throw error;
    }
  }

  async interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome> {
    const session = await this.#reach.reach(request.id);
    this.#assertMayInterrupt(session.id, request.sender);
    assertActive(session, "interrupt");
    try {
      const backend = await this.#reach.backend(session.agent);
      const { allQueued } = request;
      return { id: session.id, ...await backend.interrupt(session, { allQueued }, signal) };
    } catch (error) {
      if (error instanceof AppError && error.code === "agent_gone") await this.#reach.noticeDeath(session);
      throw (await import("./unforeseen.ts")).unforeseen("interrupt", session.id, error, signal);
    }
  }

  #assertMayInterrupt(target: SessionId, sender: SessionId | null): void {
    assertMayInterrupt(target, sender, (id) => this.store.find(id));
  }

  async *wait(request: WaitRequest, signal: AbortSignal): AsyncGenerator<WaitResult> {
    const targets: WaitTarget[] = [];
    for (const id of new Set(request.ids)) {
      const session = await this.#reach.reach(id);
      assertStarted(session, "wait for");
      const backend = await this.#reach.backend(session.agent);
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
      const target = targets.find(({ session }) => session.id === result.id);
      const now = target === undefined ? null : this.#reach.current(target.session);
      const ended = now === null ? null : await this.#reach.noticeDeath(now);
      yield { ...result, outcome: { outcome: "gone", reason: ended?.endReason ?? result.outcome.reason } };
    }
  }

  async status(id: SessionId, options = { explain: false }): Promise<TurnState> {
    const session = await this.#reach.reach(id);
    assertStarted(session, "tell the state of");
    const backend = await this.#reach.backend(session.agent);
    const state = await backend.state(session, options);
    if (state.state !== "gone") return state;
    const ended = await this.#reach.noticeDeath(session);
    return ended?.endReason ? { ...state, reason: ended.endReason } : state;
  }

  async respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult> {
    assertMayAnswer(request.id, request.caller, (id) => this.store.find(id));
    const session = await this.#reach.reach(request.id);
    assertActive(session, "answer");
    const { respond } = await import("./responding.ts");
    return await respond(session, await this.#reach.backend(session.agent), request, signal);
  }

  async goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult> {
    const session = await this.#reach.reach(request.id);
    if (request.change === null) assertStarted(session, "tell the goal of");
    else assertActive(session, "set the goal of");
    const { changeGoal } = await import("./goals.ts");
    return await changeGoal(session, await this.#reach.backend(session.agent), request, signal);
  }

  async lastMessages(id: SessionId, count: number, receipt: string | null = null): Promise<string[]> {
    const session = await this.#reach.reach(id);
    const anchor = receipt === null ? null : this.#deliveries.anchor(session, receipt);
    return await (await this.#reach.backend(session.agent)).messages(session, count, anchor);
  }

  async *logs(
    id: SessionId,
    options = { follow: false },
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<LogEntry> {
    const session = await this.#reach.reach(id);
    const backend = await this.#reach.backend(session.agent);
    if (!options.follow) return yield* backend.log(session);
    const { followLog } = await import("./following.ts");
    yield* followLog(session, backend, this.#reach, this.deps.clock, signal);
  }

  async *events(request: EventsRequest, signal: AbortSignal): AsyncGenerator<EventRecord> {
    const refs = request.ids?.map((id) => this.#reach.find(id)) ?? null;
    const [{ feed }, { openEventStore }] = await Promise.all([
      import("./event_feed.ts"),
      import("./store/events.ts"),
    ]);
    const log = openEventStore(this.paths);
    try {
      const [owner] = this.tokens;
      const world = {
        ...(owner === undefined ? {} : { visible: () => this.store.madeWith(owner.id) }),
        registry: this.store,
        log,
        warn: (line: string) => this.deps.terminal.writeErr(`[dev-sessions] ${line}\n`),
        clock: this.deps.clock,
        backendOf: (session: Session) => this.#reach.backendOrNull(session.agent),
        dead: (sessions: readonly Session[]) => this.#reach.dead(sessions),
        markDead: async (session: Session) => void await this.#reach.noticeDeath(session),
      };
      yield* feed(request, refs, world, signal);
    } finally {
      log.close();
    }
  }

  async list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]> {
    await this.#endIdle(await this.#config());
    return await listSessions(this.#reach, this.store, options);
  }

  inspect(id: SessionId): Promise<Session> {
    return Promise.resolve(this.#reach.find(id));
  }

  async kill(selector: KillSelector): Promise<KillResult> {
    const { killSessions } = await import("./killing.ts");
    return await killSessions(selector, {
      deps: this.deps,
      store: this.store,
      reach: this.#reach,
      rollBackAbandoned: () => this.rollBackAbandoned(),
    });
  }

  async usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]> {
    const sessions = ids === null
      ? this.store.list({ lifecycle: "active" })
      : [...new Set(ids)].map((id) => this.#reach.find(id));
    const found = new Map<SessionId, TokenUsage | null>();
    for (const [agent, some] of Map.groupBy(sessions, (session) => session.agent)) {
      const known = await (await this.#reach.backendOrNull(agent))?.usage(some);
      for (const [id, usage] of known ?? []) found.set(id, usage);
    }
    return sessions.map(({ id }) => ({ id, usage: found.get(id) ?? null }));
  }

  async attachCommand(id: SessionId): Promise<TerminalCommand> {
    const session = await this.#reach.reach(id);
    assertActive(session, "attach to");
    return (await this.#reach.backend(session.agent)).attachCommand(session);
  }

  async resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    const found = await this.#reach.reach(request.id);
    assertStarted(found, "resume");
    const caller = request.caller === null ? null : this.store.find(request.caller);
    const action = `resume "${found.id}"`;
    if (caller !== null) {
      assertNoLaxer(found.mode, caller, action, `Ask a person to run: dev-sessions resume ${found.id}`);
    }
    const backend = await this.#reach.backend(found.agent);
    const admission = await this.#admission(await this.#config(), action, found.parent);
    const session = await this.#resumption.ended(
      found,
      backend,
      async () => await this.#reach.noticeDeath(found) ?? found,
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
      find: (id) => this.#reach.find(id),
      noticeDeath: (session) => this.#reach.noticeDeath(session),
    });
  }

  /** Rows whose `create` or `resume` was killed: removes what it left, unless that can't be told now. */
  async rollBackAbandoned(): Promise<void> {
    const unfinished = this.store.unfinished().flatMap((row) => {
      const worker = row.lifecycle === "ended" ? row.resumer : row.creator;
      return worker === null ? [] : [{ row, worker }];
    });
    if (unfinished.length === 0) return;
    const work = unfinished.map(({ row, worker }) => ({ name: row.token, worker }));
    const abandoned = await this.#inHand.abandoned(work, this.deps);
    const dead = unfinished.filter((_, index) => abandoned[index]);
    for (const { row: session, worker } of dead) {
      const backend = await this.#reach.backendOrNull(session.agent);
      if (backend === null) continue;
      try {
        if (session.lifecycle === "ended") await this.#resumption.tidyUp(session, worker, backend);
        else await this.#creation.rollBack(session, backend);
      } catch (error) {
        // Not what this command is about: it stays for the next one.
        if (error instanceof AppError) continue;
        this.deps.terminal.writeErr(
          `[dev-sessions] what an interrupted command left of "${session.id}" can't be removed now: ${
            messageOf(error)
          }. The next command tries again\n`,
        );
      }
    }
  }

  /** Runs what adds a live session within the limits, see `Admission`. */
  async #admission(config: Config, action: string, parent: SessionId | null): Promise<Admission> {
    const { Admission } = await import("./admission.ts");
    return new Admission(
      { action, parent, limits: config, configFile: this.paths.config, tokens: this.tokens },
      {
        find: (id) => this.store.find(id),
        noticeDeaths: async () => {
          await this.rollBackAbandoned();
          for (const session of this.store.list({ lifecycle: "active" })) {
            if (await this.#reach.backendOrNull(session.agent) !== null) {
              await this.#reach.noticeDeath(
                session,
              );
            }
          }
        },
      },
    );
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
      backend: (agent) => this.#reach.backendOrNull(agent),
      markKilled: (session, reason) => this.#reach.markKilled(session, reason),
    });
  }
}

function ownerOf([first, ...above]: readonly TokenLimit[]): SessionOwner | null {
  return first === undefined ? null : { id: first.id, above: above.map(({ id }) => id) };
}

function notHere(): AppError {
  return new AppError(
    "refused",
    "Cannot create a session on another host: who asks may use the sessions of this machine only",
  );
}
