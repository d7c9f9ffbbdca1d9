/**
 * SessionService over this machine and other hosts: each id goes to where the registry says that its session lives.
 * What concerns this machine alone is passed on at once. Long because the interface is.
 */

import type { Deps } from "../lib/deps.ts";
import { InHand } from "../lib/in_hand.ts";
import type { EventRecord } from "../lib/events.ts";
import type { Expanded, ExpandRequest } from "../lib/groups.ts";
import type { Manager } from "../lib/manager.ts";
import type { RemoteSession } from "../lib/remote_session.ts";
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
import type { LogEntry, Session, SessionId, TurnState } from "../lib/session.ts";
import type { Store } from "../lib/store.ts";
import type { Elsewhere } from "./elsewhere.ts";
import { Home } from "./home.ts";
import type { Hosts } from "./ssh/hosts.ts";
import type { EarlyStarts } from "./ssh/process.ts";

export interface RoutedWorld {
  readonly deps: Deps;
  readonly store: Store;
}

/** What the requests of one process share. */
class Shared {
  /** What this process is creating elsewhere. */
  readonly inHand: InHand = new InHand();
  hosts: Promise<Hosts> | null = null;
  started: EarlyStarts | null = null;
}

export class RoutedService implements SessionService {
  #elsewhere: Promise<Elsewhere> | null = null;

  constructor(
    private readonly home: Home,
    private readonly world: RoutedWorld,
    private readonly shared: Shared = new Shared(),
  ) {}

  /** The same service for one of many requests; only for those who may use everything. */
  forRequest(): RoutedService {
    const home = new Home(async () => (await this.#here()).forRequest());
    return new RoutedService(home, this.world, this.shared);
  }

  /** Lets go of what is only kept ready; only while no request is at work. */
  async rest(): Promise<void> {
    await this.#closeHosts();
    await (await this.home.loaded())?.rest();
  }

  async close(): Promise<void> {
    await this.#closeHosts();
    const manager = await this.home.loaded().catch(() => null);
    if (manager === null) this.world.store.close();
    else await manager.close();
  }

  async expand(request: ExpandRequest): Promise<Expanded> {
    if (!this.world.store.hasRemotes()) return await (await this.#here()).expand(request);
    const { expandEverywhere } = await import("./routing.ts");
    return expandEverywhere(request, this.world.store);
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    if (request.host === undefined) return await (await this.#here()).create(request, signal);
    const { checkHost } = await import("./ssh/command.ts");
    const host = checkHost(request.host);
    const own = await (await this.#here()).forCreateElsewhere(request);
    const there = await this.#there({ host, remoteBin: null });
    const { RemoteCreation } = await import("./remote_creation.ts");
    return await new RemoteCreation(there, own).run(signal);
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome> {
    const row = this.#remote(request.id);
    if (row === null) return await (await this.#here()).send(request, signal);
    const { sentElsewhere } = await import("./routing.ts");
    const asked = sentElsewhere(request, row, this.world.store);
    const { service } = await (await this.#there(row)).reach(row, "send", signal);
    return await service.send(asked, signal);
  }

  async interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome> {
    const row = this.#remote(request.id);
    if (row === null) return await (await this.#here()).interrupt(request, signal);
    const { service } = await (await this.#there(row)).reach(row, "interrupt", signal);
    return await service.interrupt({ ...request, sender: null }, signal);
  }

  async *wait(request: WaitRequest, signal: AbortSignal): AsyncGenerator<WaitResult> {
    if (!this.#anyRemote(request.ids)) return yield* (await this.#here()).wait(request, signal);
    const { waitEverywhere } = await import("./routing.ts");
    yield* waitEverywhere(request, this.home, await this.#there(), signal);
  }

  async status(id: SessionId, options = { explain: false }): Promise<TurnState> {
    const row = this.#remote(id);
    if (row === null) return await (await this.#here()).status(id, options);
    return await (await this.#there(row)).read(row, "status", (service) => service.status(id, options));
  }

  async respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult> {
    const row = this.#remote(request.id);
    if (row === null) return await (await this.#here()).respond(request, signal);
    const { service } = await (await this.#there(row)).reach(row, "respond", signal);
    return await service.respond({ ...request, caller: null }, signal);
  }

  async goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult> {
    const row = this.#remote(request.id);
    if (row === null) return await (await this.#here()).goal(request, signal);
    const { service } = await (await this.#there(row)).reach(row, "goal", signal);
    return await service.goal(request, signal);
  }

  async lastMessages(id: SessionId, count: number, receipt: string | null = null): Promise<string[]> {
    const row = this.#remote(id);
    if (row === null) return await (await this.#here()).lastMessages(id, count, receipt);
    return await (await this.#there(row)).read(
      row,
      "last-message",
      (service) => service.lastMessages(id, count, receipt),
    );
  }

  async *logs(
    id: SessionId,
    options = { follow: false },
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<LogEntry> {
    const row = this.#remote(id);
    if (row === null) return yield* (await this.#here()).logs(id, options, signal);
    const { service } = await (await this.#there(row)).reach(row, "logs", signal);
    yield* service.logs(id, options, signal);
  }

  async *events(request: EventsRequest, signal: AbortSignal): AsyncGenerator<EventRecord> {
    const { store, deps } = this.world;
    if (request.ids === null || !this.#anyRemote(request.ids)) {
      if (request.ids === null && store.hasRemotes()) {
        const { leftOutNote } = await import("./routing.ts");
        const line = leftOutNote(store.listRemotes());
        if (line !== null) deps.terminal.writeErr(`[dev-sessions] ${line}\n`);
      }
      return yield* (await this.#here()).events(request, signal);
    }
    const { placeOfEvents } = await import("./routing.ts");
    const rows = placeOfEvents(request.ids, store);
    const there = await this.#there();
    const reached = await Promise.all(rows.map((row) => there.reach(row, "events", signal)));
    yield* reached[0]!.service.events(request, signal);
  }

  async list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]> {
    const here = await (await this.#here()).list(options);
    const rows = this.world.store.listRemotes()
      .filter(({ group }) => options.group === null || group === options.group);
    if (rows.length === 0) return here;
    const { listElsewhere } = await import("./remote_listing.ts");
    const { byCreation } = await import("../lib/session_checks.ts");
    const there = await listElsewhere(await this.#there(), rows, options.all);
    return [...here, ...there.sort((a, b) => byCreation(a.session, b.session))];
  }

  async inspect(id: SessionId): Promise<Session> {
    const row = this.#remote(id);
    if (row === null) return await (await this.#here()).inspect(id);
    return (await (await this.#there(row)).reach(row, "inspect")).session;
  }

  async usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]> {
    if (!this.world.store.hasRemotes()) return await (await this.#here()).usage(ids);
    const there = await this.#there();
    const { usageOfLive, usageOfNamed } = await import("./remote_listing.ts");
    if (ids === null) {
      const live = this.world.store.listRemotes().filter(({ lifecycle }) => lifecycle === "active");
      const [here, elsewhere] = await Promise.all([
        (await this.#here()).usage(null),
        usageOfLive(there, live),
      ]);
      return [...here, ...elsewhere];
    }
    const { partition } = await import("./elsewhere.ts");
    const { here, elsewhere } = partition(ids, this.world.store);
    const parts = await Promise.all([
      here.length === 0 ? [] : (await this.#here()).usage(here),
      usageOfNamed(there, elsewhere),
    ]);
    const known = new Map(parts.flat().map((one) => [one.id, one]));
    return [...new Set(ids)].flatMap((id) => known.get(id) ?? []);
  }

  async kill(selector: KillSelector): Promise<KillResult> {
    if (!this.world.store.hasRemotes()) return await (await this.#here()).kill(selector);
    const { killEverywhere } = await import("./routing.ts");
    return await killEverywhere(selector, this.home, await this.#there());
  }

  async resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    const row = this.#remote(request.id);
    if (row === null) return await (await this.#here()).resume(request, signal);
    const [{ assertMayResume }, { resumeElsewhere }] = await Promise.all([
      import("./routing.ts"),
      import("./remote_resumption.ts"),
    ]);
    const { store } = this.world;
    const reached = await (await this.#there(row)).reach(row, "resume", signal);
    assertMayResume(reached.session, request.caller, store);
    const admission = await (await this.#here()).forResumeElsewhere(reached.row);
    return await resumeElsewhere(reached, request, { store, admission }, signal);
  }

  async prune(selector: PruneSelector): Promise<PruneResult> {
    if (!this.world.store.hasRemotes()) return await (await this.#here()).prune(selector);
    const { pruneEverywhere } = await import("./routing.ts");
    return await pruneEverywhere(selector, this.home, await this.#there());
  }

  async attachCommand(id: SessionId): Promise<TerminalCommand> {
    const row = this.#remote(id);
    if (row === null) return await (await this.#here()).attachCommand(id);
    const { service, session } = await (await this.#there(row)).reach(row, "attach");
    const { assertActive } = await import("../lib/session_checks.ts");
    assertActive(session, "attach to");
    return await service.attachCommand(id);
  }

  #here(): Promise<Manager> {
    return this.home.manager();
  }

  #remote(id: SessionId): RemoteSession | null {
    return this.world.store.findRemote(id);
  }

  #anyRemote(ids: readonly SessionId[]): boolean {
    return ids.some((id) => this.#remote(id) !== null);
  }

  /** @param first the one that will be asked first, if that is known. */
  async #there(first: Pick<RemoteSession, "host" | "remoteBin"> | null = null): Promise<Elsewhere> {
    return await (this.#elsewhere ??= this.#load(first));
  }

  async #load(first: Pick<RemoteSession, "host" | "remoteBin"> | null): Promise<Elsewhere> {
    const { deps, store } = this.world;
    if (this.shared.hosts === null && first !== null) {
      const [{ EarlyStarts }, { usualRemoteBin }] = await Promise.all([
        import("./ssh/process.ts"),
        import("./ssh/command.ts"),
      ]);
      const { host, remoteBin } = first;
      const started = this.shared.started ??= new EarlyStarts();
      started.start({ host, remoteBin: remoteBin ?? usualRemoteBin(deps.env) }, deps.env);
    }
    const [{ Elsewhere }, { Hosts }, { EarlyStarts }] = await Promise.all([
      import("./elsewhere.ts"),
      import("./ssh/hosts.ts"),
      import("./ssh/process.ts"),
    ]);
    const started = this.shared.started ??= new EarlyStarts();
    const note = (line: string) => deps.terminal.writeErr(`[dev-sessions] ${line}\n`);
    const world = { env: deps.env, clock: deps.clock, note, started };
    this.shared.hosts ??= Promise.resolve(new Hosts(world, deps.randomUuid));
    return new Elsewhere({ deps, store, hosts: await this.shared.hosts, inHand: this.shared.inHand });
  }

  async #closeHosts(): Promise<void> {
    const hosts = await this.shared.hosts;
    this.shared.hosts = null;
    this.#elsewhere = null;
    hosts?.close();
    this.shared.started?.close();
    this.shared.started = null;
  }
}

/** @throws AppError when the registry can't be read. */
export async function openRouted(deps: Deps): Promise<RoutedService> {
  const { openRegistry } = await import("../lib/open_registry.ts");
  const store = openRegistry(deps);
  const home = new Home(async () => (await import("../lib/manager.ts")).managerOf(deps, store));
  return new RoutedService(home, { deps, store });
}
