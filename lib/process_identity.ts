/** Proves which process is meant: a process counts as dead only where its absence can be seen from here. */

import type { RunOptions, RunResult } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";
import type { Liveness, ProcessIdentity } from "./session.ts";

export type Platform = "proc" | "ps";

/** Runs `ps` and `sysctl`; never called on Linux. */
export type RunPs = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

/** Whether two identities are of one process. Pure. */
export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.start === b.start && a.boot === b.boot && a.machine === b.machine;
}

/** What the system says of one process: its state letter and its opaque start time. */
export interface ProcessEntry {
  readonly state: string;
  readonly start: string;
}

/** Where the caller looks from. An empty `boot` or part of `machine` is unknown and proves nothing. */
export interface Vantage {
  readonly boot: string;
  /** `<machine id>/<host name>/<pid namespace>`. */
  readonly machine: string;
}

const PS_TIMEOUT_MS = 5_000;
/** `lstart` is printed in the locale and time zone of the caller. */
const PS_ENV = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C", TZ: "UTC0" };

/** A stat line has about 300 bytes, its longest fields included. */
const STAT_BUFFER = new Uint8Array(4096);
const DECODER = new TextDecoder();

const vantages = new Map<Platform, Promise<Vantage>>();

/** The platform of this machine. */
function platformHere(): Platform {
  return Deno.build.os === "linux" ? "proc" : "ps";
}

/**
 * Null when there is no such process, or only its zombie.
 * @throws AppError when that can't be told.
 */
export async function identify(
  pid: number,
  runPs: RunPs,
  platform: Platform = platformHere(),
): Promise<ProcessIdentity | null> {
  const here = await vantage(runPs, platform);
  const entry = (await readEntries([pid], runPs, platform)).get(pid);
  if (entry === null) return null;
  if (entry === undefined || here.boot === "") {
    throw new AppError("failure", `Cannot identify process ${pid}: the system does not say when it started`);
  }
  return isDead(entry) ? null : { pid, start: entry.start, boot: here.boot, machine: here.machine };
}

/** One answer for each identity, in their order; `unknown` wherever neither life nor death is proven. */
export async function processStates(
  identities: readonly ProcessIdentity[],
  runPs: RunPs,
  platform: Platform = platformHere(),
): Promise<Liveness[]> {
  if (identities.length === 0) return [];
  const here = await vantage(runPs, platform);
  const visible = identities.filter((identity) => compareVantage(identity, here) === "visible");
  const entries = await readEntries(visible.map((identity) => identity.pid), runPs, platform);
  return identities.map((identity) => {
    const seen = compareVantage(identity, here);
    return seen === "visible" ? judge(identity, entries.get(identity.pid)) : seen;
  });
}

/** @param entry null: there is no such process; undefined: the system did not say. */
export function judge(identity: ProcessIdentity, entry: ProcessEntry | null | undefined): Liveness {
  if (entry === undefined) return "unknown";
  if (entry === null || isDead(entry)) return "dead";
  return entry.start === identity.start ? "alive" : "dead";
}

/**
 * Whether a process of that boot and machine can be seen from here. Within one boot the host name may change
 * (laptops) and does not count; across boots it must be the same for the process to be proven dead.
 */
export function compareVantage(identity: Vantage, here: Vantage): "visible" | "dead" | "unknown" {
  const [id, host, namespace] = splitMachine(identity.machine);
  const [idHere, hostHere, namespaceHere] = splitMachine(here.machine);
  if (identity.boot === "" || here.boot === "" || id !== idHere) return "unknown";
  if (identity.boot === here.boot) {
    return namespace !== "" && namespace === namespaceHere ? "visible" : "unknown";
  }
  return id !== "" && host !== "" && host === hostHere ? "dead" : "unknown";
}

/** Fields 3 and 22 of `/proc/<pid>/stat`; the name in field 2 may hold spaces and parentheses. */
export function parseProcStat(text: string): ProcessEntry | null {
  const fields = text.slice(text.lastIndexOf(")") + 1).trim().split(/\s+/);
  const [state, start] = [fields[0], fields[19]];
  if (!state || !/^[A-Za-z]$/.test(state) || !start || !/^\d+$/.test(start)) return null;
  return { state, start };
}

/** Lines of `ps -o pid= -o state= -o lstart=`. Lines of another form are left out. */
export function parsePs(text: string): Map<number, ProcessEntry> {
  const entries = new Map<number, ProcessEntry>();
  for (const line of text.split("\n")) {
    const match = /^\s*(\d+)\s+([A-Za-z?]\S*)\s+(\S.*\d{4})\s*$/.exec(line);
    if (!match) continue;
    const [, pid = "", state = "", start = ""] = match;
    entries.set(Number(pid), { state: state.slice(0, 1), start: start.replace(/\s+/g, " ") });
  }
  return entries;
}

function isDead(entry: ProcessEntry): boolean {
  return ["Z", "X", "x"].includes(entry.state);
}

function splitMachine(machine: string): [id: string, host: string, namespace: string] {
  const [id = "", host = "", namespace = ""] = machine.split("/");
  return [id, host, namespace];
}

type Entries = Map<number, ProcessEntry | null>;

/** A pid that is missing from the answer could not be judged. */
function readEntries(pids: readonly number[], runPs: RunPs, platform: Platform): Promise<Entries> {
  const valid = [...new Set(pids)].filter((pid) => Number.isSafeInteger(pid) && pid > 0);
  if (valid.length === 0) return Promise.resolve(new Map());
  switch (platform) {
    case "proc":
      return Promise.resolve(readProc(valid));
    case "ps":
      return readPs(valid, runPs);
  }
}

function readProc(pids: readonly number[]): Entries {
  const entries: Entries = new Map();
  for (const pid of pids) {
    try {
      const entry = parseProcStat(readStat(pid));
      if (entry !== null) entries.set(pid, entry);
    } catch (error) {
      if (isProcessGone(error)) entries.set(pid, null);
    }
  }
  return entries;
}

/** Into one buffer, which takes half the time of `readTextFileSync`; one read returns the whole line. */
function readStat(pid: number): string {
  using file = Deno.openSync(`/proc/${pid}/stat`);
  return DECODER.decode(STAT_BUFFER.subarray(0, file.readSync(STAT_BUFFER) ?? 0));
}

/** Whether an error of a read below `/proc/<pid>` says that this process has ended, be it while it was read. Pure. */
export function isProcessGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof Error && "code" in error && error.code === "ESRCH") ||
    /os error 3\b/.test(messageOf(error));
}

async function readPs(pids: readonly number[], runPs: RunPs): Promise<Entries> {
  // One -o for each column: POSIX takes everything after `pid=` for the header.
  const args = ["-o", "pid=", "-o", "state=", "-o", "lstart=", "-p", pids.join(",")];
  const result = await runPs("ps", args, { env: PS_ENV, timeoutMs: PS_TIMEOUT_MS });
  if (result.kind !== "exited" || result.stderr.trim() !== "" || result.code > 1) return new Map();
  const found = parsePs(result.stdout);
  // Exit code 1 means that none of them exists; together with output it is a failure of another kind.
  const lines = result.stdout.split("\n").filter((line) => line.trim() !== "").length;
  if (lines !== found.size || (result.code === 1) !== (lines === 0)) return new Map();
  return new Map(pids.map((pid) => [pid, found.get(pid) ?? null]));
}

function vantage(runPs: RunPs, platform: Platform): Promise<Vantage> {
  const known = vantages.get(platform);
  if (known !== undefined) return known;
  const looked = platform === "proc" ? Promise.resolve(procVantage()) : psVantage(runPs);
  vantages.set(platform, looked);
  return looked;
}

function procVantage(): Vantage {
  const machineId = readLine("/etc/machine-id") || readLine("/var/lib/dbus/machine-id");
  const namespace = /\[(\d+)\]/.exec(readLinkText("/proc/self/ns/pid"))?.[1] ?? "";
  return {
    boot: readLine("/proc/sys/kernel/random/boot_id"),
    machine: `${machineId}/${Deno.hostname()}/${namespace}`,
  };
}

/** macOS has neither a machine id in a file nor pid namespaces. */
async function psVantage(runPs: RunPs): Promise<Vantage> {
  const result = await runPs("sysctl", ["-n", "kern.bootsessionuuid"], {
    env: PS_ENV,
    timeoutMs: PS_TIMEOUT_MS,
  });
  const boot = result.kind === "exited" && result.code === 0 ? result.stdout.trim() : "";
  if (boot === "") vantages.delete("ps");
  return { boot, machine: `ps/${Deno.hostname()}/ps` };
}

function readLine(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return "";
  }
}

function readLinkText(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}
