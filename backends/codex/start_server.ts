/** Starts an app-server, once for however many processes want it; never beside one of ours that lives. */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import { isThere } from "../../lib/files.ts";
import { codexHomeFolder, controlSocket, serverPaths } from "../../lib/paths.ts";
import { serverEnvironment } from "./environment.ts";
import {
  codexHomeOf,
  type CodexServer,
  findServer,
  openDefault,
  type ServerOptions,
  unreachable,
} from "./find_server.ts";
import { launchDetached } from "./launch.ts";
import { locateCodex } from "./locate.ts";
import {
  type Metadata,
  readMetadataToWrite,
  type StartedServer,
  withServer,
  writeMetadata,
} from "./metadata.ts";
import { CONNECT_TIMEOUT_MS } from "./rpc.ts";
import { logTail } from "./server_log.ts";

/** Measured: 0.2 s, on a busy machine with cold files 7 s. */
const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 5;
const PS_TIMEOUT_MS = 5_000;
/** Of those who wait for another process' start. */
export const LOCK_TIMEOUT_MS = START_TIMEOUT_MS + CONNECT_TIMEOUT_MS;

/** @throws AppError as `connectServer()`. */
export async function startServer(options: ServerOptions): Promise<CodexServer> {
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
  const metadata = await readMetadataToWrite(paths.metadata);
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
  const record = async (pid: number, version: string | null) => {
    const process = await deps.identify(pid);
    const started: StartedServer | null = process && {
      codexHome,
      socket: controlSocket(codexHome),
      process,
      version,
      startedBy: `dev-sessions (process ${Deno.pid})`,
      startedAt: new Date(deps.clock.now()).toISOString(),
    };
    await write(paths.metadata, withServer(metadata, codexHome, started));
  };
  /** Ours ends by itself when somebody else's has come first. */
  const forget = () => write(paths.metadata, withServer(metadata, codexHome, null));
  let isRecorded = false;
  try {
    await record(launched.pid, null);
    isRecorded = true;
    const server = await untilItAnswers(codexHome, () => Promise.resolve(hasEnded), options);
    if (server !== null) {
      return await orClosed(server, async () => {
        const pid = await processOf(server, signal);
        const isOurs = pid === launched.pid || await parentOf(pid, deps) === launched.pid;
        if (isOurs) await record(pid, server.connection.version);
        else await forget();
        return isOurs ? { ...server, origin: "started" } : server;
      });
    }
    if (hasEnded) await forget();
  } catch (error) {
    // Too old, or not to be trusted: nobody else could use it either. Not on record: nobody would ever end it.
    const isUseless = !isRecorded || (error instanceof AppError && error.code !== "transport");
    if (isUseless && !hasEnded) endProcess(launched.pid);
    throw error;
  }
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

/** @throws AppError. */
async function write(path: string, content: Metadata): Promise<void> {
  try {
    await writeMetadata(path, content);
  } catch (error) {
    throw new AppError(
      "failure",
      `Cannot start the Codex server: "${path}" can't be written: ${messageOf(error)}. ` +
        "Check that the disk has room and that the folder is yours",
      null,
      { cause: error },
    );
  }
}

/** Nobody else closes the connection to a server that is not handed on. */
async function orClosed(server: CodexServer, settle: () => Promise<CodexServer>): Promise<CodexServer> {
  try {
    return await settle();
  } catch (error) {
    await server.connection.close();
    throw error;
  }
}

/** @throws AppError; the signal's reason. */
async function processOf({ connection, endpoint }: CodexServer, signal: AbortSignal): Promise<number> {
  try {
    return (await connection.call("server/diagnostics", {}, { signal })).process.id;
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(endpoint, error);
  }
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
    const isNone = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    if (!isNone) throw error;
  }
  throw new AppError(
    "failure",
    `Cannot start the Codex server: CODEX_HOME "${codexHome}" is not a folder. ` +
      (isThere(codexHome) ? "Unset CODEX_HOME, or set it to a folder" : `Create it with: mkdir ${codexHome}`),
  );
}

/** A server that can't be seen from here (another container's) does not listen here either, and is none of ours. */
async function isAlive(server: StartedServer, deps: Deps): Promise<boolean> {
  return (await deps.processStates([server.process]))[0] === "alive";
}

/** Of a wrapper that stays as the parent of the program. Null when that can't be told. */
async function parentOf(pid: number, deps: Deps): Promise<number | null> {
  const result = await deps.run("ps", ["-o", "ppid=", "-p", String(pid)], {
    env: { ...deps.env },
    timeoutMs: PS_TIMEOUT_MS,
  });
  return result.kind === "exited" && result.code === 0 ? Number(result.stdout.trim()) : null;
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

/** Asks it to end; one that has ended is no error. */
export function endProcess(pid: number): void {
  try {
    Deno.kill(pid, "SIGTERM");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
