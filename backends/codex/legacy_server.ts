/** The server that 0.4.4 left running on a loopback port: taken only when it is our user's `codex app-server`. */

import type { Deps } from "../../lib/deps.ts";
import { baseName } from "../../lib/posix_path.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import type { LegacyServer } from "./metadata.ts";

const PS_TIMEOUT_MS = 5_000;
/** Of a listening socket in `/proc/net/tcp`. */
const LISTENING = "0A";

/** Null unless that process lives, is ours, and (where the system says so) it is our user who listens at the port. */
export async function legacyEndpoint(server: LegacyServer, deps: Deps): Promise<Endpoint | null> {
  const endpoint = parseEndpoint(server.url);
  const port = /^ws:\/\/127\.0\.0\.1:(\d+)\/$/.exec(endpoint?.kind === "ws" ? endpoint.url : "")?.[1];
  if (endpoint === null || port === undefined || !Number.isSafeInteger(server.pid) || server.pid <= 1) {
    return null;
  }
  const uid = Deno.uid() ?? -1;
  const isOurs = Deno.build.os === "linux"
    ? isOurServerByProc(server.pid, uid) && listenerOf(await readText("/proc/net/tcp"), Number(port)) === uid
    : await isOurServerByPs(server.pid, uid, deps);
  return isOurs ? endpoint : null;
}

function isOurServerByProc(pid: number, uid: number): boolean {
  try {
    const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    return Deno.statSync(`/proc/${pid}`).uid === uid && isAppServer(command.split("\0"));
  } catch {
    return false;
  }
}

async function isOurServerByPs(pid: number, uid: number, deps: Deps): Promise<boolean> {
  const args = ["-o", "uid=", "-o", "command=", "-p", String(pid)];
  const result = await deps.run("ps", args, { env: { ...deps.env }, timeoutMs: PS_TIMEOUT_MS });
  if (result.kind !== "exited") return false;
  const [, owner, command = ""] = /^\s*(\d+)\s+(.*)$/m.exec(result.stdout) ?? [];
  return Number(owner) === uid && isAppServer(command.split(" "));
}

/** Whether a command line is `codex app-server`, itself or through npm's wrapper. Pure. */
export function isAppServer(args: readonly string[]): boolean {
  return args.some((arg, at) => /^codex(\.js)?$/.test(baseName(arg)) && args[at + 1] === "app-server");
}

/** The user who listens at 127.0.0.1:port; null when nobody does. Pure. */
export function listenerOf(procNetTcp: string, port: number): number | null {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of procNetTcp.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === local && fields[3] === LISTENING) return Number(fields[7]);
  }
  return null;
}

async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return "";
  }
}
