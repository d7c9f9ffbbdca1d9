/** One session's thread, as its server tells of it: gathers what decisions are made from, and loads the thread. */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { Session } from "../../lib/session.ts";
import { hasClientId, isWindingDown, needsSecondLook } from "./course.ts";
import {
  type CodexAnchor,
  codexAnchorOf,
  type CodexEvidence,
  isArchived,
  type Retrying,
  SETTLE_MS,
} from "./evidence.ts";
import type { Follower } from "./follower.ts";
import type { Goal, QueuedSubmission, Thread, Turn } from "./frames.ts";
import { threadOf } from "./handle.ts";
import type { Link, Wish } from "./link.ts";
import { join, type JoinOptions } from "./joining.ts";
import { keptRetry } from "./kept_retry.ts";
import { napUntilHeard } from "./nap.ts";
import { pages } from "./pages.ts";
import type { Connection } from "./rpc.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";

/** Turns that a look at the present needs. */
const RECENT_TURNS = 3;
const PAGE_TURNS = 50;
/** Between the answer to `thread/resume` and the open requests that come again (measured: up to 15 ms). */
const REQUEST_LAG_MS = 1_000;
/** A reading that was broken off is done anew; a server that dies each time is given up. */
const READ_ATTEMPTS = 3;
const SETTLE_POLL_MS = 50;
const WAITING_FLAGS: ReadonlySet<string> = new Set(["waitingOnApproval", "waitingOnUserInput"]);

export interface GatherOptions {
  /** `start`: a server is started when none runs. */
  readonly wish: Wish;
  /** All turns since this message went in; null: the newest ones. */
  readonly since?: CodexAnchor | null;
  /** `full`: the turn of that message with all that was said in it. */
  readonly items?: "full";
  /** False: what may be a moment's flicker is taken as it is. */
  readonly settle?: boolean;
  readonly signal?: AbortSignal;
}

export class SessionThread {
  readonly id: string;
  readonly follower: Follower;

  constructor(
    readonly deps: Deps,
    readonly link: Link,
    readonly session: Session,
    /** Where this session's retries are kept for other commands. */
    readonly retryFile: string,
  ) {
    this.id = threadOf(session);
    this.follower = link.follower(this.id);
  }

  /** Whether this row says the same of it. */
  isOf({ handle, lastSend, launch }: Session): boolean {
    const mine = this.session;
    return mine.lastSend?.receipt === lastSend?.receipt &&
      JSON.stringify([mine.handle, mine.launch]) === JSON.stringify([handle, launch]);
  }

  /** What is known now; asks only, and looks twice at what may be a flicker. Never throws for a server's sake. */
  async gather(options: GatherOptions): Promise<CodexEvidence> {
    const { clock } = this.deps;
    let deadline = clock.monotonic() + SETTLE_MS;
    let newest: string | undefined;
    for (;;) {
      const { heard } = this.follower;
      const evidence = await this.#gatherOnce(options);
      // Another turn's flicker is another one: the turns of a goal follow each other without a pause.
      const seen = evidence.turns.at(-1)?.id;
      if (seen !== newest) [newest, deadline] = [seen, clock.monotonic() + SETTLE_MS];
      if (options.settle === false || evidence.server !== "up") return evidence;
      const { since = null } = options;
      // A wait for one message needs no word on what the thread does behind it.
      const isFlicker = needsSecondLook(evidence, since ?? evidence.sent ?? null) ||
        (since === null && isWindingDown(evidence));
      if (!isFlicker) return evidence;
      if (clock.monotonic() >= deadline) return { ...evidence, settled: true };
      await napUntilHeard(this.follower, heard, {
        ms: SETTLE_POLL_MS,
        clock,
        ...callOptions(options.signal),
      });
      options.signal?.throwIfAborted();
    }
  }

  async #gatherOnce(options: GatherOptions): Promise<CodexEvidence> {
    const at = this.deps.clock.now();
    for (let attempt = 1;; attempt++) {
      let connection: Connection;
      try {
        const server = await this.#server(options);
        if (server === null) return nothing(at, "down");
        connection = server;
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof AppError)) throw error;
        return nothing(at, "unknown");
      }
      try {
        return await this.#look(connection, at, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof ConnectionLost && attempt < READ_ATTEMPTS) continue;
        if (isServersFault(error)) return nothing(at, "unknown");
        throw error;
      }
    }
  }

  /** As `gather()`, where a session that can't be reached is an error. @throws AppError. */
  async gatherOrFail(action: string, options: Omit<GatherOptions, "wish">): Promise<CodexEvidence> {
    const evidence = await this.gather({ ...options, wish: "start" });
    const isThere = evidence.thread !== null && !isArchived(evidence.thread);
    if (evidence.server === "up" && isThere) return evidence;
    // Says why.
    if (evidence.server !== "up") await this.link.connection(options.signal);
    throw new AppError(
      evidence.server === "up" ? "agent_gone" : "not_delivered",
      evidence.server === "up"
        ? `Cannot ${action} "${this.session.id}": its thread is ${
          evidence.thread === null ? "gone" : "archived"
        }. Bring it back with: dev-sessions resume ${this.session.id}`
        : `Cannot ${action} "${this.session.id}": the Codex server does not tell of its thread. ` +
          `Look with: dev-sessions status ${this.session.id} --explain`,
    );
  }

  /**
   * Makes turns, items and requests come to this process. False where the thread is not loaded and was not to be.
   * @throws RpcError, ConnectionLost.
   */
  async subscribe(
    connection: Connection,
    { load = true, signal }: Partial<JoinOptions> = {},
  ): Promise<boolean> {
    const { follower, session, id: threadId } = this;
    if (follower.subscribed) return true;
    const { clock } = this.deps;
    const items = await join({ connection, session, threadId, follower, clock }, {
      load,
      ...callOptions(signal),
    });
    if (items === null) return false;
    follower.subscribed = true;
    items.forEach((item) => follower.know(item));
    return true;
  }

  get #sent(): CodexAnchor | null {
    return codexAnchorOf(this.session.lastSend?.anchor ?? null);
  }

  /** Null when it is proven that no server runs. */
  async #server({ wish, signal }: GatherOptions): Promise<Connection | null> {
    if (wish === "find") return (await this.link.server("find", signal))?.connection ?? null;
    try {
      return await this.link.connection(signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      // None could be started: that none runs is known all the same.
      if (this.link.startFailure === error) return null;
      throw error;
    }
  }

  async #look(connection: Connection, at: number, options: GatherOptions): Promise<CodexEvidence> {
    const call = callOptions(options.signal);
    const [thread, goal, queued, turns] = await Promise.all([
      connection.call("thread/read", { threadId: this.id }, call).then(
        ({ thread }): Thread | null => thread,
        unlessUnknown<Thread | null>(null),
      ),
      connection.call("thread/goal/get", { threadId: this.id }, call).then(
        ({ goal }): Goal | null => goal,
        unlessUnknown<Goal | null>(null),
      ),
      connection.call("thread/queue/list", { threadId: this.id }, call).then(
        ({ data }): readonly QueuedSubmission[] => data,
        unlessUnknown<readonly QueuedSubmission[]>([]),
      ),
      this.#turns(connection, options, call).catch(unlessUnknown<readonly Turn[]>([])),
    ]);
    if (isWaiting(thread)) await this.#hearRequests(connection, options.signal);
    const requests = isWaiting(thread) ? this.follower.requests : [];
    const retrying = this.#retrying(turns);
    return { at, server: "up", thread, turns, goal, requests, queued, retrying, sent: this.#sent };
  }

  /** Oldest first. */
  async #turns(connection: Connection, options: GatherOptions, call: CallOptions): Promise<readonly Turn[]> {
    const { since = null, items = "summary" } = options;
    const turns: Turn[] = [];
    const asked = { threadId: this.id, sortDirection: "desc", itemsView: "summary" } as const;
    const listed = pages("thread/turns/list", (cursor) => {
      const limit = cursor === null ? RECENT_TURNS : PAGE_TURNS;
      return connection.call("thread/turns/list", { ...asked, limit, cursor }, call);
    });
    for await (const page of listed) {
      turns.push(...page);
      if (since === null || page.some(({ id }) => id === since.afterTurn)) break;
    }
    const wanted = since ?? this.#sent;
    const before = wanted === null ? -1 : turns.findIndex(({ id }) => id === wanted.afterTurn);
    if (wanted === null || (since === null && before === -1)) return turns.reverse();
    const after = since === null || before === -1 ? turns : turns.slice(0, before + 1);
    const isThere = after.some((turn) => hasClientId(turn, wanted.clientId));
    if (isThere && items === "summary") return after.reverse();
    // A message that went into a running turn stands among all of its items only.
    const full = await Promise.all(after.map((turn) => this.withItems(connection, turn, call)));
    return full.reverse();
  }

  /** With all of its items. */
  async withItems(connection: Connection, turn: Turn, call: CallOptions = {}): Promise<Turn> {
    const items: Turn["items"] = [];
    const asked = { threadId: this.id, turnId: turn.id, sortDirection: "asc" } as const;
    const listed = pages(
      "thread/items/list",
      (cursor) => connection.call("thread/items/list", { ...asked, cursor }, call),
    );
    for await (const page of listed) items.push(...page.map(({ item }) => item));
    return { ...turn, items };
  }

  /** Open requests come again to whoever subscribes. */
  async #hearRequests(connection: Connection, signal?: AbortSignal): Promise<void> {
    await this.subscribe(connection, callOptions(signal));
    const { clock } = this.deps;
    const deadline = clock.monotonic() + REQUEST_LAG_MS;
    while (this.follower.requests.length === 0 && clock.monotonic() < deadline) {
      const { heard } = this.follower;
      const ms = deadline - clock.monotonic();
      await napUntilHeard(this.follower, heard, { ms, clock, ...callOptions(signal) });
      signal?.throwIfAborted();
    }
  }

  #retrying(turns: readonly Turn[]): Retrying | null {
    const running = turns.at(-1);
    if (running?.status !== "inProgress") return null;
    return this.follower.retrying(running.id) ?? keptRetry(this.retryFile, running.id);
  }
}

type CallOptions = { readonly signal?: AbortSignal };

const callOptions = (signal: AbortSignal | undefined): CallOptions => signal === undefined ? {} : { signal };

function nothing(at: number, server: "down" | "unknown"): CodexEvidence {
  return { at, server, thread: null, turns: [], goal: null, requests: [], queued: [], retrying: null };
}

/** What the server refuses to tell of a thread that it does not have, or that is archived. */
function unlessUnknown<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof RpcError && isNoSuchThread(error)) return otherwise;
    throw error;
  };
}

/** Measured: `thread not loaded`, `thread not found` and `no rollout found` all say so; an archived one has no goal. */
export function isNoSuchThread({ message }: RpcError): boolean {
  return /thread not (loaded|found)|no (archived )?rollout found|is archived/.test(message);
}

function isWaiting(thread: Thread | null): boolean {
  return thread?.status.type === "active" &&
    thread.status.activeFlags.some((flag) => WAITING_FLAGS.has(flag));
}

export function isServersFault(error: unknown): boolean {
  return [ConnectionLost, NoAnswer, RpcError, UnexpectedFrame].some((kind) => error instanceof kind);
}
