/**
 * The service as the holder of a token may use it: sees and touches only the sessions that were made with this token;
 * all others do not exist for it. Ids are looked up before anything is done. Long because the interface is.
 */

import * as v from "valibot";
import { AppError, sessionNotFound } from "../lib/errors.ts";
import type { EventRecord } from "../lib/events.ts";
import { descendsFrom } from "../lib/families.ts";
import { type Expanded, type ExpandRequest, expandTargets } from "../lib/groups.ts";
import { endedBefore } from "../lib/pruning.ts";
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
} from "../lib/service.ts";
import { byCreation } from "../lib/session_checks.ts";
import type { LogEntry, Session, SessionId, SessionSummary, TurnState } from "../lib/session.ts";
import type { Store } from "../lib/store.ts";
import type { Operation } from "../lib/wire.ts";
import { sessionSummary } from "../lib/wire/nouns.ts";
import {
  assertMountable,
  type CheckedFolder,
  checkFolder,
  isInFolder,
  mountedFolders,
} from "./checked_folder.ts";
import { assertPermittedTemplate, permittedCreate, refused, type Scope } from "./scope.ts";
import { permits, verbOf } from "./verbs.ts";

/** A faster look would only load the host. */
const LEAST_POLL_MS = 1_000;

export interface ScopedToken {
  readonly id: string;
  readonly scope: Scope;
}

export interface ScopedWorld {
  /** Makes sessions that belong to the token, and tells events of those only. */
  readonly service: SessionService;
  readonly registry: Pick<
    Store,
    "find" | "list" | "listEnded" | "creating" | "isMadeWith" | "madeWith" | "idOf" | "listTokens" | "atWork"
  >;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class ScopedService implements SessionService {
  constructor(private readonly token: ScopedToken, private readonly world: ScopedWorld) {}

  expand(request: ExpandRequest): Promise<Expanded> {
    return Promise.try(() =>
      expandTargets({ ...request, caller: this.#caller(request.caller) }, this.#all())
    );
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    this.#may("create");
    const { scope } = this.token;
    const permitted = permittedCreate(scope, request);
    const parent = this.#caller(request.parent);
    const folder = await checkFolder(scope, request.path);
    if (permitted.mode === "docker") await this.#assertMountable(folder, "create a session");
    const result = await this.world.service.create(
      { ...permitted, path: folder.path, parent, key: this.#key(request.key) },
      signal,
    );
    if (!result.repeated && !await isInFolder(result.session, folder)) {
      await this.#end(result.session.id);
      throw refused("create a session", `"${request.path}" was replaced while the agent started`);
    }
    return { ...result, session: shown(result.session) };
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome> {
    this.#may("send");
    if (request.mode === "interrupt") this.#may("interrupt");
    this.#own(request.id);
    if (request.render !== null) assertPermittedTemplate(request.text, request.render);
    const outcome = await this.world.service.send(
      { ...request, sender: this.#caller(request.sender), key: this.#key(request.key) },
      signal,
    );
    return { ...outcome, receipt: { ...outcome.receipt, anchor: null } };
  }

  async interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome> {
    this.#may("interrupt");
    this.#own(request.id);
    return await this.world.service.interrupt({ ...request, sender: this.#caller(request.sender) }, signal);
  }

  async *wait(request: WaitRequest, signal: AbortSignal): AsyncGenerator<WaitResult> {
    this.#may("wait");
    this.#ownAll(request.ids);
    const pollMs = request.pollMs === null ? null : Math.max(request.pollMs, LEAST_POLL_MS);
    yield* this.world.service.wait({ ...request, pollMs }, signal);
  }

  async status(id: SessionId, options = { explain: false }): Promise<TurnState> {
    this.#may("status");
    this.#own(id);
    return await this.world.service.status(id, options);
  }

  async lastMessages(id: SessionId, count: number, receipt: string | null = null): Promise<string[]> {
    this.#may("lastMessages");
    this.#own(id);
    return await this.world.service.lastMessages(id, count, receipt);
  }

  async *logs(
    id: SessionId,
    options = { follow: false },
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<LogEntry> {
    this.#may("logs");
    this.#own(id);
    yield* this.world.service.logs(id, options, signal);
  }

  async *events(request: EventsRequest, signal: AbortSignal): AsyncGenerator<EventRecord> {
    this.#may("events");
    if (request.ids !== null) this.#ownAll(request.ids);
    yield* this.world.service.events(request, signal);
  }

  async list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]> {
    this.#may("list");
    const listed = await this.world.service.list(options);
    const own = this.world.registry.madeWith(this.token.id);
    return listed.filter(({ session }) => own.has(session.token))
      .map((one) => ({ ...one, session: summary(one.session) }));
  }

  async inspect(id: SessionId): Promise<Session> {
    this.#may("inspect");
    return await Promise.resolve(shown(this.#own(id)));
  }

  async respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult> {
    this.#may("respond");
    this.#own(request.id);
    return await this.world.service.respond({ ...request, caller: this.#caller(request.caller) }, signal);
  }

  async goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult> {
    this.#may("goal");
    this.#own(request.id);
    return await this.world.service.goal(request, signal);
  }

  async usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]> {
    this.#may("usage");
    if (ids !== null) this.#ownAll(ids);
    return await this.world.service.usage(ids ?? this.#live().map(({ id }) => id));
  }

  async kill(selector: KillSelector): Promise<KillResult> {
    this.#may("kill");
    const caller = this.#caller(selector.caller);
    const everyone = "ids" in selector ? selector.everyone : true;
    const ids = "ids" in selector ? this.#named(selector) : this.#chosen(selector);
    if (ids.length === 0) return { killed: [], failed: [] };
    const { killed, failed } = await this.world.service.kill({ ids, tree: false, everyone, caller });
    return { killed, failed };
  }

  async resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    this.#may("resume");
    const session = this.#own(request.id);
    const caller = this.#caller(request.caller);
    // Its workspace may have become a way to somewhere else since.
    const folder = await checkFolder(this.token.scope, session.path);
    if (folder.path !== session.path || session.worktree !== null) {
      throw refused(`resume "${session.id}"`, "its workspace was replaced");
    }
    if (session.mode === "docker") await this.#assertMountable(folder, `resume "${session.id}"`);
    const result = await this.world.service.resume({ ...request, caller }, signal);
    if (!await isInFolder(result.session, folder)) {
      await this.#end(session.id);
      throw refused(`resume "${session.id}"`, "its workspace was replaced while the agent started");
    }
    return { ...result, session: shown(result.session) };
  }

  async prune(selector: PruneSelector): Promise<PruneResult> {
    this.#may("prune");
    const ids = "ids" in selector
      ? this.#ownAll(selector.ids)
      : this.#endedBefore(this.world.now() - selector.olderThanMs);
    if (ids.length === 0) return { forgotten: [], failed: [], keys: 0 };
    return await this.world.service.prune({ ids });
  }

  attachCommand(id: SessionId): Promise<TerminalCommand> {
    return Promise.reject(refused(`attach to "${id}"`, "attach is not permitted with a token"));
  }

  /** @throws AppError (refused) */
  #may(operation: Operation): void {
    if (permits(this.token.scope.verbs, operation)) return;
    throw refused(verbOf(operation), "this token does not permit it");
  }

  /** @throws AppError (not_found) for a session that was not made with this token, as if there were none. */
  #own(id: SessionId): Session {
    const session = this.world.registry.find(id);
    if (session !== null && this.world.registry.isMadeWith(session, this.token.id)) return session;
    throw sessionNotFound(id);
  }

  #ownAll(ids: readonly SessionId[]): readonly SessionId[] {
    ids.forEach((id) => this.#own(id));
    return ids;
  }

  /**
   * The session that calls: of the container that the token is bound to, or one of the token's own.
   *
   * @throws AppError (not_found) for any other.
   */
  #caller(given: SessionId | null): SessionId | null {
    const { boundTo } = this.token.scope;
    const bound = boundTo === null ? null : this.world.registry.idOf(boundTo)?.id ?? null;
    if (given === null || given === bound) return bound;
    return this.#own(given).id;
  }

  /** @throws AppError (refused) */
  async #assertMountable(folder: CheckedFolder, action: string): Promise<void> {
    const { registry, now } = this.world;
    const mounted = await mountedFolders(registry, now()).catch(() => {
      // What is wrong with the registry is not for the holder of a token.
      throw refused(action, "the gateway can't tell which folders containers have");
    });
    assertMountable(this.token.scope, folder, mounted, action);
  }

  /** Another caller's equal key is another key. */
  #key(key: string | null): string | null {
    return key === null ? null : `token ${this.token.id}: ${key}`;
  }

  #named(selector: Extract<KillSelector, { ids: unknown }>): readonly SessionId[] {
    const ids = this.#ownAll(selector.ids);
    if (!selector.tree) return ids;
    const { find } = this.world.registry;
    const below = this.#live().filter((row) => ids.some((id) => descendsFrom(row, id, find)));
    return [...new Set([...ids, ...below.map(({ id }) => id)])];
  }

  #chosen(selector: Exclude<KillSelector, { ids: unknown }>): readonly SessionId[] {
    const { scope } = selector;
    const { find } = this.world.registry;
    const ancestor = scope === "everyone" ? null : this.#caller(scope.descendantsOf);
    const inScope = this.#live().filter((row) => ancestor === null || descendsFrom(row, ancestor, find));
    if ("all" in selector) return inScope.map(({ id }) => id);
    const before = this.world.now() - selector.olderThanMs;
    return inScope.filter((row) => Date.parse(row.lastUsedAt) < before).map(({ id }) => id);
  }

  #live(): Session[] {
    const own = this.world.registry.madeWith(this.token.id);
    return this.world.registry.list({ lifecycle: "active" }).filter(({ token }) => own.has(token));
  }

  /** Without those that are just being resumed. */
  #endedBefore(before: number): SessionId[] {
    const own = this.world.registry.madeWith(this.token.id);
    return this.world.registry.list({ lifecycle: "ended" })
      .filter((session) => own.has(session.token) && endedBefore(session, before))
      .map(({ id }) => id);
  }

  #all(): SessionSummary[] {
    const { registry } = this.world;
    const own = registry.madeWith(this.token.id);
    return [...registry.listEnded(), ...registry.list({ lifecycle: "active" }), ...registry.creating()]
      .filter(({ token }) => own.has(token)).sort(byCreation);
  }

  async #end(id: SessionId): Promise<void> {
    const { failed } = await this.world.service.kill({
      ids: [id],
      tree: false,
      everyone: true,
      caller: null,
    });
    const [first] = failed;
    if (first !== undefined) throw new AppError("failure", first.reason);
  }
}

/** Without what only the host can use. */
function shown(session: Session): Session {
  return {
    ...session,
    ...hidden,
    lastSend: session.lastSend === null ? null : { ...session.lastSend, anchor: null },
  };
}

const hidden = { handle: null, process: null, creator: null, resumer: null, legacy: null } as const;

/** Rows of live sessions hold more than their type says. */
function summary(session: SessionSummary): SessionSummary {
  return { ...v.parse(sessionSummary, session), legacy: null };
}
