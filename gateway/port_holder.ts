/** Who has a port that is in use, as far as this system tells us. */

import type { Deps } from "../lib/deps.ts";
import { LOOPBACK } from "./bind.ts";
import { askHealth } from "./service/health.ts";

const LSOF_TIMEOUT_MS = 5_000;
const MAX_COMMAND_CHARACTERS = 300;
const MAX_VERSION_CHARACTERS = 40;
const LISTENING = "0A";

/** In words, to stand after `: `; null when nothing is known. Never throws. */
export async function portHolder(deps: Deps, host: string, port: number): Promise<string | null> {
  const [pid, gateway] = await Promise.all([pidOf(deps, port), gatewayAt(host, port)]);
  const command = pid === null ? null : await commandOf(deps, pid);
  const who = pid === null ? null : `process ${pid}${command === null ? "" : ` (${command})`} has the port`;
  if (gateway === null) return who;
  const what = `a dev-sessions gateway (${gateway}) runs there`;
  return who === null ? what : `${who}; ${what}`;
}

async function pidOf(deps: Deps, port: number): Promise<number | null> {
  const inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    listeningInodes(textOf(file) ?? "", port)
  );
  if (inodes.length > 0) return ownerOf(new Set(inodes));
  const listed = await deps.run("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fp"], {
    env: deps.env,
    timeoutMs: LSOF_TIMEOUT_MS,
  }).catch(() => null);
  const pid = listed?.kind === "exited" ? /^p(\d+)$/m.exec(listed.stdout)?.[1] : undefined;
  return pid === undefined ? null : Number(pid);
}

/** Inodes of the sockets that listen on a port, of a table as in `/proc/net/tcp`. Pure. */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return table.split("\n").slice(1).flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const isIt = fields[1]?.endsWith(`:${wanted}`) && fields[3] === LISTENING;
    return isIt && fields[9] !== undefined ? [fields[9]] : [];
  });
}

function ownerOf(inodes: ReadonlySet<string>): number | null {
  for (const name of namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const fd of namesIn(`/proc/${name}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${name}/fd/${fd}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return Number(name);
    }
  }
  return null;
}

async function commandOf(deps: Deps, pid: number): Promise<string | null> {
  const said = textOf(`/proc/${pid}/cmdline`)?.split("\0").join(" ").trim();
  if (said) return shortened(said);
  const listed = await deps.run("ps", ["-o", "command=", "-p", String(pid)], {
    env: deps.env,
    timeoutMs: LSOF_TIMEOUT_MS,
  }).catch(() => null);
  return listed?.kind === "exited" && listed.stdout.trim() !== "" ? shortened(listed.stdout.trim()) : null;
}

/** Its version; null when it is none, or does not answer. */
async function gatewayAt(host: string, port: number): Promise<string | null> {
  const health = await askHealth(host === "0.0.0.0" ? LOOPBACK : host, port);
  return health === null ? null : health.version?.slice(0, MAX_VERSION_CHARACTERS) ?? "0.4.4 or older";
}

function shortened(command: string): string {
  return command.length <= MAX_COMMAND_CHARACTERS
    ? command
    : `${command.slice(0, MAX_COMMAND_CHARACTERS)}...`;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}
