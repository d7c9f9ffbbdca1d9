/** Starts ssh. Alone in its file, so that the other host is already at work while the rest of us is still being read. */

import { type Destination, sshArguments } from "./command.ts";
import { controlPath } from "./control_path.ts";

/** Null when there is no ssh. @throws AppError (usage) for what is no host. */
export function spawnSsh(
  destination: Destination,
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess | null {
  const args = sshArguments(destination, { kind: "rpc" }, controlPath(env, Deno.uid() ?? 0));
  try {
    return new Deno.Command("ssh", {
      args,
      clearEnv: true,
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A Ctrl-C at our terminal is for us: what is asked is then cancelled over there, and not cut off.
      detached: true,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Processes that were started before anybody has asked for their connection. */
export class EarlyStarts {
  readonly #started = new Map<string, Deno.ChildProcess>();

  /** At most once for each destination. */
  start(destination: Destination, env: Readonly<Record<string, string>>): void {
    const name = nameOf(destination);
    if (this.#started.has(name)) return;
    const child = spawnSsh(destination, env);
    if (child !== null) this.#started.set(name, child);
  }

  take(destination: Destination): Deno.ChildProcess | null {
    const name = nameOf(destination);
    const child = this.#started.get(name) ?? null;
    this.#started.delete(name);
    return child;
  }

  /** Ends what nobody has taken. */
  close(): void {
    for (const child of this.#started.values()) {
      for (const stream of [child.stdout, child.stderr]) void stream.cancel().catch(() => {});
      void child.stdin.close().catch(() => {});
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended.
      }
    }
    this.#started.clear();
  }
}

function nameOf({ host, remoteBin }: Destination): string {
  return JSON.stringify([host, remoteBin]);
}
