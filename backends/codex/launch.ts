/** Starts a program that outlives us and our terminal, with its output in a log file. */

import { boundLog } from "./server_log.ts";

/**
 * Closes what we inherited ourselves, e.g. a pipe whose reader waits for its end, then becomes the program: same
 * process. Only bash can close two-digit descriptors; another shell closes the rest.
 */
const SCRIPT = `log=$1; shift
for fd in /dev/fd/*; do fd=\${fd##*/}
  case $fd in 0|1|2) ;; [3-9]) eval "exec $fd>&-" ;; *[!0-9]*) ;; *) [ -z "$BASH_VERSION" ] || eval "exec $fd>&-" ;; esac
done
exec "$@" >>"$log" 2>&1`;

export interface Launched {
  readonly pid: number;
  /** Settles when it has ended, while we live. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Where its output begins in the log. */
  readonly logStart: number;
}

/** In a session and process group of its own, in `/`, with no input. */
export async function launchDetached(
  program: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly log: string },
): Promise<Launched> {
  const { env, log } = options;
  await boundLog(log);
  using file = await Deno.open(log, { append: true, create: true, mode: 0o600 });
  const logStart = (await file.stat()).size;
  const child = spawnShell([SCRIPT, "sh", log, program, ...args], env);
  child.unref();
  return { pid: child.pid, ended: child.status, logStart };
}

function spawnShell(args: readonly string[], env: Readonly<Record<string, string>>): Deno.ChildProcess {
  const options: Deno.CommandOptions = {
    clearEnv: true,
    env: { ...env },
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  };
  try {
    // -p: without the user's BASH_ENV.
    return new Deno.Command("/bin/bash", { ...options, args: ["-p", "-c", ...args] }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return new Deno.Command("/bin/sh", { ...options, args: ["-c", ...args] }).spawn();
  }
}
