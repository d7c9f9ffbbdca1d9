/** The gateway as a launchd agent of this user. */

import type { Deps, RunResult } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { type ServiceSpec, STOP_SECONDS } from "./definition.ts";
import { CALL_TIMEOUT_MS, type RunState, type ServiceManager, type ServiceState } from "./manager.ts";
import { LABEL, plist } from "./plist.ts";

/** `launchctl bootstrap` fails after a `bootout` for as long as the old one is still going. */
const BOOTSTRAP_PATIENCE_MS = (STOP_SECONDS + 5) * 1000;
const BOOTSTRAP_PAUSE_MS = 500;

export class Launchd implements ServiceManager {
  readonly name = "launchd";
  readonly file: string;
  readonly #domain: string;

  constructor(private readonly deps: Deps, home: string, uid: number) {
    this.file = `${home}/Library/LaunchAgents/${LABEL}.plist`;
    this.#domain = `gui/${uid}`;
  }

  async lack(): Promise<string | null> {
    const result = await this.#run(["print", this.#domain]);
    if (result.kind === "exited" && result.code === 0) return null;
    const why = result.kind === "exited"
      ? result.stderr.trim() || `exit ${result.code}`
      : "launchctl does not answer";
    return `launchd has no login session of this user (${why}). Log in at the Mac's screen once, ` +
      "or run the gateway under your own supervisor: dev-sessions gateway";
  }

  define(spec: ServiceSpec): string {
    return plist(spec);
  }

  async start(): Promise<void> {
    await this.#run(["bootout", `${this.#domain}/${LABEL}`]);
    // A user may have switched it off in the system's settings or with `launchctl disable`.
    await this.#run(["enable", `${this.#domain}/${LABEL}`]);
    const { clock } = this.deps;
    const deadline = clock.monotonic() + BOOTSTRAP_PATIENCE_MS;
    let last: RunResult;
    do {
      last = await this.#run(["bootstrap", this.#domain, this.file]);
      if (last.kind === "exited" && last.code === 0) return;
      await clock.sleep(BOOTSTRAP_PAUSE_MS);
    } while (clock.monotonic() < deadline);
    const why = last.kind === "exited"
      ? last.stderr.trim() || `exit ${last.code}`
      : "launchctl does not answer";
    throw new AppError(
      "failure",
      `Cannot start the gateway's service: launchctl bootstrap ${this.#domain}: ${why}`,
    );
  }

  async stop(): Promise<void> {
    await this.#run(["bootout", `${this.#domain}/${LABEL}`]);
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
