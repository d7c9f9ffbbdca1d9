/**
 * An app-server in a container of the session's own: started, found by its session's token, and reached through a socket
 * in a mounted folder. What the container puts there is a way to its own server or to none.
 */

import { assertUsableArguments, choosesUser, createArguments } from "../docker/arguments.ts";
import { Engine, engineEnvironment, type Label, TOKEN_LABEL } from "../docker/engine.ts";
import { gatewayAccess } from "../docker/gateway_access.ts";
import { removeLeft } from "../docker/leftovers.ts";
import { DETACH_KEYS, enginePlace, INSIDE, projectKey } from "../docker/names.ts";
import { assertMayBeMounted } from "../docker/workspace.ts";
import { readConfig } from "../../lib/config.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { registryIdOf } from "../../lib/open_registry.ts";
import { codexHomeFolder, type Paths, pathsFrom } from "../../lib/paths.ts";
import { AT, type CodexContainer } from "./container_handle.ts";
import type { CodexServer, ServerOptions } from "./find_server.ts";
import { CONNECT_TIMEOUT_MS, type Connection, openConnection } from "./rpc.ts";
import { ConnectionLost, RpcError, UnexpectedFrame } from "./rpc_errors.ts";
import { isTooOld, MINIMUM_VERSION } from "./version.ts";

/** Measured: 0.6 s from `docker start`, on a busy machine several times that. */
const START_TIMEOUT_MS = 30_000;
const START_POLL_MS = 25;
/** Linux: a file's place alone, without opening it. Node has no name for it. */
const O_PATH = 0x20_0000;

/** Of what a container may have put beside its socket. */
const SOCKET_ENTRIES = 32;

/** What a container is for. */
export interface Purpose {
  /** What it is found by. */
  readonly mark: Label;
  /** Whether what runs in it gets a way to the gateway. */
  readonly startsAgents: boolean;
}

type Contained = Pick<CodexContainer, "engine" | "token" | "socketFolder">;

/** @throws AppError that says what is missing: engine, image or credentials. */
export async function preflightCodexContainer(
  deps: Deps,
  paths: Paths,
  request: { readonly path: string; readonly worktree?: unknown; readonly sandbox?: string },
  isLive: (token: string) => boolean,
): Promise<void> {
  const action = "create a session in docker mode";
  if (request.worktree !== undefined && request.worktree !== null) {
    throw new AppError(
      "usage",
      `Cannot ${action} with --worktree: the repository that a worktree belongs to is not in the container. ` +
        "Leave it out, or use --mode yolo",
    );
  }
  if (request.sandbox !== undefined && request.sandbox !== "full") {
    throw new AppError(
      "usage",
      `Cannot ${action} with --sandbox ${request.sandbox}: Codex can't confine its commands within a container, ` +
        "which confines them already. Leave it out",
    );
  }
  assertMayBeMounted(Deno.realPathSync(request.path), paths.state, action);
  const place = enginePlace(deps.env);
  await assertCanStart(deps, paths, place, action);
  await removeLeft(deps, new Engine(deps, place), isLive);
}

async function assertCanStart(deps: Deps, paths: Paths, place: CodexContainer["engine"], action: string) {
  if (Deno.build.os !== "linux") {
    throw new AppError(
      "failure",
      `Cannot ${action}: sockets of Codex in a container can be reached on Linux only`,
    );
  }
  const { docker } = readConfig(paths.config);
  if (docker.image === null) {
    throw new AppError(
      "failure",
      `Cannot ${action}: no image is set. Set one that has Codex, in "${paths.config}": ` +
        '{"docker": {"image": "my-agents:latest"}}',
    );
  }
  assertUsableArguments(docker.args, paths.config);
  if (choosesUser(docker.args)) {
    throw new AppError(
      "failure",
      `Cannot ${action}: "docker.args" of "${paths.config}" says as whom containers run, but Codex' socket can be used ` +
        "by its owner alone. Leave --user out for Codex",
    );
  }
  await new Engine(deps, place).assertReady(docker.image, action);
  if (authFile(deps) === null && !docker.env.some((name) => deps.env[name])) {
    throw new AppError(
      "failure",
      `Cannot ${action}: Codex has no credentials for the container. Sign in on this machine with: codex login, or ` +
        `name the variable that has your key in "docker.env" of "${paths.config}", and set it`,
    );
  }
  return docker;
}

/**
 * A connection to its server; null when the engine says that its container does not run.
 * @throws AppError when it may run but can't be reached or used; the signal's reason.
 */
export async function findContained(
  container: Contained,
  options: ServerOptions,
): Promise<CodexServer | null> {
  const connection = await open(container, options);
  if (connection !== null) return serverOf(container, connection);
  switch (await runs(container, options.deps)) {
    case false:
      return null;
    case true:
      throw new AppError("transport", "Cannot reach Codex in its container: it runs but does not listen");
    case "unknown":
      throw new AppError(
        "transport",
        "Cannot reach Codex in its container: the engine does not tell whether it runs. See: docker version",
      );
  }
}

/** The session's own. @throws AppError with what the server said; the signal's reason. */
export async function startContained(
  container: CodexContainer,
  options: ServerOptions,
): Promise<CodexServer> {
  const { deps } = options;
  const engine = new Engine(deps, container.engine);
  // One that has ended, or was made by a command that was killed then.
  if (await engine.remove(container.token, { lookAgain: false }) === "unknown") {
    throw new AppError("transport", `Cannot ${actionOf(container)}: the engine does not answer`);
  }
  await removeLeft(deps, engine);
  return await startServer(container, { mark: [TOKEN_LABEL, container.token], startsAgents: true }, options);
}

/** @throws AppError with what the server said; the signal's reason. Its container is removed then, or found by its mark. */
export async function startServer(
  container: CodexContainer,
  purpose: Purpose,
  options: ServerOptions,
): Promise<CodexServer> {
  const { deps, signal } = options;
  const action = actionOf(container);
  const engine = new Engine(deps, container.engine);
  const args = await containerArguments(container, purpose, deps, action);
  const id = await engine.create(args, { env: deps.env, mark: purpose.mark, action });
  signal.throwIfAborted();
  await engine.start(id, action);
  const deadline = deps.clock.monotonic() + START_TIMEOUT_MS;
  while (deps.clock.monotonic() < deadline) {
    const connection = await open(container, options);
    if (connection !== null) return { ...serverOf(container, connection), origin: "started" };
    const { kind } = await engine.state(id);
    if (kind === "absent") {
      throw new AppError("failure", `Cannot ${action}: its container was removed meanwhile`);
    }
    if (kind !== "running") break;
    await deps.clock.sleep(START_POLL_MS, signal);
    signal.throwIfAborted();
  }
  const said = await engine.logs(id);
  await engine.removeOne(id);
  const help = "See whether the image has it: docker.codex of ~/.dev-sessions/config.json names it";
  throw new AppError("failure", `Cannot ${action}: it does not come to listen. ${help}`, said || null);
}

function actionOf({ sessionId }: CodexContainer): string {
  return `start Codex in a container for "${sessionId}"`;
}

/** Ends and removes the session's container. */
export function removeContained(
  deps: Deps,
  container: Contained,
  options: { readonly lookAgain: boolean },
): Promise<"gone" | "unknown"> {
  return new Engine(deps, container.engine).remove(container.token, options);
}

/** Codex's own terminal program, in the same container. @throws AppError when none runs. */
export async function attachContained(deps: Deps, container: CodexContainer, threadId: string) {
  const found = await new Engine(deps, container.engine).labelled([TOKEN_LABEL, container.token]);
  const [running] = found === "unknown" ? [] : found.filter((one) => one.running);
  if (running === undefined) {
    throw new AppError("agent_gone", `Cannot attach to "${container.sessionId}": its container does not run`);
  }
  return {
    command: "docker",
    args: [
      "exec",
      "--interactive",
      "--tty",
      DETACH_KEYS,
      "--env",
      "TERM=xterm-256color",
      running.id,
      container.program,
      "resume",
      threadId,
      "--remote",
      listenAddress(container),
    ],
    env: engineEnvironment(deps.env, container.engine),
  };
}

async function containerArguments(
  container: CodexContainer,
  { mark, startsAgents }: Purpose,
  deps: Deps,
  action: string,
): Promise<string[]> {
  const paths = pathsFrom(deps.env);
  const workspace = Deno.realPathSync(container.workspace);
  assertMayBeMounted(workspace, paths.state, action);
  const docker = await assertCanStart(deps, paths, container.engine, action);
  const home = `${paths.containers}/${projectKey(workspace)}/home`;
  const folder = container.socketFolder;
  for (const path of [container.codexHome, folder, home]) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  const auth = authFile(deps);
  const rootless = await new Engine(deps, container.engine).isRootless();
  const own = rootless ? "0:0" : `${Deno.uid()}:${Deno.gid()}`;
  return createArguments({
    name: container.name,
    mark,
    registry: registryIdOf(deps),
    sessionId: container.sessionId,
    workspace,
    config: docker,
    gateway: startsAgents
      ? await gatewayAccess(
        deps,
        paths,
        { id: container.sessionId, token: container.token, workspace },
        docker.gateway,
      )
      : null,
    user: own,
    terminal: false,
    mounts: [
      { source: container.codexHome, target: AT.codexHome },
      { source: folder, target: AT.socketFolder(rootless ? 0 : container.uid) },
      { source: home, target: INSIDE.home },
      ...(auth === null ? [] : [{
        source: auth,
        target: `${AT.codexHome}/auth.json`,
        readOnly: isKeyAlone(Deno.readTextFileSync(auth)),
      }]),
    ],
    env: { HOME: INSIDE.home, CODEX_HOME: AT.codexHome },
    envNames: docker.env.filter((name) => deps.env[name] !== undefined),
    command: [docker.codex, "app-server", "--listen", listenAddress({ uid: rootless ? 0 : container.uid })],
  });
}

function listenAddress({ uid }: Pick<CodexContainer, "uid">): string {
  return `unix://${AT.socketFolder(uid)}/${AT.link}`;
}

/** The user's own sign-in. */
function authFile(deps: Deps): string | null {
  const path = `${codexHomeFolder(deps.env, deps.cwd)}/auth.json`;
  try {
    const info = Deno.statSync(path);
    return info.isFile && info.size > 0 ? path : null;
  } catch {
    return null;
  }
}

/** A sign-in that nobody ever renews; every other one Codex itself has to write anew. Pure. */
export function isKeyAlone(auth: string): boolean {
  let json: unknown;
  try {
    json = JSON.parse(auth);
  } catch {
    return false;
  }
  if (typeof json !== "object" || json === null) return false;
  const { OPENAI_API_KEY: key, auth_mode: mode, ...others } = json as Record<string, unknown>;
  const isKey = typeof key === "string" && key !== "" && (mode ?? "apikey") === "apikey";
  return isKey && Object.values(others).every((value) => value === null);
}

async function runs({ engine, token }: Contained, deps: Deps): Promise<boolean | "unknown"> {
  const found = await new Engine(deps, engine).labelled([TOKEN_LABEL, token]);
  return found === "unknown" ? "unknown" : found.some(({ running }) => running);
}

function serverOf(container: Contained, connection: Connection): CodexServer {
  return { connection, endpoint: { kind: "unix", path: container.socketFolder }, origin: "found" };
}

/** Null when nobody listens there. @throws AppError when it can't be used; the signal's reason. */
async function open(
  container: Contained,
  { deps, signal, connectTimeoutMs }: ServerOptions,
): Promise<Connection | null> {
  const place = socketIn(container.socketFolder);
  if (place === null) return null;
  let connection: Connection;
  try {
    const timeoutMs = connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    connection = await openConnection({ kind: "unix", path: place.path }, {
      clock: deps.clock,
      timeoutMs,
      signal,
      place: "container",
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ConnectionLost && error.loss !== "timeout") return null;
    if (error instanceof ConnectionLost || error instanceof RpcError || error instanceof UnexpectedFrame) {
      throw new AppError("transport", `Cannot reach Codex in its container: ${error.message}`);
    }
    throw error;
  } finally {
    place.close();
  }
  if (!isTooOld(connection.version)) return connection;
  await connection.close();
  throw new AppError(
    "failure",
    `Cannot use Codex in its container: it is version ${connection.version}, and ${MINIMUM_VERSION} or newer is needed`,
  );
}

/**
 * The socket itself, whatever its name stands for a moment later: the container could put a link there to a socket of
 * this machine, e.g. of the user's own Codex, which would then do outside what is meant for the container.
 */
function socketIn(folder: string): { readonly path: string; close(): void } | null {
  let entries = 0;
  try {
    for (const { name, isSymlink } of Deno.readDirSync(folder)) {
      if (++entries > SOCKET_ENTRIES) return null;
      const place = isSymlink ? null : socketItself(`${folder}/${name}`);
      if (place !== null) return place;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return null;
}

function socketItself(path: string): { readonly path: string; close(): void } | null {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: "node:fs"): typeof import("node:fs") };
  };
  const fs = process.getBuiltinModule("node:fs");
  let descriptor: number;
  try {
    descriptor = fs.openSync(path, O_PATH | fs.constants.O_NOFOLLOW);
  } catch {
    return null;
  }
  const close = () => fs.closeSync(descriptor);
  if (fs.fstatSync(descriptor).isSocket()) return { path: `/proc/self/fd/${descriptor}`, close };
  close();
  return null;
}
