/**
 * One connection per process and server, opened when it is first needed and again when it has broken: nothing is asked
 * twice by itself, but whatever comes next finds a way. Several requests may wait for it; one that gives up leaves it to
 * the others.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { CodexContainer } from "./container_handle.ts";
import { type CodexServer, findServer, type ServerOptions } from "./find_server.ts";
import { Follower } from "./follower.ts";
import { type CodexHandle, depsOf } from "./handle.ts";
import type { ContainedReader } from "./reader_container.ts";
import type { Connection, Listener } from "./rpc.ts";
import { connectServer } from "./server.ts";

/** Whether a server may be started to answer, or only one that runs be asked. */
export type Wish = "start" | "find";

/** In docker mode: the session's own container, or one that reads what was said in it once it has ended. */
export type Use = "agent" | "reading";

/** Its own, and those of its sub-agents. */
const MAX_CONTAINED_THREADS = 32;

export class Link {
  readonly #deps: Deps;
  readonly #codexHome: string;
  readonly #container: CodexContainer | null;
  #mayStart = false;
  #reader: ContainedReader | null = null;
  readonly #followers = new Map<string, Follower>();
  #server: Opening | null = null;
  #hasStarted = false;
  /** Why none could be started: not tried again within one command. */
  #startFailure: AppError | null = null;

  constructor(
    deps: Deps,
    handle: Pick<CodexHandle, "codexHome" | "url" | "tokenFile" | "container">,
    private readonly use: Use,
  ) {
    this.#container = handle.container ?? null;
    this.#deps = depsOf(deps, handle);
    this.#codexHome = handle.codexHome;
  }

  /**
   * Null when it is proven that none runs (and none was to be started).
   * @throws AppError when it can't be reached, trusted, started or used; the signal's reason.
   */
  async server(wish: Wish, signal: AbortSignal = NEVER): Promise<CodexServer | null> {
    for (;;) {
      signal.throwIfAborted();
      const known = this.#server;
      if (known === null) break;
      // It ends with the word of those who have given it up, which is not for who comes later.
      if (known.isGivenUp) {
        await known.server.catch(() => {});
        if (this.#server !== known) continue;
      }
      const server = await known.wait(signal);
      if (server !== null || wish === "find") return server;
      // Whoever came first looked only.
      if (this.#server === known) this.#server = null;
    }
    if (wish === "start" && this.#startFailure !== null) throw this.#startFailure;
    const opening: Opening = new Opening((over) =>
      this.#open(wish, { deps: this.#deps, signal: over, codexHome: this.#codexHome }).then((server) => {
        if (server !== null) this.#attend(server.connection, opening);
        else if (this.#server === opening) this.#server = null;
        return server;
      }, (error) => {
        if (this.#server === opening) this.#server = null;
        throw error;
      })
    );
    this.#server = opening;
    return await opening.wait(signal);
  }

  forgetStartFailure(): void {
    this.#startFailure = null;
  }

  /** Why none runs, and none could be started by this command; null while neither is known. */
  get startFailure(): AppError | null {
    return this.#startFailure;
  }

  /** A session's container dies with its agent: only who begins or resumes the session may start one. */
  async whileStarting<T>(begin: () => Promise<T>): Promise<T> {
    this.#mayStart = true;
    try {
      return await begin();
    } finally {
      this.#mayStart = false;
    }
  }

  async #openContained(
    container: CodexContainer,
    wish: Wish,
    options: ServerOptions,
  ): Promise<CodexServer | null> {
    if (this.use === "reading") return wish === "find" ? null : await this.#openReader(container, options);
    const { findContained, startContained } = await import("./container.ts");
    const found = await findContained(container, options);
    if (found !== null || wish === "find") return found;
    try {
      if (!this.#mayStart) {
        const { sessionId } = container;
        throw new AppError(
          "agent_gone",
          `Cannot reach "${sessionId}": its container is gone. Bring it back with: dev-sessions resume ${sessionId}`,
        );
      }
      return await startContained(container, options);
    } catch (error) {
      if (error instanceof AppError && error.code !== "transport") this.#startFailure = error;
      throw error;
    }
  }

  async #openReader(container: CodexContainer, options: ServerOptions): Promise<CodexServer> {
    const { startReader } = await import("./reader_container.ts");
    // One whose connection has broken.
    await this.closeReader();
    try {
      this.#reader = await startReader(container, options);
      return this.#reader.server;
    } catch (error) {
      if (error instanceof AppError && error.code !== "transport") this.#startFailure = error;
      throw error;
    }
  }

  /** Removes the container that was started to read. */
  async closeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async #open(wish: Wish, options: ServerOptions): Promise<CodexServer | null> {
    if (this.#container !== null) return await this.#openContained(this.#container, wish, options);
    if (wish === "find") return await findServer(options);
    let isStarting = false;
    try {
      const server = await connectServer(options, () => isStarting = true);
      if (server.origin === "started") this.#hasStarted = true;
      return server;
    } catch (error) {
      // Not when one runs, or came up meanwhile, that can't be reached.
      if (isStarting && error instanceof AppError && error.code !== "transport") this.#startFailure = error;
      throw error;
    }
  }

  /** @throws AppError as `server()`. */
  async connection(signal: AbortSignal = NEVER): Promise<Connection> {
    const server = await this.server("start", signal);
    if (server === null) throw new AppError("transport", "Cannot reach the Codex server: it has just ended");
    return server.connection;
  }

  /** What this process hears of a thread, over all connections. */
  follower(threadId: string): Follower {
    let follower = this.#followers.get(threadId);
    if (follower === undefined) this.#followers.set(threadId, follower = new Follower());
    return follower;
  }

  async close(): Promise<void> {
    const server = await this.#server?.server.catch(() => null) ?? null;
    this.#server = null;
    await server?.connection.close();
  }

  /** Whether a server was started by this command. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }
  /** Those that this command had to do with. */
  get threads(): ReadonlySet<string> {
    return new Set(this.#followers.keys());
  }
  get options(): ServerOptions {
    return { deps: this.#deps, signal: NEVER, codexHome: this.#codexHome };
  }

  #attend(connection: Connection, opened: Opening): void {
    const listener = connection.listen();
    void this.#pump(listener).finally(() => {
      // Something came in a form that we don't know: what followed it was not heard.
      void connection.close();
      if (this.#server === opened) this.#server = null;
      for (const follower of this.#followers.values()) follower.lost();
    });
  }

  /** A server in a container may tell of any number of threads; its own one is followed by whoever asks for it. */
  #mayFollow(threadId: string): boolean {
    return this.#container === null || this.#followers.has(threadId) ||
      this.#followers.size < MAX_CONTAINED_THREADS;
  }

  async #pump(listener: Listener): Promise<void> {
    try {
      for await (const incoming of listener) {
        const threadId = threadOf(incoming);
        if (threadId === null || !this.#mayFollow(threadId)) continue;
        this.follower(threadId).hear(incoming, this.#deps.clock.now());
      }
    } catch {
      // The connection's end; whoever asks next opens another one.
    }
  }
}

const NEVER = new AbortController().signal;

/** A way to a server that is being opened; given up with the last of those that wait for it. */
class Opening {
  readonly #given = new AbortController();
  readonly server: Promise<CodexServer | null>;
  #waiting = 0;

  constructor(open: (signal: AbortSignal) => Promise<CodexServer | null>) {
    this.server = Promise.resolve().then(() => open(this.#given.signal));
  }

  get isGivenUp(): boolean {
    return this.#given.signal.aborted;
  }

  /** @throws what the opening throws; the signal's reason. */
  async wait(signal: AbortSignal): Promise<CodexServer | null> {
    this.#waiting++;
    const left = Promise.withResolvers<never>();
    const leave = () => {
      // The last one waits for the end of what it has begun.
      if (--this.#waiting === 0) this.#given.abort(signal.reason);
      else left.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([this.server, left.promise]);
    } finally {
      if (!signal.aborted) this.#waiting--;
      signal.removeEventListener("abort", leave);
    }
  }
}

function threadOf(incoming: Parameters<Follower["hear"]>[0]): string | null {
  const { params } = incoming.kind === "notification" ? incoming.notification : incoming.request;
  if (typeof params !== "object" || params === null) return null;
  if ("threadId" in params && typeof params.threadId === "string") return params.threadId;
  return null;
}
