/** Starts a program that outlives us and our terminal, with its output in a log file of bounded size. */

/** Measured: 0.169.0 writes a few lines per start, but a user's RUST_LOG may want more. */
export const LOG_LIMIT_BYTES = 4_000_000;
const LOG_TAIL_BYTES = 2_000;

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

/** Whether it is time for `boundLog()`. */
export function isLogFull(path: string): boolean {
  try {
    return Deno.statSync(path).size > LOG_LIMIT_BYTES;
  } catch {
    return false;
  }
}

/** Moves what a log holds to `<log>.1` once it is full; whoever is appending to it goes on at its start. Hold the lock. */
export async function boundLog(path: string): Promise<void> {
  if (!isLogFull(path)) return;
  await Deno.copyFile(path, `${path}.1`);
  await Deno.chmod(`${path}.1`, 0o600);
  await Deno.truncate(path, 0);
}

/** The last lines of a log after a position. */
export async function logTail(path: string, start: number): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const from = Math.max(start <= size ? start : 0, size - LOG_TAIL_BYTES);
    await file.seek(from, Deno.SeekMode.Start);
    const buffer = new Uint8Array(LOG_TAIL_BYTES);
    const text = new TextDecoder().decode(buffer.subarray(0, await file.read(buffer) ?? 0));
    // deno-lint-ignore no-control-regex
    return text.replaceAll(/\x1b\[[0-9;]*m/g, "").trim();
  } catch {
    return "";
  }
}
