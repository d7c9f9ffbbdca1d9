/**
 * Installs, removes and describes the gateway as a service of this user. An installation is reported only when the
 * gateway that was started answers with our version; otherwise everything is as it was before.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Paths } from "../../lib/paths.ts";
import { LOOPBACK } from "../bind.ts";
import { capturedEnvironment, hasControlCharacter, portIn, type ServiceSpec } from "./definition.ts";
import { LOG_LIMIT_BYTES } from "../log_file.ts";
import { askHealth, type Health } from "./health.ts";
import type { ServiceManager, ServiceState } from "./manager.ts";

export interface InstallRequest {
  readonly port: number;
  /** Further options of `gateway`, as it takes them. */
  readonly options: readonly string[];
  /** Names of variables that the gateway is to get beside the usual ones. */
  readonly env: readonly string[];
}

export interface Installed {
  readonly file: string;
  readonly port: number;
  /** Whether an earlier one was replaced. */
  readonly replaced: boolean;
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

export interface ServiceStatus extends ServiceState {
  /** Null: it is not installed. */
  readonly file: string | null;
  readonly port: number;
  /** What the gateway on that port says; null when nobody answers there. */
  readonly health: Health | null;
  readonly log: string;
}

export interface ServiceWorld {
  readonly deps: Deps;
  readonly paths: Paths;
  readonly manager: ServiceManager;
  /** Starts dev-sessions, see `selfCommand`. */
  readonly self: { readonly command: string; readonly args: readonly string[] };
  readonly version: string;
}

const HEALTHY_LIMIT_MS = 20_000;
const LOOK_PAUSE_MS = 100;
const LOG_LINES_SHOWN = 20;
const LOG_TAIL_BYTES = 16_384;

/** @throws AppError when it can't be had; then an earlier service is as it was. */
export async function installService(request: InstallRequest, world: ServiceWorld): Promise<Installed> {
  const { manager, paths } = world;
  const lack = await manager.lack();
  if (lack !== null) throw cannotInstall(lack);
  const spec = specOf(request, world);
  const before = await readOrNull(manager.file);
  const ran = (await manager.state()).state;
  const isOurs = before !== null && ran === "running" && portIn(before) === request.port;
  if (!isOurs) await assertPortFree(request.port);

  await prepareLog(paths.gatewayLog);
  const logBegin = await sizeOf(paths.gatewayLog);
  try {
    await writeAtomically(manager.file, manager.define(spec));
    await manager.start();
    await untilHealthy(request, world);
  } catch (error) {
    const log = await tail(paths.gatewayLog, logBegin);
    const undone = await undo(before, ran === "running", manager);
    throw cannotInstall(`${messageOf(error)}. ${undone}`, log);
  }
  await recordProgram(world);
  return {
    file: manager.file,
    port: request.port,
    replaced: before !== null,
    notes: await manager.notes(),
  };
}

/** @returns the definition that was removed; null when there was none. */
export async function uninstallService({ manager }: ServiceWorld): Promise<string | null> {
  const before = await readOrNull(manager.file);
  if (before === null) return null;
  if (await manager.lack() === null) await manager.stop();
  await Deno.remove(manager.file);
  if (await manager.lack() === null) await manager.forget();
  return manager.file;
}

/** @param usualPort where a gateway would listen that is no service. */
export async function serviceStatus(
  { manager, paths }: ServiceWorld,
  usualPort: number,
): Promise<ServiceStatus> {
  const definition = await readOrNull(manager.file);
  const port = (definition === null ? null : portIn(definition)) ?? usualPort;
  const known = await manager.lack() === null;
  const state: ServiceState = known
    ? await manager.state()
    : { state: definition === null ? "stopped" : "unknown", pid: null, since: null, end: null };
  return {
    ...state,
    file: definition === null ? null : manager.file,
    port,
    health: await askHealth(LOOPBACK, port),
    log: paths.gatewayLog,
  };
}

function specOf(
  { port, options, env: names }: InstallRequest,
  { deps, paths, self }: ServiceWorld,
): ServiceSpec {
  const { env, missing } = capturedEnvironment(deps.env, names, port);
  if (missing.length > 0) {
    throw cannotInstall(`the variable ${missing.join(", ")} is not set here. Set it, or leave --env out`);
  }
  const spec: ServiceSpec = { ...self, port, options, env, log: paths.gatewayLog };
  const texts = [spec.command, ...spec.args, ...options, spec.log, ...Object.entries(env).flat()];
  const unfit = texts.find(hasControlCharacter);
  if (unfit !== undefined) {
    throw cannotInstall(
      `${JSON.stringify(unfit)} has a line break or another control character. Change it, and try again`,
    );
  }
  return spec;
}

/** Another program on the port would answer in place of ours, or keep ours from starting. */
async function assertPortFree(port: number): Promise<void> {
  try {
    Deno.listen({ hostname: LOOPBACK, port }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) return;
    const health = await askHealth(LOOPBACK, port);
    const who = health === null
      ? "another program"
      : `a gateway${health.version === null ? "" : ` ${health.version}`}`;
    throw cannotInstall(
      `port ${port} is taken by ${who}. Stop it, or choose another port: dev-sessions gateway install --port ${
        port + 1
      }`,
    );
  }
}

async function untilHealthy(
  { port }: InstallRequest,
  { deps, manager, version }: ServiceWorld,
): Promise<void> {
  const { clock } = deps;
  const deadline = clock.monotonic() + HEALTHY_LIMIT_MS;
  for (;;) {
    const { state, end } = await manager.state();
    const health = state === "running" ? await askHealth(LOOPBACK, port) : null;
    if (health?.version === version) return;
    if (state === "failed" || (end !== null && (state === "stopped" || state === "starting"))) {
      throw new AppError(
        "failure",
        `the gateway was started, but ended at once (${end ?? "no exit code is known"})`,
      );
    }
    if (clock.monotonic() >= deadline) {
      const said = health === null
        ? "did not answer"
        : `answered with version ${health.version ?? "unknown"}, not ${version}`;
      throw new AppError(
        "failure",
        `the gateway was started, but ${said} within ${HEALTHY_LIMIT_MS / 1000} s`,
      );
    }
    await clock.sleep(LOOK_PAUSE_MS);
  }
}

/** @returns what is true now, as a sentence. */
async function undo(before: string | null, ran: boolean, manager: ServiceManager): Promise<string> {
  try {
    if (before === null) {
      await manager.stop();
      await removeIfThere(manager.file);
      await manager.forget();
      return "Nothing of it was left";
    }
    await writeAtomically(manager.file, before);
    if (ran) await manager.start();
    else await manager.stop();
    return ran ? "The earlier service runs again" : "The earlier definition is there again";
  } catch (error) {
    return `It could not be undone (${messageOf(error)}): look at ${manager.file}`;
  }
}

/** So that what runs finds the program again after it was replaced. */
async function recordProgram({ paths, self }: ServiceWorld): Promise<void> {
  if (self.args.length > 0) return;
  await writeAtomically(paths.executable, `${self.command}\n`);
}

async function prepareLog(path: string): Promise<void> {
  try {
    await Deno.mkdir(parentOf(path), { recursive: true, mode: 0o700 });
    if (await sizeOf(path) > LOG_LIMIT_BYTES) await Deno.rename(path, `${path}.1`);
    // Made here, since a service manager would make it readable for all.
    (await Deno.open(path, { create: true, append: true, mode: 0o600 })).close();
  } catch (error) {
    throw cannotInstall(
      `its log can't be written (${messageOf(error)}). Make ${parentOf(path)} your own again`,
    );
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** The last lines that came after a position; null when there are none. */
async function tail(path: string, from: number): Promise<string | null> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    // Shorter than before: what it held was set aside.
    const begin = Math.max(size < from ? 0 : from, size - LOG_TAIL_BYTES);
    await file.seek(begin, Deno.SeekMode.Start);
    const bytes = new Uint8Array(LOG_TAIL_BYTES);
    const read = await file.read(bytes) ?? 0;
    const lines = new TextDecoder().decode(bytes.subarray(0, read)).trimEnd().split("\n").slice(
      -LOG_LINES_SHOWN,
    );
    const text = lines.join("\n");
    return text === "" ? null : `Its log says:\n${text}`;
  } catch {
    return null;
  }
}

async function writeAtomically(path: string, content: string): Promise<void> {
  await Deno.mkdir(parentOf(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(partial, content, { mode: 0o600, createNew: true });
    await Deno.rename(partial, path);
  } catch (error) {
    await removeIfThere(partial);
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function cannotInstall(why: string, detail: string | null = null): AppError {
  return new AppError("failure", `Cannot install the gateway's service: ${why}`, detail);
}
