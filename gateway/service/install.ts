/**
 * Installs the gateway as a service of this user. An installation is reported only when the gateway that was started
 * answers with our version; otherwise, and when it is interrupted, everything is as it was before.
 */

import { AppError, messageOf } from "../../lib/errors.ts";
import { LOOPBACK } from "../bind.ts";
import { LOG_LIMIT_BYTES } from "../log_file.ts";
import { capturedEnvironment, hasControlCharacter, type ServiceSpec } from "./definition.ts";
import { parentOf, readOrNull, removeIfThere, writeAtomically } from "./files.ts";
import { askHealth, type Health } from "./health.ts";
import type { Lack, Standing } from "./manager.ts";
import { type Settings, settingsIn, settle, type Wanted } from "./settings.ts";
import { lockService, type ServiceWorld, withoutFullStop } from "./world.ts";

export interface InstallRequest extends Wanted {
  /** Names of variables that the gateway is to get beside the usual ones. */
  readonly env: readonly string[];
  /** Nothing of an earlier service stays. */
  readonly reset: boolean;
}

export interface Installed {
  readonly file: string;
  readonly port: number;
  /** Whether an earlier one was replaced. */
  readonly replaced: boolean;
  /** What was taken over from it, as options of `gateway install`. */
  readonly kept: readonly string[];
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

const HEALTHY_LIMIT_MS = 20_000;
const LOOK_PAUSE_MS = 100;
const LOG_LINES_SHOWN = 20;
const LOG_TAIL_BYTES = 16_384;

/** What is to be done, and what is there before it. */
interface Plan {
  readonly file: string;
  readonly spec: ServiceSpec;
  /** Null: there is no definition. */
  readonly before: string | null;
  /** Where the earlier one listens; null where its definition does not tell, or there is none. */
  readonly portBefore: number | null;
  readonly kept: readonly string[];
  readonly notes: readonly string[];
  readonly stood: Standing;
}

/** @throws AppError when it can't be had; then an earlier service is as it was. */
export async function installService(
  request: InstallRequest,
  world: ServiceWorld,
  signal: AbortSignal,
): Promise<Installed> {
  using _lock = await lockService(world).catch((error) => {
    throw cannotInstall(messageOf(error));
  });
  const plan = await planned(request, world).catch((error) => {
    throw signal.aborted ? interrupted("Nothing has changed") : error;
  });
  if (signal.aborted) throw interrupted("Nothing has changed");
  await carryOut(plan, world, signal);
  const unrecorded = await recordProgram(world);
  return {
    file: plan.file,
    port: plan.spec.port,
    replaced: plan.before !== null,
    kept: plan.kept,
    notes: [...plan.notes, ...unrecorded, ...await world.manager.notes()],
  };
}

/** Changes nothing. */
async function planned(request: InstallRequest, world: ServiceWorld): Promise<Plan> {
  const { manager } = world;
  const lack = await manager.lack();
  if (lack !== null) throw cannotInstall(lackText(lack));
  const file = await manager.place();
  const before = await readOrNull(file);
  const earlier = before === null ? null : settingsIn(manager.read(before));
  if (!request.reset && earlier !== null && earlier.unknown.length > 0) {
    throw cannotInstall(
      `the installed one has an option that is not known, ${JSON.stringify(earlier.unknown[0])} (${file}). ` +
        "Add --reset, and give anew what it should have",
    );
  }
  const { spec, kept } = specOf(request, request.reset ? null : earlier, world);
  const stood = await manager.standing();
  if (before === null && stood.runs) {
    throw cannotInstall(
      "its definition is gone, but it still runs. Remove the rest of it first: dev-sessions gateway uninstall",
    );
  }
  const portBefore = earlier?.port ?? null;
  const isOurs = portBefore === spec.port && (await manager.state()).state === "running";
  if (!isOurs) await assertPortFree(spec.port);
  const isUnread = before !== null && earlier === null && !request.reset;
  return { file, spec, before, portBefore, kept, notes: notesOn(kept, isUnread, file), stood };
}

async function carryOut(plan: Plan, world: ServiceWorld, signal: AbortSignal): Promise<void> {
  const { file, spec } = plan;
  const { manager, paths } = world;
  await prepareLog(paths.gatewayLog);
  const logBegin = await sizeOf(paths.gatewayLog);
  try {
    await writeAtomically(file, manager.define(spec));
    await manager.start(signal);
    await untilHealthy(spec.port, world, signal);
  } catch (error) {
    const log = await tail(paths.gatewayLog, logBegin);
    const undone = await undo(plan, world);
    if (signal.aborted) throw interrupted(undone);
    const more = error instanceof AppError ? error.detail : null;
    const details = [log, more].filter((detail) => detail !== null);
    throw cannotInstall(
      `${withoutFullStop(messageOf(error))}. ${undone}`,
      details.length === 0 ? null : details.join("\n"),
    );
  }
}

function specOf(
  request: InstallRequest,
  earlier: Settings | null,
  { deps, paths, self }: ServiceWorld,
): { readonly spec: ServiceSpec; readonly kept: readonly string[] } {
  const { port, options, kept } = settle(request, earlier);
  const { env, missing, kept: keptEnv } = capturedEnvironment(
    deps.env,
    request.env,
    port,
    earlier?.env ?? {},
  );
  if (missing.length > 0) {
    throw cannotInstall(`the variable ${missing.join(", ")} is not set here. Set it, or leave --env out`);
  }
  const spec: ServiceSpec = { ...self, port, options, env, log: paths.gatewayLog };
  const unfit = [spec.command, ...spec.args, ...options, spec.log].find(hasControlCharacter);
  // Of a variable only the name is shown: its value may be a secret.
  const unfitName = Object.keys(env).find((name) => hasControlCharacter(env[name]!));
  const named = unfit !== undefined
    ? JSON.stringify(unfit)
    : unfitName === undefined
    ? null
    : `the variable ${unfitName}`;
  if (named !== null) {
    throw cannotInstall(`${named} has a line break or another control character. Change it, and try again`);
  }
  return { spec, kept: [...kept, ...keptEnv.flatMap((name) => ["--env", name])] };
}

function notesOn(kept: readonly string[], isUnread: boolean, file: string): string[] {
  if (isUnread) return [`The service before could not be read (${file}): none of its options were kept`];
  if (kept.length === 0) return [];
  return [`Kept from the service before: ${kept.join(" ")}. To install it without them, add --reset`];
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

async function untilHealthy(port: number, world: ServiceWorld, signal: AbortSignal): Promise<void> {
  const { version } = world;
  const seen = await watch(port, world, (health) => health.version === version, signal);
  switch (seen.kind) {
    case "answers":
      return;
    case "ended":
      throw new AppError(
        "failure",
        `the gateway was started, but ended at once (${seen.end ?? "no exit code is known"})`,
      );
    case "too_late": {
      const said = seen.health === null
        ? "did not answer"
        : `answered with version ${seen.health.version ?? "unknown"}, not ${version}`;
      throw new AppError(
        "failure",
        `the gateway was started, but ${said} within ${HEALTHY_LIMIT_MS / 1000} s`,
      );
    }
    case "interrupted":
      throw new AppError("interrupted", "interrupted");
  }
}

type Seen =
  | { readonly kind: "answers" }
  | { readonly kind: "ended"; readonly end: string | null }
  /** With the last answer. */
  | { readonly kind: "too_late"; readonly health: Health | null }
  | { readonly kind: "interrupted" };

/** Looks until the service that was started answers as is wanted, or can't any more. */
async function watch(
  port: number,
  { deps: { clock }, manager }: ServiceWorld,
  isWanted: (health: Health) => boolean,
  signal: AbortSignal,
): Promise<Seen> {
  const deadline = clock.monotonic() + HEALTHY_LIMIT_MS;
  while (!signal.aborted) {
    const { state, end } = await manager.state();
    const health = state === "running" ? await askHealth(LOOPBACK, port) : null;
    if (health !== null && isWanted(health)) return { kind: "answers" };
    if (signal.aborted) break;
    if (state === "failed" || (end !== null && (state === "stopped" || state === "starting"))) {
      return { kind: "ended", end };
    }
    if (clock.monotonic() >= deadline) return { kind: "too_late", health };
    await clock.sleep(LOOK_PAUSE_MS, signal);
  }
  return { kind: "interrupted" };
}

/** @returns what is true now, as a sentence. */
async function undo({ file, before, portBefore, stood }: Plan, world: ServiceWorld): Promise<string> {
  const { manager } = world;
  try {
    if (before === null) {
      await manager.stop();
      await removeIfThere(file);
      await manager.forget();
      return "Nothing of it was left";
    }
    await writeAtomically(file, before);
    await manager.restore(stood);
  } catch (error) {
    return `It could not be undone (${withoutFullStop(messageOf(error))}): look at ${file}`;
  }
  if (!stood.runs) return "The earlier definition is there again";
  if (portBefore === null) {
    return "The earlier service was started again; whether it answers can't be told, since it names no port";
  }
  const seen = await watch(portBefore, world, () => true, new AbortController().signal);
  return seen.kind === "answers"
    ? "The earlier service runs again"
    : "The earlier definition is there again, but does not run either";
}

/**
 * So that what runs finds the program again after it was replaced.
 *
 * @returns what the user should know: the service runs, whatever comes of this.
 */
async function recordProgram({ paths, self }: ServiceWorld): Promise<readonly string[]> {
  if (self.args.length > 0) return [];
  try {
    await writeAtomically(paths.executable, `${self.command}\n`);
    return [];
  } catch (error) {
    return [
      `What runs may not find dev-sessions after it was replaced: "${paths.executable}" can't be written ` +
      `(${messageOf(error)}). Make room for it, then install it again`,
    ];
  }
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

function lackText({ why, help }: Lack): string {
  const supervisor = "run the gateway under your own supervisor: dev-sessions gateway";
  return `${why}. ${help === null ? "R" : `${help}, or r`}${supervisor.slice(1)}`;
}

function interrupted(undone: string): AppError {
  return new AppError("interrupted", `Interrupted: the gateway's service was not installed. ${undone}`);
}

function cannotInstall(why: string, detail: string | null = null): AppError {
  return new AppError("failure", `Cannot install the gateway's service: ${why}`, detail);
}
