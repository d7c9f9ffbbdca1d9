/** Finds processes by what their environment carries, so that a test ends and counts only its own (Linux). */

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

async function read(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return null; // Gone, or another user's.
  }
}

/** Everything after the command's name in `/proc/<pid>/stat`: state, parent, ... */
async function statOf(pid: number): Promise<string[] | null> {
  const stat = await read(`/proc/${pid}/stat`);
  return stat === null ? null : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** True while the process exists and is no zombie. */
export async function isRunning(pid: number): Promise<boolean> {
  const state = (await statOf(pid))?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** The running processes whose environment has one of these `NAME=value` entries, and their descendants. */
export async function processesWith(entries: readonly string[]): Promise<FoundProcess[]> {
  const found = new Map<number, FoundProcess>();
  const parents = new Map<number, number>();
  for await (const { name } of Deno.readDir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    const stat = await statOf(pid);
    if (stat === null || stat[0] === "Z" || stat[0] === "X") continue;
    parents.set(pid, Number(stat[1]));
    const environment = (await read(`/proc/${pid}/environ`))?.split("\0") ?? [];
    if (environment.some((entry) => entries.includes(entry))) found.set(pid, await describe(pid));
  }
  for (let grown = true; grown;) {
    grown = false;
    for (const [pid, parent] of parents) {
      if (found.has(pid) || !found.has(parent)) continue;
      found.set(pid, await describe(pid));
      grown = true;
    }
  }
  return [...found.values()];
}

async function describe(pid: number): Promise<FoundProcess> {
  const command = (await read(`/proc/${pid}/cmdline`))?.replaceAll("\0", " ").trim() ?? "";
  return { pid, command };
}

/** Signals a process; one that has ended is no error. */
export function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
  }
}
