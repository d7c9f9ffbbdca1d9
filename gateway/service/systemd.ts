/** The gateway as a systemd user unit; says what is true of it only as `systemctl show` has it. */

import type { Deps, RunResult } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { ServiceSpec } from "./definition.ts";
import { CALL_TIMEOUT_MS, type RunState, type ServiceManager, type ServiceState } from "./manager.ts";
import { unitFile } from "./unit_file.ts";

export const UNIT = "dev-sessions-gateway.service";

const PROPERTIES = [
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "MainPID",
  "ExecMainStatus",
  "ExecMainCode",
];
const TIMES = ["ActiveEnterTimestamp", "InactiveEnterTimestamp"];
/** `CLD_EXITED` and its kin, see waitid(2). */
const EXITED = "1";

export class Systemd implements ServiceManager {
  readonly name = "systemd";
  readonly file: string;

  constructor(private readonly deps: Deps, home: string, private readonly uid: number) {
    const configured = deps.env["XDG_CONFIG_HOME"];
    const config = configured?.startsWith("/") ? configured : `${home}/.config`;
    this.file = `${config}/systemd/user/${UNIT}`;
  }

  async lack(): Promise<string | null> {
    const result = await this.#run("systemctl", ["--user", "show", "--property=Version"]);
    if (result.kind === "exited" && result.code === 0) return null;
    if (result.kind === "not_found") {
      return "this machine has no systemd (systemctl is not on PATH). " +
        "Run the gateway under your own supervisor: dev-sessions gateway";
    }
    const why = result.kind === "exited" ? firstLine(result.stderr) : "systemctl does not answer";
    return `systemd does not manage services of this user here (${why}). Log in over ssh or at the console, ` +
      "not with su or sudo, or run the gateway under your own supervisor: dev-sessions gateway";
  }

  define(spec: ServiceSpec): string {
    return unitFile(spec);
  }

  async start(): Promise<void> {
    await this.#must(["daemon-reload"]);
    await this.#must(["reset-failed", UNIT], { mayFail: true });
    await this.#must(["enable", "--quiet", UNIT]);
    await this.#must(["restart", UNIT]);
  }

  async stop(): Promise<void> {
    // Read again first: it is stopped as the definition on disk says, which spares the sessions.
    await this.#must(["daemon-reload"]);
    await this.#must(["disable", "--quiet", "--now", UNIT], { mayFail: true });
  }

  async forget(): Promise<void> {
    await this.#must(["daemon-reload"]);
    await this.#must(["reset-failed", UNIT], { mayFail: true });
  }

  async state(): Promise<ServiceState> {
    const args = ["--user", "show", UNIT, ...[...PROPERTIES, ...TIMES].map((name) => `--property=${name}`)];
    const result = await this.#run("systemctl", args, { TZ: "UTC", LC_ALL: "C" });
    if (result.kind !== "exited" || result.code !== 0) {
      return { state: "unknown", pid: null, since: null, end: null };
    }
    return stateFrom(result.stdout);
  }

  async notes(): Promise<readonly string[]> {
    const args = ["show-user", String(this.uid), "--property=Linger", "--value"];
    const result = await this.#run("loginctl", args);
    const answer = result.kind === "exited" && result.code === 0 ? result.stdout.trim() : "unknown";
    switch (answer) {
      case "yes":
        return [];
      case "no":
        return [
          "Lingering is off for this user: the gateway stops when you log out and starts when you log in. " +
          "To keep it always: loginctl enable-linger",
        ];
      default:
        return [
          "Whether lingering is on for this user can't be told: if not, the gateway stops when you log out. " +
          "To keep it always: loginctl enable-linger",
        ];
    }
  }

  async #must(args: readonly string[], { mayFail = false } = {}): Promise<void> {
    const result = await this.#run("systemctl", ["--user", ...args]);
    if (mayFail || (result.kind === "exited" && result.code === 0)) return;
    const why = result.kind === "exited" ? firstLine(result.stderr) : "systemctl does not answer";
    throw new AppError(
      "failure",
      `Cannot manage the gateway's service: systemctl --user ${args.join(" ")}: ${why}`,
    );
  }

  #run(command: string, args: readonly string[], more: Record<string, string> = {}): Promise<RunResult> {
    const env: Record<string, string> = { ...this.deps.env, ...more, SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };
    // What a login session sets; without it systemctl does not find the user's systemd.
    env["XDG_RUNTIME_DIR"] ||= `/run/user/${this.uid}`;
    return this.deps.run(command, args, { env, timeoutMs: CALL_TIMEOUT_MS });
  }
}

/** Reads `systemctl show`. Pure. */
export function stateFrom(text: string): ServiceState {
  const lines = text.split("\n").map((line) => /^(\w+)=(.*)$/.exec(line));
  const shown = new Map(lines.flatMap((match) => match === null ? [] : [[match[1]!, match[2]!] as const]));
  const state = runState(shown);
  const pid = Number(shown.get("MainPID") ?? 0);
  const since = shown.get(state === "running" ? "ActiveEnterTimestamp" : "InactiveEnterTimestamp") ?? "";
  return { state, pid: pid > 0 ? pid : null, since: timestamp(since), end: endFrom(shown, state) };
}

function runState(shown: ReadonlyMap<string, string>): RunState {
  switch (shown.get("ActiveState")) {
    case "active":
      return "running";
    case "activating":
    case "reloading":
    case "deactivating":
      return "starting";
    case "failed":
      return "failed";
    case "inactive":
      return "stopped";
    default:
      return "unknown";
  }
}

function endFrom(shown: ReadonlyMap<string, string>, state: RunState): string | null {
  const code = shown.get("ExecMainCode") ?? "0";
  if (state === "running" || code === "0") return null;
  return `${code === EXITED ? "exit" : "signal"} ${shown.get("ExecMainStatus")}`;
}

/** `Sun 2026-11-22 14:12:57 UTC`. */
function timestamp(text: string): string | null {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(text);
  return match === null ? null : `${match[1]}T${match[2]}.000Z`;
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] || "no reason was given";
}
