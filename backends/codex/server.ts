/**
 * One app-server per CODEX_HOME: taken as it is when one answers, started once when none does, never two, never killed
 * unless it is proven to be ours and of no use to anybody else.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import {
  configuredEndpoint,
  describeEndpoint,
  type Endpoint,
  TOKEN_NAME,
  trustedSocket,
  URL_NAME,
} from "./endpoint.ts";
import { serverEnvironment } from "./environment.ts";
import { boundLog, isLogFull, launchDetached, logTail } from "./launch.ts";
import { legacyEndpoint } from "./legacy_server.ts";
import { locateCodex } from "./locate.ts";
import { readMetadata, type StartedServer, withServer, writeMetadata } from "./metadata.ts";
import { codexHomeFolder, controlSocket, type ServerPaths, serverPaths } from "./paths.ts";
import { CONNECT_TIMEOUT_MS, type Connection, openConnection } from "./rpc.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";
import { isTooOld, MINIMUM_VERSION } from "./version.ts";

/** Measured: 0.2 s, on a busy machine with cold files 3 s. */
const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 5;
/** Of those who wait for another process' start. */
const LOCK_TIMEOUT_MS = START_TIMEOUT_MS + CONNECT_TIMEOUT_MS;
/** Measured: an idle server ends within 10 ms of SIGTERM. */
const STOP_TIMEOUT_MS = 3_000;
const STOP_POLL_MS = 5;

export interface ServerOptions {
  readonly deps: Deps;
  readonly signal: AbortSignal;
  /** Absolute; default: what the environment says. A session's own is stored with it. */
  readonly codexHome?: string;
  /** Default: CONNECT_TIMEOUT_MS. */
  readonly connectTimeoutMs?: number;
  /** Default: START_TIMEOUT_MS. */
  readonly startTimeoutMs?: number;
}

/** A server that answers, speaks a version that we know, and serves this CODEX_HOME. */
export interface CodexServer {
  /** The caller closes it. */
  readonly connection: Connection;
  /** For `codex resume --remote`. */
  readonly endpoint: Endpoint;
  /** `configured`: named by DEV_SESSIONS_CODEX_URL, not on the default socket of a CODEX_HOME. */
  readonly origin: "configured" | "found" | "started";
}

/**
 * A connection to the server, which is started when there is none.
 * @throws AppError when it can't be reached, trusted, started, or is too old; the signal's reason.
 */
export async function connectServer(options: ServerOptions): Promise<CodexServer> {
  return await findServer(options) ?? await startServer(options);
}

/**
 * A connection to a server that runs; null when it is proven that none does. Starts nothing.
 * @throws AppError as `connectServer()`: whether a server runs is then not known.
 */
export async function findServer(options: ServerOptions): Promise<CodexServer | null> {
  const { deps, signal } = options;
  signal.throwIfAborted();
  const configured = await configuredEndpoint(deps.env);
  if (configured !== null) return await openConfigured(configured, options);
  const codexHome = codexHomeOf(options);
  const found = await openDefault(codexHome, options);
  const paths = serverPaths(deps.env);
  if (found === null) return await openLegacy(codexHome, paths, options);
  if (isLogFull(paths.log)) await relieveLog(paths, options);
  return found;
}

/** The same name for the same folder, also before it exists. */
function codexHomeOf({ deps, codexHome }: ServerOptions): string {
  const path = codexHome ?? codexHomeFolder(deps.env, deps.cwd());
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

async function openConfigured(configured: Endpoint, options: ServerOptions): Promise<CodexServer> {
  const endpoint = configured.kind === "unix" ? trustedSocket(configured.path, Deno.uid()) : configured;
  const connection = endpoint === null ? null : await open(endpoint, null, options);
  if (endpoint !== null && connection !== null) return { connection, endpoint, origin: "configured" };
  throw new AppError(
    "transport",
    `Cannot reach the Codex server of ${URL_NAME} (${
      describeEndpoint(configured)
    }): nothing listens there. ` +
      `Start it, or unset ${URL_NAME}`,
  );
}

async function openDefault(codexHome: string, options: ServerOptions): Promise<CodexServer | null> {
  const endpoint = trustedSocket(controlSocket(codexHome), Deno.uid());
  if (endpoint === null) return null;
  const connection = await open(endpoint, codexHome, options);
  return connection === null ? null : { connection, endpoint, origin: "found" };
}

/** A server of 0.4.4 listens on a port instead. Beside it, a second one could not write its threads. */
async function openLegacy(
  codexHome: string,
  paths: ServerPaths,
  options: ServerOptions,
): Promise<CodexServer | null> {
  const { legacy } = await readMetadata(paths.metadata);
  const endpoint = legacy === null ? null : await legacyEndpoint(legacy, options.deps);
  if (endpoint === null) return null;
  const connection = await open(endpoint, null, options);
  if (connection === null) return null;
  if (isSameFolder(connection.codexHome, codexHome)) return { connection, endpoint, origin: "found" };
  await connection.close();
  return null;
}

/** Null when nobody listens there. `codexHome`: what it must serve; null: anything. */
async function open(
  endpoint: Endpoint,
  codexHome: string | null,
  options: ServerOptions,
): Promise<Connection | null> {
  const { deps: { clock }, signal, connectTimeoutMs: timeoutMs = CONNECT_TIMEOUT_MS } = options;
  let connection: Connection;
  try {
    connection = await openConnection(endpoint, { clock, timeoutMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ConnectionLost && error.loss === "absent") return null;
    throw unreachable(endpoint, error);
  }
  const why = isTooOld(connection.version)
    ? `it is version ${connection.version}, and ${MINIMUM_VERSION} or newer is needed. ` +
      "Update Codex with: npm install -g @openai/codex@latest, then end the old server"
    : codexHome !== null && !isSameFolder(connection.codexHome, codexHome)
    ? `it serves "${connection.codexHome}" instead of "${codexHome}"`
    : null;
  if (why === null) return connection;
  await connection.close();
  throw new AppError("failure", `Cannot use the Codex server at ${describeEndpoint(endpoint)}: ${why}`);
}

function unreachable(endpoint: Endpoint, error: unknown): AppError {
  const where = `the Codex server at ${describeEndpoint(endpoint)}`;
  const cannot = (code: "transport" | "refused" | "failure", why: string) =>
    new AppError(code, `Cannot reach ${where}: ${why}`, null, { cause: error });
  if (error instanceof RpcError) return cannot("failure", `it refuses us: ${error.message}`);
  if (error instanceof UnexpectedFrame) return cannot("failure", `${error.message}. Is it another version?`);
  if (!(error instanceof ConnectionLost)) return cannot("failure", messageOf(error));
  switch (error.loss) {
    case "timeout":
      return cannot("transport", `it is there but gives ${error.message}. Is its process stopped?`);
    case "rejected":
      return cannot("refused", `it refuses the connection (${error.message}). Check ${TOKEN_NAME}`);
    case "absent":
    case "failed":
    case "closed":
    case "garbled":
      return cannot("transport", error.message);
  }
}

function isSameFolder(one: string, other: string): boolean {
  try {
    return one === other || Deno.realPathSync(one) === Deno.realPathSync(other);
  } catch {
    return false;
  }
}

async function startServer(options: ServerOptions): Promise<CodexServer> {
  const { deps, signal } = options;
  const paths = serverPaths(deps.env);
  const codexHome = codexHomeOf(options);
  await Deno.mkdir(paths.state, { recursive: true, mode: 0o700 });
  using lock = await acquireLock(paths.lock, { timeoutMs: LOCK_TIMEOUT_MS, clock: deps.clock, signal });
  signal.throwIfAborted();
  if (lock === null) {
    throw new AppError(
      "timed_out",
      `Cannot start the Codex server: another process has been starting or stopping it for ${
        LOCK_TIMEOUT_MS / 1000
      } s. Its log is ${paths.log}`,
    );
  }
  const meanwhile = await findServer(options);
  if (meanwhile !== null) return meanwhile;
  // Its starter may have been killed, or its socket removed: beside it, a second one could not write its threads.
  const metadata = await readMetadata(paths.metadata);
  const earlier = metadata.servers.find((server) => server.codexHome === codexHome);
  const isEarlierOver = async () => earlier === undefined || !await isAlive(earlier, deps);
  if (!await isEarlierOver()) {
    const answering = await untilItAnswers(codexHome, isEarlierOver, options);
    if (answering !== null) return answering;
    if (earlier !== undefined && !await isEarlierOver()) {
      throw new AppError(
        "failure",
        `Cannot reach the Codex server: its process ${earlier.process.pid} runs but does not listen at ` +
          `"${controlSocket(codexHome)}". End it with: kill ${earlier.process.pid}`,
      );
    }
  }

  const program = locateCodex(deps.env);
  await ensureCodexHome(codexHome, deps);
  const launched = await launchDetached(program, ["app-server", "--listen", "unix://"], {
    env: serverEnvironment(deps.env, codexHome),
    log: paths.log,
  });
  let hasEnded = false;
  void launched.ended.then(() => hasEnded = true, () => hasEnded = true);
  const process = await deps.identify(launched.pid);
  const started: StartedServer | null = process === null ? null : {
    codexHome,
    socket: controlSocket(codexHome),
    process,
    version: null,
    startedBy: `dev-sessions (process ${Deno.pid})`,
    startedAt: new Date(deps.clock.now()).toISOString(),
  };
  await writeMetadata(paths.metadata, withServer(metadata, codexHome, started));
  try {
    const server = await untilItAnswers(codexHome, () => Promise.resolve(hasEnded), options) ??
      // It ends by itself when somebody else's server has come first.
      await findServer(options);
    if (server !== null) {
      if (started !== null) {
        const complete = { ...started, version: server.connection.version };
        await writeMetadata(paths.metadata, withServer(metadata, codexHome, complete));
      }
      return { ...server, origin: "started" };
    }
  } catch (error) {
    // Too old, or not to be trusted: nobody else could use it either.
    if (error instanceof AppError && error.code !== "transport" && !hasEnded) endProcess(launched.pid);
    throw error;
  }
  if (hasEnded) await writeMetadata(paths.metadata, withServer(metadata, codexHome, null));
  const said = await logTail(paths.log, launched.logStart);
  const why = hasEnded
    ? "it ended at once"
    : `it did not answer within ${(options.startTimeoutMs ?? START_TIMEOUT_MS) / 1000} s`;
  throw new AppError(
    "failure",
    `Cannot start the Codex server: ${why}. Its log is ${paths.log}`,
    said || null,
  );
}

/** Codex makes its usual folder, but never one that is named to it. */
async function ensureCodexHome(codexHome: string, deps: Deps): Promise<void> {
  if (codexHome === codexHomeFolder({ ...deps.env, CODEX_HOME: "" }, "/")) {
    await Deno.mkdir(codexHome, { recursive: true, mode: 0o700 });
    return;
  }
  try {
    if ((await Deno.stat(codexHome)).isDirectory) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new AppError(
    "failure",
    `Cannot start the Codex server: CODEX_HOME "${codexHome}" is not a folder. Create it with: mkdir ${codexHome}`,
  );
}

/** A server that can't be seen from here (another container's) does not listen here either, and is none of ours. */
async function isAlive(server: StartedServer, deps: Deps): Promise<boolean> {
  return (await deps.processStates([server.process]))[0] === "alive";
}

/** Null when it has ended or the time is up. @throws the signal's reason. */
async function untilItAnswers(
  codexHome: string,
  hasEnded: () => Promise<boolean>,
  options: ServerOptions,
): Promise<CodexServer | null> {
  const { deps: { clock }, signal, startTimeoutMs = START_TIMEOUT_MS } = options;
  const deadline = clock.monotonic() + startTimeoutMs;
  while (clock.monotonic() < deadline) {
    const over = await hasEnded();
    const server = await openDefault(codexHome, options);
    if (server !== null || over) return server;
    await clock.sleep(START_POLL_MS, signal);
    signal.throwIfAborted();
  }
  return null;
}

/** Somebody who starts or stops a server right now bounds it as well. */
async function relieveLog(paths: ServerPaths, { deps: { clock }, signal }: ServerOptions): Promise<void> {
  using lock = await acquireLock(paths.lock, { timeoutMs: 0, clock, signal });
  if (lock !== null) await boundLog(paths.log);
}

export type StopResult =
  | { readonly kind: "stopped" }
  /** SIGTERM has reached it, but it has not ended yet: it lets running turns end. */
  | { readonly kind: "stopping" }
  /** There is no server of ours. */
  | { readonly kind: "not_ours" }
  /** Somebody works with it: these threads are loaded. */
  | { readonly kind: "in_use"; readonly threads: readonly string[] }
  /** Nothing was done. */
  | { readonly kind: "unknown"; readonly why: string };

/**
 * Ends the server of this CODEX_HOME when it is proven to be the process that we started and no thread is loaded but
 * these (a person's Codex has its own loaded). Never throws for a server's sake.
 */
export async function stopIfOurs(
  options: ServerOptions,
  ourThreads: ReadonlySet<string>,
): Promise<StopResult> {
  const { deps, signal } = options;
  if (deps.env[URL_NAME]) return { kind: "not_ours" };
  const paths = serverPaths(deps.env);
  const codexHome = codexHomeOf(options);
  if ((await readMetadata(paths.metadata)).servers.length === 0) return { kind: "not_ours" };
  using lock = await acquireLock(paths.lock, { timeoutMs: LOCK_TIMEOUT_MS, clock: deps.clock, signal });
  if (lock === null) return { kind: "unknown", why: "another process is starting or stopping it" };
  const metadata = await readMetadata(paths.metadata);
  const server = metadata.servers.find((server) => server.codexHome === codexHome);
  if (server === undefined) return { kind: "not_ours" };
  const state = async () => (await deps.processStates([server.process]))[0];
  const forget = () => writeMetadata(paths.metadata, withServer(metadata, codexHome, null));
  switch (await state()) {
    case "alive":
      break;
    case "dead":
      await forget();
      return { kind: "not_ours" };
    case "unknown":
    case undefined:
      return { kind: "unknown", why: "it was started where its process can't be seen from here" };
  }
  let foreign: readonly string[] | null;
  try {
    foreign = await foreignThreads(codexHome, server.process.pid, ourThreads, options);
  } catch (error) {
    if (!isServersFault(error)) throw error;
    return { kind: "unknown", why: messageOf(error) };
  }
  if (foreign === null) return { kind: "not_ours" };
  if (foreign.length > 0) return { kind: "in_use", threads: foreign };
  endProcess(server.process.pid);
  const deadline = deps.clock.monotonic() + STOP_TIMEOUT_MS;
  while (await state() !== "dead") {
    if (deps.clock.monotonic() >= deadline || signal.aborted) return { kind: "stopping" };
    await deps.clock.sleep(STOP_POLL_MS, signal);
  }
  await forget();
  return { kind: "stopped" };
}

function isServersFault(error: unknown): boolean {
  return [AppError, ConnectionLost, NoAnswer, RpcError, UnexpectedFrame].some((kind) =>
    error instanceof kind
  );
}

/** Null when the server that answers is another process. */
async function foreignThreads(
  codexHome: string,
  pid: number,
  ours: ReadonlySet<string>,
  options: ServerOptions,
): Promise<string[] | null> {
  const found = await openDefault(codexHome, options);
  if (found === null) throw new AppError("transport", "it runs but does not listen");
  await using connection = found.connection;
  const { signal } = options;
  const answering = await connection.call("server/diagnostics", {}, { signal });
  if (answering.process.id !== pid) return null;
  const foreign: string[] = [];
  let cursor: string | null = null;
  do {
    const page: { data: string[]; nextCursor: string | null } = await connection.call(
      "thread/loaded/list",
      { cursor },
      { signal },
    );
    foreign.push(...page.data.filter((thread) => !ours.has(thread)));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return foreign;
}

function endProcess(pid: number): void {
  try {
    Deno.kill(pid, "SIGTERM");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
