/** Yields events after a cursor, and those that come later: woken by what the agents and other commands write. */

import type { Backend } from "../backends/backend.ts";
import type { Clock } from "./deps.ts";
import { messageOf } from "./errors.ts";
import { endOf, type Progress, readOn, UnreadableSession } from "./event_log.ts";
import { assertCursor, type EventRecord } from "./events.ts";
import type { EventsRequest } from "./service.ts";
import type { Session, SessionSummary } from "./session.ts";
import type { Store } from "./store.ts";
import type { EventStore } from "./store/events.ts";
import type { SessionRef } from "./store/sessions.ts";

/** The net below the watches: notices dead agents. */
const NET_POLL_MS = 1_000;
/**
 * How often the registry is asked whether another process has written to it. Its folder must not be watched: Deno opens
 * and closes each file that its watcher tells of, and with that this process loses its locks on the database.
 */
const REGISTRY_POLL_MS = 200;
const DEATH_PATIENCE_MS = 900;
/** For what the records have announced (it takes 0.15 s, measured); after that it comes with a later call. */
const SETTLE_MS = 1_200;
const SETTLE_POLL_MS = 20;

export interface FeedWorld {
  readonly registry: Pick<Store, "find" | "list" | "listEnded" | "lifecycleOf" | "version">;
  readonly log: EventStore;
  readonly clock: Clock;
  /** Session tokens of those that the reader may hear of; left out: all. Asked anew, since more may come. */
  readonly visible?: () => ReadonlySet<string>;
  /** One line for people. */
  readonly warn: (line: string) => void;
  /** Null for an agent that this version can't drive. */
  readonly backendOf: (session: Session) => Promise<Backend | null>;
  /** Those whose agents are proven to be dead. */
  readonly dead: (sessions: readonly Session[]) => Promise<readonly Session[]>;
  /** Marks one of them as ended. */
  readonly markDead: (session: Session) => Promise<void>;
}

/** @throws AppError (usage) for a cursor that is none of this log's. */
export async function* feed(
  request: Pick<EventsRequest, "since" | "follow">,
  /** Null: all sessions, also those that come later. */
  refs: readonly SessionRef[] | null,
  world: FeedWorld,
  signal: AbortSignal,
): AsyncGenerator<EventRecord> {
  const { since, follow } = request;
  if (since !== null && since !== "now") assertCursor(since, world.log.newest());
  const sessions = new FeedSessions(refs, world);
  const visible = () => world.visible === undefined ? null : [...world.visible()];
  const tokens = () => refs?.map(({ token }) => token) ?? visible();
  let place = since === "now" ? null : since?.seq ?? 0;
  const stop = new AbortController();
  const over = AbortSignal.any([signal, stop.signal]);
  const wakes = new Wakes(world, over);
  let due: ReadonlySet<string> | "all" = "all";
  try {
    // The watches begin before the first look, so that nothing falls in between.
    if (follow) wakes.watchRegistry();
    for (;;) {
      if (due === "all") {
        const live = await sessions.live({ patient: follow });
        if (follow) wakes.watchSessions(live);
      }
      for await (const _ of sessions.readOn(due, { settle: !follow }, over)) {
        if (place === null) continue;
        for (let page = world.log.after(place, tokens()); page.length > 0;) {
          for (const { seq, ...record } of page) {
            if (signal.aborted) return;
            yield record;
            place = seq;
          }
          page = world.log.after(place, tokens());
        }
      }
      if (signal.aborted) return;
      place ??= world.log.newest().seq;
      if (!follow || sessions.areOver()) return;
      due = await wakes.next();
      if (signal.aborted) return;
    }
  } finally {
    stop.abort();
    await wakes.closed();
  }
}

/** The sessions of one feed, and how far they were read. */
class FeedSessions {
  /** When each was first seen dead. */
  #dying = new Map<string, number>();
  /** Tokens of those that were warned of. */
  readonly #passedOver = new Set<string>();

  constructor(private readonly refs: readonly SessionRef[] | null, private readonly world: FeedWorld) {}

  /**
   * The sessions that live, after those that have died were marked as ended: a follower looks twice, since its first
   * look may fall between the end of an agent and the word of the `kill` that has ended it.
   */
  async live({ patient }: { readonly patient: boolean }): Promise<Session[]> {
    const now = this.world.clock.monotonic();
    const dead = await this.world.dead(this.#active());
    for (const session of dead) {
      const known = this.#dying.get(session.token) ?? now;
      if (!patient || now - known >= DEATH_PATIENCE_MS) await this.world.markDead(session);
      this.#dying.set(session.token, known);
    }
    // One that lives again may die again.
    const tokens = new Set(dead.map(({ token }) => token));
    for (const token of this.#dying.keys()) if (!tokens.has(token)) this.#dying.delete(token);
    return this.#active();
  }

  /** Reads what is new of these; yields after each step. `settle` waits for what the records have announced. */
  async *readOn(
    due: ReadonlySet<string> | "all",
    { settle }: { readonly settle: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<void> {
    const { registry, log, clock, backendOf } = this.world;
    const deadline = clock.monotonic() + SETTLE_MS;
    const unread = this.#unread();
    for (const ref of due === "all" ? unread : unread.filter(({ token }) => due.has(token))) {
      for (let progress: Progress = "more"; progress !== "up_to_date";) {
        if (signal.aborted) return;
        try {
          progress = await readOn(ref, registry, log, backendOf);
        } catch (error) {
          this.#passOver(ref, error);
          break;
        }
        yield;
        if (progress !== "settling") continue;
        if (!settle || clock.monotonic() >= deadline) break;
        await clock.sleep(SETTLE_POLL_MS, signal);
      }
    }
    // What another reader has appended.
    yield;
  }

  /** What can't be read of one session keeps none of the others from their reader, unless it was named. */
  #passOver(ref: SessionRef, error: unknown): void {
    if (!(error instanceof UnreadableSession) || this.refs !== null) {
      throw error instanceof UnreadableSession ? error.cause : error;
    }
    if (this.#passedOver.has(ref.token)) return;
    this.#passedOver.add(ref.token);
    this.world.warn(`events of "${ref.id}" can't be read now, and are left out: ${messageOf(error.cause)}`);
  }

  /** Named sessions that all have ended, or are forgotten, bring nothing more. */
  areOver(): boolean {
    return this.refs !== null && this.#unread().length === 0;
  }

  #active(): Session[] {
    if (this.refs === null) return this.#visible(this.world.registry.list({ lifecycle: "active" }));
    return this.#named().filter(({ lifecycle }) => lifecycle === "active");
  }

  /** Those that live, and those that ended since they were read to their end. */
  #unread(): SessionRef[] {
    const settled = this.world.log.settled();
    const ended: readonly SessionSummary[] = this.refs === null
      ? this.#visible(this.world.registry.listEnded())
      : this.#named().filter(({ lifecycle }) => lifecycle === "ended");
    return [...ended.filter((session) => settled.get(session.token) !== endOf(session)), ...this.#active()];
  }

  #visible<S extends SessionRef>(sessions: S[]): S[] {
    const visible = this.world.visible?.();
    return visible === undefined ? sessions : sessions.filter(({ token }) => visible.has(token));
  }

  #named(): Session[] {
    return (this.refs ?? []).flatMap((ref) => {
      const session = this.world.registry.find(ref.id);
      return session?.token === ref.token ? [session] : [];
    });
  }
}

/** Everything that may wake a follower, until its signal. */
class Wakes {
  readonly #watches = new Map<string, { readonly end: AbortController; readonly done: Promise<void> }>();
  readonly #pumps: Promise<void>[] = [];
  #due = new Set<string>();
  #all = false;
  #lastAll = 0;
  #wake: (() => void) | null = null;

  constructor(private readonly world: FeedWorld, private readonly over: AbortSignal) {
    this.#lastAll = world.clock.monotonic();
  }

  watchRegistry(): void {
    this.#pumps.push(this.#pollRegistry().catch(() => {}));
  }

  async #pollRegistry(): Promise<void> {
    const { registry, clock } = this.world;
    let seen = registry.version();
    while (!this.over.aborted) {
      await clock.sleep(REGISTRY_POLL_MS, this.over);
      if (this.over.aborted) return;
      const version = registry.version();
      if (version === seen) continue;
      seen = version;
      this.#all = true;
      this.#wake?.();
    }
  }

  watchSessions(live: readonly Session[]): void {
    // A session that was resumed has another process.
    const keys = new Map(live.map((session) => [`${session.token} ${session.process?.pid}`, session]));
    for (const [key, watch] of this.#watches) if (!keys.has(key)) watch.end.abort();
    for (const [key, session] of keys) {
      if (this.#watches.has(key)) continue;
      const end = new AbortController();
      // A watch that fails leaves the net.
      const done = this.#pump(session, AbortSignal.any([this.over, end.signal])).catch(() => {}).then(() => {
        this.#watches.delete(key);
      });
      this.#watches.set(key, { end, done });
    }
  }

  async #pump(session: Session, signal: AbortSignal): Promise<void> {
    const backend = await this.world.backendOf(session);
    if (backend === null) return;
    for await (const _ of backend.watch(session, null, signal)) {
      this.#due.add(session.token);
      this.#wake?.();
    }
  }

  /** The sessions that may have changed since the last call; all of them when any may have, and now and then. */
  async next(): Promise<ReadonlySet<string> | "all"> {
    const { clock } = this.world;
    if (this.#due.size === 0 && !this.#all) {
      const nap = new AbortController();
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      const left = this.#lastAll + NET_POLL_MS - clock.monotonic();
      await Promise.race([woken, clock.sleep(Math.max(0, left), AbortSignal.any([this.over, nap.signal]))]);
      nap.abort();
      this.#wake = null;
    }
    const due = this.#due;
    const all = this.#all || clock.monotonic() - this.#lastAll >= NET_POLL_MS;
    this.#due = new Set();
    this.#all = false;
    if (!all) return due;
    this.#lastAll = clock.monotonic();
    return "all";
  }

  async closed(): Promise<void> {
    await Promise.allSettled([...this.#pumps, ...[...this.#watches.values()].map(({ done }) => done)]);
  }
}
