/** The gateway as a launchd agent of this user. */

import type { Deps, RunResult } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { type ServiceSpec, STOP_SECONDS, type Written } from "./definition.ts";
import {
  CALL_TIMEOUT_MS,
  type Lack,
  type RunState,
  type ServiceManager,
  type ServiceState,
  type Standing,
} from "./manager.ts";
import { LABEL, plist, readPlist } from "./plist.ts";

/** After a `bootout` the old one is still going for so long, and `launchctl bootstrap` fails. */
const STOP_PATIENCE_MS = (STOP_SECONDS + 5) * 1000;
const PAUSE_MS = 500;

export class Launchd implements ServiceManager {
  readonly name = "launchd";
  readonly #file: string;
  readonly #domain: string;

  constructor(private readonly deps: Deps, home: string, uid: number) {
    this.#file = `${home}/Library/LaunchAgents/${LABEL}.plist`;
    this.#domain = `gui/${uid}`;
  }

  place(): Promise<string> {
    return Promise.resolve(this.#file);
  }

  async lack(): Promise<Lack | null> {
    const result = await this.#run(["print", this.#domain]);
    if (result.kind === "exited" && result.code === 0) return null;
    const why = result.kind === "exited" ? result.stderr.trim() || `exit ${result.code}` : unanswered(result);
    return {
      kind: "unreachable",
      why: `launchd has no login session of this user (${why})`,
      help: "Log in at the Mac's screen once",
    };
  }

  define(spec: ServiceSpec): string {
    return plist(spec);
  }

  read(definition: string): Written {
    return readPlist(definition);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#run(["bootout", `${this.#domain}/${LABEL}`]);
    // A user may have switched it off in the system's settings or with `launchctl disable`.
    await this.#run(["enable", `${this.#domain}/${LABEL}`]);
    const { clock } = this.deps;
    const deadline = clock.monotonic() + STOP_PATIENCE_MS;
    let last: RunResult;
    do {
      last = await this.#run(["bootstrap", this.#domain, this.#file]);
      if (last.kind === "exited" && last.code === 0) return;
      await clock.sleep(PAUSE_MS, signal);
    } while (!signal.aborted && clock.monotonic() < deadline);
    const why = last.kind === "exited" ? last.stderr.trim() || `exit ${last.code}` : unanswered(last);
    throw new AppError("failure", `launchctl bootstrap ${this.#domain}: ${why}`);
  }

  async stop(): Promise<void> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + STOP_PATIENCE_MS;
    let last: RunResult;
    do {
      last = await this.#run(["bootout", `${this.#domain}/${LABEL}`]);
      if (!await this.isLeft()) return;
      await clock.sleep(PAUSE_MS);
    } while (clock.monotonic() < deadline);
    const why = last.kind === "exited" ? last.stderr.trim() || "it goes on" : unanswered(last);
    throw new AppError("failure", `launchctl bootout ${this.#domain}/${LABEL}: ${why}`);
  }

  async forget(): Promise<void> {
    // Nothing of it is kept once it is booted out.
  }

  async state(): Promise<ServiceState> {
    const result = await this.#run(["print", `${this.#domain}/${LABEL}`]);
    if (result.kind !== "exited") return { state: "unknown", pid: null, since: null, end: null };
    if (result.code !== 0) return { state: "stopped", pid: null, since: null, end: null };
    const state = stateFrom(result.stdout);
    return state.pid === null ? state : { ...state, since: await this.#startOf(state.pid) };
  }

  async standing(): Promise<Standing> {
    const [{ state }, disabled] = await Promise.all([
      this.state(),
      this.#run(["print-disabled", this.#domain]),
    ]);
    if (state === "unknown" || disabled.kind !== "exited" || disabled.code !== 0) {
      throw new AppError(
        "failure",
        "Cannot tell how the gateway's service stands: launchctl does not say it",
      );
    }
    return {
      runs: state === "running" || state === "starting",
      startsByItself: !isDisabled(disabled.stdout),
    };
  }

  async restore({ runs, startsByItself }: Standing): Promise<void> {
    if (runs) await this.start(new AbortController().signal);
    else await this.stop();
    // What runs goes on: it says only what happens at the next login.
    await this.#run([startsByItself ? "enable" : "disable", `${this.#domain}/${LABEL}`]);
  }

  async isLeft(): Promise<boolean> {
    const result = await this.#run(["print", `${this.#domain}/${LABEL}`]);
    // Without an answer nothing proves that it is gone.
    return result.kind === "timed_out" || (result.kind === "exited" && result.code === 0);
  }

  unlink(): Promise<void> {
    // Beside its definition there is nothing.
    return Promise.resolve();
  }

  notes(): Promise<readonly string[]> {
    return Promise.resolve([
      "macOS asks once whether agents may read your Documents, Desktop and Downloads folders; for other volumes give " +
      "dev-sessions Full Disk Access in System Settings > Privacy & Security",
    ]);
  }

  /** launchd itself does not tell. */
  async #startOf(pid: number): Promise<string | null> {
    const result = await this.deps.run("ps", ["-o", "lstart=", "-p", String(pid)], {
      env: { ...this.deps.env, LC_ALL: "C", TZ: "UTC0" },
      timeoutMs: CALL_TIMEOUT_MS,
    });
    return result.kind === "exited" && result.code === 0 ? startFrom(result.stdout) : null;
  }

  #run(args: readonly string[]): Promise<RunResult> {
    return this.deps.run("launchctl", args, { env: this.deps.env, timeoutMs: CALL_TIMEOUT_MS });
  }
}

/** Reads `launchctl print-disabled gui/<uid>`: `"label" => disabled`, before macOS 13 `=> true`. Pure. */
export function isDisabled(text: string): boolean {
  const word = new RegExp(`"${LABEL.replaceAll(".", "\\.")}" => (\\w+)`).exec(text)?.[1];
  return word === "disabled" || word === "true";
}

function unanswered(result: RunResult): string {
  return result.kind === "not_found" ? "launchctl is not on PATH" : "launchctl does not answer";
}

/** Reads `launchctl print gui/<uid>/<label>`. Pure. */
export function stateFrom(text: string): ServiceState {
  const found = (name: string) => new RegExp(`^\\t${name} = (.+)$`, "m").exec(text)?.[1] ?? null;
  const pid = Number(found("pid") ?? 0);
  const code = found("last exit code");
  const end = code === null || !/^\d+/.test(code) ? null : `exit ${Number.parseInt(code)}`;
  return { state: runState(found("state"), end), pid: pid > 0 ? pid : null, since: null, end };
}

/** Reads `ps -o lstart=` in UTC: `Sun Nov 22 14:12:57 2026`. Pure. */
export function startFrom(text: string): string | null {
  const match = /^\w{3} (\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})$/.exec(text.trim());
  if (match === null) return null;
  const [, month, day, time, year] = match;
  const ms = Date.parse(`${day} ${month} ${year} ${time} UTC`);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function runState(state: string | null, end: string | null): RunState {
  if (state === "running") return "running";
  if (state === "spawn scheduled" || state === "waiting" || state === "spawning") return "starting";
  if (state === "not running") return end === null || end === "exit 0" ? "stopped" : "failed";
  return "unknown";
}
