/** Ends an app-server only when it is proven to be ours and of no use to anybody else. */

import { AppError, messageOf } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import { serverPaths } from "../../lib/paths.ts";
import { URL_NAME } from "./endpoint.ts";
import { codexHomeOf, openDefault, type ServerOptions } from "./find_server.ts";
import { readMetadata, withServer, writeMetadata } from "./metadata.ts";
import { pages } from "./pages.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "./rpc_errors.ts";
import { endProcess, LOCK_TIMEOUT_MS } from "./start_server.ts";

/** Measured: an idle server ends within 10 ms of SIGTERM. */
const STOP_TIMEOUT_MS = 3_000;
const STOP_POLL_MS = 5;

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
  const loaded = pages(
    "thread/loaded/list",
    (cursor) => connection.call("thread/loaded/list", { cursor }, { signal }),
  );
  for await (const page of loaded) foreign.push(...page.filter((thread) => !ours.has(thread)));
  return foreign;
}
