/**
 * The sessions of other hosts: each is asked where it lives, once it is proven to be the one that the registry means.
 * That a host can't be reached changes nothing.
 */

import type { Deps } from "../lib/deps.ts";
import { AppError, sessionNotFound } from "../lib/errors.ts";
import type { InHand } from "../lib/in_hand.ts";
import { fromHost, isElsewhereThere, isSameSession, type RemoteSession } from "../lib/remote_session.ts";
import type { WaitRequest, WaitResult } from "../lib/service.ts";
import type { Session, SessionId } from "../lib/session.ts";
import type { Store } from "../lib/store.ts";
import type { Heard } from "../lib/store/remotes.ts";
import { CarrierError, WAIT_GRACE_MS } from "./carrier.ts";
import { RemoteError } from "./ssh/carrier.ts";
import { type Destination, usualRemoteBin } from "./ssh/command.ts";
import { inFewWords, noAnswer, NoServerError, OtherRegistryError } from "./ssh/failures.ts";
import type { Hosts, HostService } from "./ssh/hosts.ts";
import { signalAfter } from "../lib/until_stopped.ts";
import { withinTime } from "./within_time.ts";

/** For the answer of a host that is only one of several. */
const BOUND_MS = 5_000;
/** For what became of a create whose process is gone; longer than ssh takes to say that it can't connect. */
const SETTLE_TIMEOUT_MS = 12_000;

export interface ElsewhereWorld {
  readonly deps: Deps;
  readonly store: Store;
  readonly hosts: Hosts;
  /** What this process is creating. */
  readonly inHand: InHand;
}

/** What became of a session whose `create` did not come to its end. */
export type Settled =
  | { readonly kind: "adopted"; readonly row: RemoteSession }
  | { readonly kind: "gone" }
  | { readonly kind: "unknown"; readonly error: AppError };

export interface Reached {
  readonly row: RemoteSession;
  readonly service: HostService;
  readonly session: Session;
}

export class Elsewhere {
  /** Hosts that have not answered within the bound: within this request they are not asked again. */
  readonly #silent = new Map<string, string>();

  constructor(readonly world: ElsewhereWorld) {}

  destination({ host, remoteBin }: Pick<RemoteSession, "host" | "remoteBin">): Destination {
    return { host, remoteBin: remoteBin ?? usualRemoteBin(this.world.deps.env) };
  }

  service(row: Pick<RemoteSession, "host" | "remoteBin">): HostService {
    return this.world.hosts.at(this.destination(row));
  }

  /**
   * The session at its host, with what is known of it brought up to date.
   *
   * @param verb for errors.
   * @throws AppError when its host can't be reached, does not know it, or has another session under its name.
   */
  async reach(found: RemoteSession, verb: string, signal?: AbortSignal): Promise<Reached> {
    let row = found;
    if (row.lifecycle === "creating") {
      const settled = await this.settle(row, signal);
      switch (settled.kind) {
        case "adopted":
          row = settled.row;
          break;
        case "gone":
          throw sessionNotFound(row.id);
        case "unknown":
          throw settled.error;
      }
    }
    const service = this.service(row);
    let session: Session;
    try {
      session = await service.inspect(row.id, signal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw this.otherRegistry(row, service) ?? unknownThere(row, verb);
    }
    if (!isSameSession(row, session)) throw this.otherRegistry(row, service) ?? anotherThere(row, verb);
    const known = this.heardOf(row, service, session);
    if (known === null) throw sessionNotFound(row.id);
    return { row: known, service, session: fromHost(session, known) };
  }

  /** Notes what its host says of it; null when the row is gone. */
  heardOf(row: RemoteSession, { registry }: HostService, session: Heard): RemoteSession | null {
    return this.world.store.heardOf(row, session, registry);
  }

  /** Why it is not to be believed that a host does not know a session; null where it is. */
  otherRegistry(row: RemoteSession, { registry }: HostService): OtherRegistryError | null {
    return isElsewhereThere(row, registry) ? new OtherRegistryError(row.host) : null;
  }

  /** As `reach()`, while its host is asked already for something that changes nothing: one way there and back less. */
  async read<T>(row: RemoteSession, verb: string, ask: (service: HostService) => Promise<T>): Promise<T> {
    if (row.lifecycle === "creating") return await ask((await this.reach(row, verb)).service);
    const [reached, read] = await Promise.allSettled([this.reach(row, verb), ask(this.service(row))]);
    if (reached.status === "rejected") throw reached.reason;
    if (read.status === "rejected") throw read.reason;
    return read.value;
  }

  /** What became of a `create`: nothing is begun, and nothing is forgotten unless its host says that there is none. */
  async settle(row: RemoteSession, signal?: AbortSignal): Promise<Settled> {
    const { store, inHand, deps } = this.world;
    if (row.request === null || row.creator === null) return { kind: "unknown", error: stillCreating(row) };
    const work = { name: row.token, worker: row.creator };
    const [abandoned = false] = await inHand.abandoned([work], deps);
    if (!abandoned) return { kind: "unknown", error: stillCreating(row) };
    return await this.ask(row, store, signal);
  }

  /** As `settle()`, for whoever has given it up. */
  async ask(row: RemoteSession, store: Store, signal?: AbortSignal): Promise<Settled> {
    const done = new AbortController();
    const late = signalAfter(this.world.deps.clock, SETTLE_TIMEOUT_MS, done.signal);
    const service = this.service(row);
    try {
      const { session } = await service.create(
        { ...row.request!, repeatOnly: true },
        signal === undefined ? late : AbortSignal.any([late, signal]),
      );
      const known = this.heardOf(row, service, session);
      return known === null ? { kind: "gone" } : { kind: "adopted", row: known };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (isNotFound(error)) {
        const other = this.otherRegistry(row, service);
        if (other !== null) return { kind: "unknown", error: notKnownYet(row, other) };
        store.forgetRemote(row);
        return { kind: "gone" };
      }
      const tooLate = late.aborted && !signal?.aborted && !(error instanceof CarrierError);
      const why = tooLate ? noAnswer(row.host, SETTLE_TIMEOUT_MS / 1000) : error;
      return { kind: "unknown", error: notKnownYet(row, why) };
    } finally {
      done.abort();
    }
  }

  /** Rows of each host together. */
  byHost(rows: readonly RemoteSession[]): RemoteSession[][] {
    const groups = Map.groupBy(rows, (row) => {
      const { host, remoteBin } = this.destination(row);
      return JSON.stringify([host, remoteBin]);
    });
    return [...groups.values()];
  }

  /** Ends with its host's word on all of them, and a little after the request's own time at the latest. */
  async *wait(
    rows: readonly RemoteSession[],
    request: WaitRequest,
    signal: AbortSignal,
  ): AsyncGenerator<WaitResult> {
    const { clock } = this.world.deps;
    const [first] = rows;
    if (first === undefined) return;
    const ms = request.timeoutMs + WAIT_GRACE_MS;
    yield* withinTime((stop) => this.#waitAt(rows, request, stop), {
      ms,
      clock,
      signal,
      tooLate: () => noAnswer(first.host, Math.round(ms / 1000)),
    });
  }

  async *#waitAt(
    rows: readonly RemoteSession[],
    request: WaitRequest,
    stop: AbortSignal,
  ): AsyncGenerator<WaitResult> {
    const { clock } = this.world.deps;
    const begun = clock.monotonic();
    const [reached] = await Promise.all(rows.map((row) => this.reach(row, "wait", stop)));
    const ids = rows.map(({ id }) => id);
    const timeoutMs = Math.max(0, request.timeoutMs - (clock.monotonic() - begun));
    yield* reached!.service.wait({ ...request, ids, timeoutMs }, stop);
  }

  /** What comes within the bound; else why it did not, in a few words. */
  async bounded<T>(
    host: string,
    ask: () => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly unreachable: string }> {
    const known = this.#silent.get(host);
    if (known !== undefined) return { unreachable: known };
    const done = new AbortController();
    const late = this.world.deps.clock.sleep(BOUND_MS, done.signal).then(() => null);
    const value = ask().then((value) => ({ value }));
    value.catch(() => {});
    let unreachable = `no answer within ${BOUND_MS / 1000} s`;
    try {
      const answer = await Promise.race([value, late]);
      if (answer !== null) return answer;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      unreachable = error instanceof CarrierError ? inFewWords(error) : error.message;
    } finally {
      done.abort();
    }
    this.#silent.set(host, unreachable);
    return { unreachable };
  }
}

/** In the words of its host. */
export function isNotFound(error: unknown): boolean {
  return error instanceof RemoteError && error.code === "not_found";
}

function unknownThere({ id, host }: RemoteSession, verb: string): AppError {
  return new AppError(
    "not_found",
    `Remote ${verb} on ${host} failed: Session not found: ${id}`,
    `It was forgotten there. Forget it here, too, with: dev-sessions kill ${id}`,
  );
}

function anotherThere({ id, host }: RemoteSession, verb: string): AppError {
  return new AppError(
    "not_found",
    `Remote ${verb} on ${host} failed: Session not found: ${id}`,
    `Another session has this name there now. Forget the one that was here with: dev-sessions kill ${id}`,
  );
}

function stillCreating({ id, host }: RemoteSession): AppError {
  return new AppError(
    "not_delivered",
    `Cannot use "${id}": it is still being created on ${host}. Try again when its create has returned`,
  );
}

function notKnownYet({ id, host }: RemoteSession, cause: AppError): AppError {
  const why = `The create of "${id}" was broken off, and only ${host} can say what became of it`;
  return new AppError(
    cause.code,
    cause.message,
    [cause.detail, why].filter((part) => part !== null).join("\n"),
    {
      cause,
    },
  );
}

/** There is no way to its host, or nobody there who would answer. */
export function cannotBeAsked(error: AppError): boolean {
  return error.code === "transport" || error instanceof NoServerError;
}

/** Of ids, those that are sessions of other hosts. */
export function partition(
  ids: readonly SessionId[],
  store: Pick<Store, "findRemote">,
): { readonly here: SessionId[]; readonly elsewhere: RemoteSession[] } {
  const here: SessionId[] = [];
  const elsewhere: RemoteSession[] = [];
  for (const id of new Set(ids)) {
    const row = store.findRemote(id);
    if (row === null) here.push(id);
    else elsewhere.push(row);
  }
  return { here, elsewhere };
}
