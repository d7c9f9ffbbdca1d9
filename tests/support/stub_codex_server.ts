/**
 * A stand-in for `codex`, for tests: `app-server --listen unix://|ws://127.0.0.1:PORT` speaks the app-server's protocol
 * on a real socket. What it says is in `stub_codex_threads.ts`. `STUB_CODEX` holds switches, separated by commas:
 * `version=0.1.0`, `refuse` (no `initialize`), `silent` (no answer at all), `garbled` (no JSON), `odd` (results of another
 * form), `slow=MS` (every answer), `lag=MS` (a turn that was started counts as running only then), `late=MS` (listens only then), `broken` (ends at once), `nosocket` (listens nowhere).
 * `deny=METHOD` (refused), `lose=METHOD` or `lose=METHOD@2` (its first or second request is carried out, and all connections
 * break instead of the answer), `hush=METHOD` (carried out, and answered once the gate of that name is opened).
 * Further requests, for tests: `stub/open {gate}`, `stub/drop`, `stub/unload {thread, how}` (at its next resume).
 */

import { StubThreads } from "./stub_codex_threads.ts";
import { type Frame, RpcFault, type StubClient } from "./stub_codex_wire.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Writes an executable `codex` into a folder of PATH. */
export async function writeStubCodex(folder: string): Promise<void> {
  const script = `#!/bin/sh
exec "${Deno.execPath()}" run -A --quiet --no-check --config "${CONFIG}" "${
    new URL(import.meta.url).pathname
  }" "$@"
`;
  await Deno.writeTextFile(`${folder}/codex`, script, { mode: 0o700 });
}

function switches(): Map<string, string> {
  const entries = (Deno.env.get("STUB_CODEX") ?? "").split(",").map((entry) => entry.split("="));
  return new Map(entries.map(([name = "", value = ""]) => [name, value]));
}

/** How often each method was asked for, on all connections. */
const asked = new Map<string, number>();

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function fail(message: string): never {
  Deno.stderr.writeSync(new TextEncoder().encode(`Error: ${message}\n`));
  Deno.exit(1);
}

/** Like the real one: a link in the control folder to a socket elsewhere. A dead one is replaced. */
async function listenByDefault(home: string): Promise<Deno.Listener> {
  const control = `${home}/app-server-control`;
  const link = `${control}/app-server-control.sock`;
  const socket = `${home}/stub/s`;
  for (const folder of [control, `${home}/stub`]) await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    (await Deno.connect({ transport: "unix", path: socket })).close();
    fail(`app-server control socket is already in use at ${link}`);
  } catch {
    // Nobody listens.
  }
  for (const path of [link, socket]) await Deno.remove(path).catch(() => {});
  const listener = Deno.listen({ transport: "unix", path: socket });
  await Deno.chmod(socket, 0o600);
  await Deno.symlink(socket, link);
  return listener;
}

async function main(args: readonly string[]): Promise<void> {
  const set = switches();
  const home = Deno.env.get("CODEX_HOME") ?? `${Deno.env.get("HOME")}/.codex`;
  if (args[0] === "--version") {
    return void Deno.stdout.writeSync(new TextEncoder().encode("codex-cli 0.169.0\n"));
  }
  if (args[0] !== "app-server" || set.has("broken")) fail(`stub: cannot ${args.join(" ")}`);
  const address = args[args.indexOf("--listen") + 1] ?? "";
  const tokenFile = args.includes("--ws-token-file") ? args[args.indexOf("--ws-token-file") + 1] : undefined;
  const token = tokenFile === undefined ? null : (await Deno.readTextFile(tokenFile)).trim();
  await sleep(Number(set.get("late") ?? 0));
  if (set.has("nosocket")) return await new Promise(() => setInterval(() => {}, 60_000));

  // Connections come in here and are passed on, so that they can be broken without a goodbye.
  const inner = `${home}/stub-${Deno.pid}.sock`;
  const connections = new Set<Deno.Conn>();
  const drop = () => {
    for (const connection of connections) connection.close();
    connections.clear();
  };
  const clients = new Set<StubClient>();
  const threads = new StubThreads(`${home}/stub-threads.json`, clients, drop, Number(set.get("lag") ?? 0));
  const handle = (request: Request): Response => {
    if (token !== null && request.headers.get("authorization") !== `Bearer ${token}`) {
      return new Response("missing websocket bearer token", { status: 401 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    serve(socket, set, home, clients, threads, drop);
    return response;
  };
  const server = Deno.serve({ path: inner, onListen: () => {} }, handle);
  const port = /^ws:\/\/127\.0\.0\.1:(\d+)$/.exec(address)?.[1];
  const listener = port === undefined
    ? await listenByDefault(home)
    : Deno.listen({ hostname: "127.0.0.1", port: Number(port) });
  if (listener.addr.transport === "tcp") {
    Deno.stdout.writeSync(new TextEncoder().encode(`listening on: ws://127.0.0.1:${listener.addr.port}\n`));
  }
  Deno.addSignalListener("SIGTERM", () => {
    const own = port === undefined
      ? [`${home}/app-server-control/app-server-control.sock`, `${home}/stub/s`]
      : [];
    for (const path of [inner, ...own]) {
      try {
        Deno.removeSync(path);
      } catch {
        // A test has removed it before.
      }
    }
    Deno.exit(0);
  });
  for await (const connection of listener) void pass(connection, inner, connections);
  await server.finished;
}

async function pass(outer: Deno.Conn, path: string, connections: Set<Deno.Conn>): Promise<void> {
  const inner = await Deno.connect({ transport: "unix", path });
  connections.add(outer).add(inner);
  await Promise.allSettled([
    outer.readable.pipeTo(inner.writable),
    inner.readable.pipeTo(outer.writable),
  ]);
  connections.delete(outer);
  connections.delete(inner);
}

function serve(
  socket: WebSocket,
  set: ReadonlyMap<string, string>,
  home: string,
  clients: Set<StubClient>,
  threads: StubThreads,
  drop: () => void,
): void {
  let ready = false;
  let optedOut: readonly string[] = [];
  const client: StubClient = {
    send: (frame) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
    },
    notify: (method, params) => {
      if (ready && !optedOut.includes(method)) client.send({ method, params, emittedAtMs: Date.now() });
    },
  };
  const call = (method: string, params: Record<string, unknown>): unknown => {
    if (method === "initialize") {
      if (set.has("refuse")) throw new RpcFault(-32600, "stub refuses");
      if (ready) throw new RpcFault(-32600, "Already initialized");
      ready = true;
      optedOut = (params["capabilities"] as { optOutNotificationMethods?: string[] })
        .optOutNotificationMethods ?? [];
      if (set.has("odd")) return { userAgent: 5 };
      return {
        userAgent: `stub/${set.get("version") ?? "0.169.0"} (Debian 12.0.0; x86_64) xterm (stub; 1)`,
        codexHome: Deno.realPathSync(home),
        platformFamily: "unix",
        platformOs: "linux",
      };
    }
    if (method === "stub/open") return threads.open(String(params["gate"]));
    if (method === "stub/unload") {
      const how = params["how"] === "closing" ? "closing" : "unloaded";
      return threads.unloadAtResume(String(params["thread"]), how);
    }
    if (method === "stub/drop") return drop();
    if (!ready) throw new RpcFault(-32600, "Not initialized");
    if (method === "server/diagnostics") return { process: { id: Deno.pid }, gauges: [] };
    return threads.call(method, params, client);
  };
  socket.onopen = () => void clients.add(client);
  socket.onclose = () => {
    clients.delete(client);
    threads.forget(client);
  };
  socket.onerror = (event) => event.preventDefault();
  socket.onmessage = async (event) => {
    if (set.has("silent")) return;
    if (set.has("garbled")) return socket.send("{");
    const { id, method, params = {}, result } = JSON.parse(event.data) as Frame;
    await sleep(Number(set.get("slow") ?? 0));
    if (method === undefined) return threads.answer(id, result);
    if (id === undefined) return;
    const times = (asked.get(method) ?? 0) + 1;
    asked.set(method, times);
    const [lost, which = "1"] = set.get("lose")?.split("@") ?? [];
    try {
      if (set.get("deny") === method) throw new RpcFault(-32600, `stub denies ${method}`);
      const result = call(method, params) ?? {};
      if (set.get("hush") === method) await threads.opened(method);
      if (lost === method && times === Number(which)) return drop();
      client.send({ id, result });
    } catch (error) {
      if (!(error instanceof RpcFault)) throw error;
      const { code, message, data } = error;
      client.send({ id, error: { code, message, ...(data === undefined ? {} : { data }) } });
    }
  };
}

if (import.meta.main) await main(Deno.args);
