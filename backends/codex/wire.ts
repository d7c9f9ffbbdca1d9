/** Opens the WebSocket to an app-server, over a unix socket or a port, and tells why it can't. */

import type { Clock } from "../../lib/deps.ts";
import type { Endpoint } from "./endpoint.ts";
import { ConnectionLost, type Loss } from "./rpc_errors.ts";

/** How long a server may take to say goodbye. */
export const CLOSE_TIMEOUT_MS = 500;

/** A WebSocket that is open; `client`: what carries it over a unix socket. */
export interface Wire {
  readonly socket: WebSocket;
  client: Deno.HttpClient | null;
}

/** @throws ConnectionLost when there is no way; the signal's reason. */
export async function openWire(
  endpoint: Endpoint,
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Wire> {
  const wire = startWire(endpoint);
  const { socket } = wire;
  const opened = Promise.withResolvers<string | null>();
  let why = "";
  socket.onopen = () => opened.resolve(null);
  socket.onerror = (event) => why = event instanceof ErrorEvent ? event.message : "";
  socket.onclose = () => opened.resolve(why || "the connection was closed");
  const result = await withDeadline(opened.promise, clock, timeoutMs, signal);
  if (result === null) {
    socket.onopen = null;
    // The close event says it all.
    socket.onerror = (event) => event.preventDefault();
    return wire;
  }
  if (result === LATE) {
    socket.close();
    await withDeadline(opened.promise, clock, CLOSE_TIMEOUT_MS);
  }
  wire.client?.close();
  signal.throwIfAborted();
  if (result === LATE) throw new ConnectionLost("timeout", `no answer within ${timeoutMs} ms`, false);
  const message = result.replace(/^NetworkError: failed to connect to WebSocket: /, "");
  throw new ConnectionLost(await whyNot(endpoint, message), message, false);
}

function startWire(endpoint: Endpoint): Wire {
  switch (endpoint.kind) {
    case "unix": {
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path: endpoint.path } });
      return { client, socket: new WebSocket("ws://localhost/", { client }) };
    }
    case "ws": {
      const headers = endpoint.token === null ? {} : { authorization: `Bearer ${endpoint.token}` };
      return { client: null, socket: new WebSocket(endpoint.url, { headers }) };
    }
  }
}

async function whyNot(endpoint: Endpoint, message: string): Promise<Loss> {
  // A look alone would come too late where a server has just begun to listen.
  if (NOBODY.test(message) || await isAbsent(endpoint)) return "absent";
  return /status code: 4/.test(message) ? "rejected" : "failed";
}

/** True only when nobody listens there. */
async function isAbsent(endpoint: Endpoint): Promise<boolean> {
  try {
    using _connection = endpoint.kind === "unix"
      ? await Deno.connect({ transport: "unix", path: endpoint.path })
      : await Deno.connect(addressOf(endpoint.url));
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused;
  }
}

function addressOf(url: string): { hostname: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || (protocol === "wss:" ? 443 : 80)),
  };
}

/** ENOENT, and ECONNREFUSED of Linux and macOS. */
const NOBODY = /\(os error (2|111|61)\)$/;
const LATE = Symbol("late");
type Late = typeof LATE;

/** `LATE` after the time, or when the signal aborts. */
export async function withDeadline<T>(
  promise: Promise<T>,
  clock: Clock,
  ms: number,
  signal?: AbortSignal,
): Promise<T | Late> {
  const over = new AbortController();
  const end = () => over.abort();
  signal?.addEventListener("abort", end);
  try {
    return await Promise.race<T | Late>([promise, clock.sleep(ms, over.signal).then((): Late => LATE)]);
  } finally {
    over.abort();
    signal?.removeEventListener("abort", end);
  }
}
