/** The gateway as a systemd user unit; says what is true of it only as `systemctl show` has it. */

import type { Deps, RunResult } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { ServiceSpec, Written } from "./definition.ts";
import { isThere, parentOf, removeIfThere } from "./files.ts";
import {
  CALL_TIMEOUT_MS,
  type Lack,
  type RunState,
  type ServiceManager,
  type ServiceState,
  type Standing,
} from "./manager.ts";
import { readUnit, unitFile, wordsOf } from "./unit_file.ts";

const UNIT = "dev-sessions-gateway.service";

const PROPERTIES = [
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "MainPID",
  "ExecMainStatus",
  "ExecMainCode",
];
/** A folder that is there where systemd runs the machine, see sd_booted(3). */
const BOOTED_MARK = "/run/systemd/system";
const TIMES = ["ActiveEnterTimestamp", "InactiveEnterTimestamp"];
/** `CLD_EXITED` and its kin, see waitid(2). */
const EXITED = "1";

export class Systemd implements ServiceManager {
  readonly name = "systemd";
  /** Where the units are, for a systemd that can't be asked. */
  readonly #usualFolder: string;
  #place: Promise<string> | null = null;

  constructor(
    private readonly deps: Deps,
    home: string,
    private readonly uid: number,
    private readonly bootedMark = BOOTED_MARK,
  ) {
    const configured = deps.env["XDG_CONFIG_HOME"];
    const config = configured?.startsWith("/") ? configured : `${home}/.config`;
    this.#usualFolder = `${config}/systemd/user`;
  }

  place(): Promise<string> {
    return this.#place ??= this.#find();
  }

  /** The folder is systemd's own: its environment may differ from the shell's. */
  async #find(): Promise<string> {
    const args = ["--user", "show", "--property=UnitPath", "--value"];
    const result = await this.#run("systemctl", args);
    const folder = result.kind === "exited" && result.code === 0 ? unitFolderIn(result.stdout) : null;
    return `${folder ?? this.#usualFolder}/${UNIT}`;
  }

  async lack(): Promise<Lack | null> {
    const result = await this.#run("systemctl", ["--user", "show", "--property=Version"]);
    if (result.kind === "exited" && result.code === 0) return null;
    if (result.kind === "not_found") {
      return await isThere(this.bootedMark)
        ? {
          kind: "unreachable",
          why: "systemctl is not on PATH, though systemd runs this machine",
          help: "Add its folder to PATH",
        }
        : { kind: "absent", why: "this machine has no systemd (systemctl is not on PATH)", help: null };
    }
    const why = result.kind === "exited" ? firstLine(result.stderr) : "systemctl does not answer";
    return {
      kind: "unreachable",
      why: `systemd does not manage services of this user here (${why})`,
      help: "Log in over ssh or at the console, not with su or sudo",
    };
  }

  define(spec: ServiceSpec): string {
    return unitFile(spec);
  }

  read(definition: string): Written {
    return readUnit(definition);
  }

  async start(): Promise<void> {
    await this.restore({ runs: true, startsByItself: true });
  }

  async restore({ runs, startsByItself }: Standing): Promise<void> {
    // Read again first: it is stopped as the definition on disk says, which spares the sessions.
    await this.#must(["daemon-reload"]);
    await this.#must(["reset-failed", UNIT], { mayFail: true });
    await this.#must([startsByItself ? "enable" : "disable", "--quiet", UNIT]);
    await this.#must([runs ? "restart" : "stop", UNIT]);
  }

  async stop(): Promise<void> {
    await this.#must(["daemon-reload"]);
    // Both fail for a unit that is not there.
    await this.#must(["disable", "--quiet", UNIT], { mayFail: true });
    await this.#must(["stop", UNIT], { mayFail: true });
    const { runs } = await this.standing();
    if (runs) throw new AppError("failure", `systemctl --user stop ${UNIT}: it goes on`);
  }

  async forget(): Promise<void> {
    await this.unlink();
    await this.#must(["daemon-reload"]);
    await this.#must(["reset-failed", UNIT], { mayFail: true });
  }

  async state(): Promise<ServiceState> {
    const shown = await this.#show([...PROPERTIES, ...TIMES]);
    return shown === null ? { state: "unknown", pid: null, since: null, end: null } : stateFrom(shown);
  }

  async standing(): Promise<Standing> {
    const shown = await this.#show(["ActiveState", "UnitFileState"]);
    if (shown === null) {
      throw new AppError(
        "failure",
        "Cannot tell how the gateway's service stands: systemctl does not say it",
      );
    }
    return {
      runs: !["inactive", "failed"].includes(shown.get("ActiveState") ?? ""),
      startsByItself: (shown.get("UnitFileState") ?? "").startsWith("enabled"),
    };
  }

  async isLeft(): Promise<boolean> {
    if (await isThere(await this.#link())) return true;
    const shown = await this.#show(["ActiveState", "FragmentPath"]);
    if (shown === null || ["inactive", "failed"].includes(shown.get("ActiveState") ?? "")) return false;
    // One of the same name may have been put elsewhere by somebody else.
    const from = shown.get("FragmentPath") ?? "";
    return from === "" || from === await this.place();
  }

  async unlink(): Promise<void> {
    await removeIfThere(await this.#link());
  }

  async #link(): Promise<string> {
    return `${parentOf(await this.place())}/default.target.wants/${UNIT}`;
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
      `systemctl --user ${args.join(" ")}: ${why}`,
      `There may be more in: journalctl --user --unit ${UNIT}`,
    );
  }

  /** Null when it can't be told. */
  async #show(names: readonly string[]): Promise<ReadonlyMap<string, string> | null> {
    const args = ["--user", "show", UNIT, ...names.map((name) => `--property=${name}`)];
    const result = await this.#run("systemctl", args, { TZ: "UTC", LC_ALL: "C" });
    return result.kind === "exited" && result.code === 0 ? shownIn(result.stdout) : null;
  }

  #run(command: string, args: readonly string[], more: Record<string, string> = {}): Promise<RunResult> {
    const env: Record<string, string> = { ...this.deps.env, ...more, SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };
    // What a login session sets; without it systemctl does not find the user's systemd.
    env["XDG_RUNTIME_DIR"] ||= `/run/user/${this.uid}`;
    return this.deps.run(command, args, { env, timeoutMs: CALL_TIMEOUT_MS });
  }
}

/** Reads `systemctl show`. Pure. */
export function shownIn(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").map((line) => /^(\w+)=(.*)$/.exec(line));
  return new Map(lines.flatMap((match) => match === null ? [] : [[match[1]!, match[2]!] as const]));
}

/** The user's own folder of units, in the list of all: the one named so that comes first. Pure. */
export function unitFolderIn(unitPath: string): string | null {
  return wordsOf(unitPath).find((folder) => /^\/.*\/systemd\/user$/.test(folder)) ?? null;
}

/** Pure. */
export function stateFrom(shown: ReadonlyMap<string, string>): ServiceState {
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
