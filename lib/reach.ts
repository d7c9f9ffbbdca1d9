/** Ways to sessions: rows by id, the backends that drive their agents, and the proof that an agent is dead. */

import type { Backend } from "../backends/backend.ts";
import { BACKENDS } from "../backends/registry.ts";
import type { Deps } from "./deps.ts";
import { AppError, sessionNotFound } from "./errors.ts";
import type { Paths } from "./paths.ts";
import type { AgentKind, Session, SessionId } from "./session.ts";
import type { Store } from "./store.ts";
import type { SessionRef } from "./store/sessions.ts";

export class Reach {
  /** Loaded, or being loaded. */
  readonly #backends = new Map<
    AgentKind,
    { backend: Backend | null; readonly loading: Promise<Backend | null> }
  >();

  constructor(
    private readonly deps: Deps,
    private readonly paths: Paths,
    private readonly store: Store,
    /** Of the process that this request is one of many of: whose backends are used. */
    private readonly shared: Reach | null = null,
  ) {}

  /** @throws AppError (not_found) */
  find(id: SessionId): Session {
    const session = this.store.find(id);
    if (session === null) throw sessionNotFound(id);
    return session;
  }

  /** This very session's row as it is now; null when it has been forgotten, whoever has its name by now. */
  current({ id, token }: SessionRef): Session | null {
    const now = this.store.find(id);
    return now?.token === token ? now : null;
  }

  /** @throws AppError (not_found) */
  async reach(id: SessionId): Promise<Session> {
    return await this.reached(this.find(id));
  }

  /** The row with a way to its agent: one that an earlier version wrote gets it here, when it can be proven. */
  async reached(session: Session): Promise<Session> {
    if (session.handle !== null || session.lifecycle !== "active") return session;
    const handle = await (await this.backendOrNull(session.agent))?.adopt(session) ?? null;
    if (handle === null) return session;
    this.store.recordHandle(session, handle);
    return this.find(session.id);
  }

  /** @throws AppError for an agent that this version can't drive. */
  async backend(agent: AgentKind): Promise<Backend> {
    const backend = await this.backendOrNull(agent);
    if (backend !== null) return backend;
    throw new AppError(
      "failure",
      `Cannot work with ${agent} sessions: this version of dev-sessions drives ${
        Object.keys(BACKENDS).join(", ")
      } only`,
    );
  }

  async backendOrNull(agent: AgentKind): Promise<Backend | null> {
    const known = this.#backends.get(agent);
    if (known !== undefined) return known.backend ?? await known.loading;
    const loading = this.#load(agent);
    const entry = { backend: null as Backend | null, loading };
    this.#backends.set(agent, entry);
    try {
      return entry.backend = await loading;
    } catch (error) {
      if (this.#backends.get(agent) === entry) this.#backends.delete(agent);
      throw error;
    }
  }

  async #load(agent: AgentKind): Promise<Backend | null> {
    if (this.shared === null) return await BACKENDS[agent]?.(this.deps, this.paths) ?? null;
    const shared = await this.shared.backendOrNull(agent);
    return shared?.forRequest?.() ?? shared;
  }

  /** Those whose agent is proven to be dead. */
  async dead(sessions: readonly Session[]): Promise<Session[]> {
    const dead: Session[] = [];
    for (const [agent, group] of Map.groupBy(sessions, (session) => session.agent)) {
      const liveness = await (await this.backendOrNull(agent))?.liveness(group);
      dead.push(...group.filter((session) => liveness?.get(session.id) === "dead"));
    }
    return dead;
  }

  /** Marks a session whose agent is proven to be dead as ended and returns its row; anything less changes nothing. */
  async noticeDeath(session: Session): Promise<Session | null> {
    if (session.lifecycle !== "active") return session;
    const backend = await this.backend(session.agent);
    if ((await backend.liveness([session])).get(session.id) !== "dead") return null;
    this.store.markEnded(session, this.#endNow(await backend.reap(session)));
    return this.current(session);
  }

  /** What an agent's sessions share goes with the last of them. */
  async release(ended: readonly Session[]): Promise<void> {
    for (const [agent, sessions] of Map.groupBy(ended, (session) => session.agent)) {
      const backend = await this.backendOrNull(agent);
      if (backend?.released === undefined) continue;
      if (this.#isUnused(agent)) await backend.released(sessions);
    }
  }

  /** At the end of the command, or while a process that serves many has none; what is asked for afterwards is loaded anew. */
  async close(): Promise<void> {
    const loaded = [...this.#backends];
    this.#backends.clear();
    for (const [agent, { backend }] of loaded) {
      const closing = backend?.close?.(() => this.#isUnused(agent));
      // Without one, the registry is closed when the caller goes on.
      if (closing !== undefined) await closing;
    }
  }

  #isUnused(agent: AgentKind): boolean {
    return ![...this.store.list({ lifecycle: "active" }), ...this.store.unfinished()]
      .some((session) => session.agent === agent);
  }

  /** By the command that has ended its agent, whoever else has noticed the end meanwhile. */
  markKilled(session: Session, reason: string): void {
    this.store.markKilled(session, this.#endNow(reason));
  }

  #endNow(reason: string) {
    return { at: new Date(this.deps.clock.now()).toISOString(), reason };
  }
}
