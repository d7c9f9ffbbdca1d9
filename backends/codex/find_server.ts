/** The app-server that runs already: whoever has started it, only when it may be trusted, and only when it answers. */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import { codexHomeFolder, controlSocket, type ServerPaths, serverPaths } from "../../lib/paths.ts";
import {
  configuredEndpoint,
  describeEndpoint,
  type Endpoint,
  TOKEN_NAME,
  trustedSocket,
  URL_NAME,
} from "./endpoint.ts";
import { readMetadata } from "./metadata.ts";
import { CONNECT_TIMEOUT_MS, type Connection, openConnection } from "./rpc.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";
import { boundLog, isLogFull } from "./server_log.ts";
import { isTooOld, MINIMUM_VERSION } from "./version.ts";

export interface ServerOptions {
  readonly deps: Deps;
  readonly signal: AbortSignal;
  /** Absolute; default: what the environment says. A session's own is stored with it. */
  readonly codexHome?: string;
  /** Default: CONNECT_TIMEOUT_MS. */
  readonly connectTimeoutMs?: number;
  /** Default: 20 s. */
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
 * A connection to a server that runs; null when it is proven that none does. Starts nothing.
 * @throws AppError when one may be there but can't be reached, trusted or used; the signal's reason.
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
export function codexHomeOf({ deps, codexHome }: ServerOptions): string {
  const path = codexHome ?? codexHomeFolder(deps.env, deps.cwd);
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

/** On the default socket of a CODEX_HOME; null when nobody listens there. @throws AppError as `findServer()`. */
export async function openDefault(codexHome: string, options: ServerOptions): Promise<CodexServer | null> {
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
  if (legacy === null) return null;
  const { legacyEndpoint } = await import("./legacy_server.ts");
  const endpoint = await legacyEndpoint(legacy, options.deps);
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
  const attempt = () => openConnection(endpoint, { clock, timeoutMs, signal });
  let connection: Connection;
  try {
    // One that is just ending may take a connection and drop it; asking again does no harm.
    connection = await attempt().catch((error) => isDropped(error) ? attempt() : Promise.reject(error));
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

function isDropped(error: unknown): boolean {
  return error instanceof ConnectionLost && (error.loss === "closed" || error.loss === "failed");
}

/** Of whatever has gone wrong on the way to a server, or with its first answers. */
export function unreachable(endpoint: Endpoint, error: unknown): AppError {
  const where = `the Codex server at ${describeEndpoint(endpoint)}`;
  const cannot = (code: "transport" | "refused" | "failure", why: string) =>
    new AppError(code, `Cannot reach ${where}: ${why}`, null, { cause: error });
  if (error instanceof RpcError) return cannot("failure", `it refuses us: ${error.message}`);
  if (error instanceof NoAnswer) {
    return cannot("transport", `it is there but does not answer (${error.message}). Is its process stopped?`);
  }
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

/** Somebody who starts or stops a server right now bounds it as well. */
async function relieveLog(paths: ServerPaths, { deps: { clock }, signal }: ServerOptions): Promise<void> {
  using lock = await acquireLock(paths.lock, { timeoutMs: 0, clock, signal });
  if (lock !== null) await boundLog(paths.log);
}
