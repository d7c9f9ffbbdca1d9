/** The real outside world: clock, environment, terminal and child processes. No child or timer outlives its call. */

import type { Clock, Deps, RunOptions, RunResult, Terminal } from "./deps.ts";
import { currentFolder, takeFolderForGone } from "./current_folder.ts";
import { isFolder } from "./files.ts";
import { identify, processStates } from "./process_identity.ts";
import { MESSAGE_LIMIT_BYTES } from "./message_text.ts";
import { readBounded } from "./read_bounded.ts";
import { currentProgram, takeLauncher } from "./self_command.ts";

/** The longest delay that timers know; longer ones would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Of a terminal that does not tell its width. */
const USUAL_COLUMNS = 80;
/** Pause before writing again to a pipe that is full and does not block. */
const FULL_PIPE_PAUSE_MS = 5;
const CHUNK_BYTES = 65_536;

interface SyncWriter {
  writeSync(bytes: Uint8Array): number;
}

export function realDeps(): Deps {
  const { env, launcher, folderIsGone } = takeLauncher(Deno.env.toObject());
  if (folderIsGone) takeFolderForGone();
  return {
    env,
    cwd: currentFolder,
    clock: realClock,
    terminal: realTerminal,
    randomUuid: () => crypto.randomUUID(),
    program: () => currentProgram(env, launcher),
    run: runProcess,
    processStates: (identities) => processStates(identities, runProcess),
    identify: (pid) => identify(pid, runProcess),
  };
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    for (let left = ms; left > 0 && !signal?.aborted; left -= LONGEST_TIMER_MS) {
      await pause(Math.min(left, LONGEST_TIMER_MS), signal);
    }
  },
};

/**
 * With a signal's timer, since the first `setTimeout` of a process loads Node's timers, 5 ms (measured with Deno
 * 2.9.6). A timer that nobody listens to any more keeps nothing alive.
 */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = AbortSignal.timeout(ms);
    const done = () => {
      timer.removeEventListener("abort", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    timer.addEventListener("abort", done);
    signal?.addEventListener("abort", done);
  });
}

const realTerminal: Terminal = {
  stdinIsTerminal: () => Deno.stdin.isTerminal(),
  stdoutIsTerminal: () => Deno.stdout.isTerminal(),
  stderrIsTerminal: () => Deno.stderr.isTerminal(),
  columns: () => {
    try {
      return Deno.consoleSize().columns || USUAL_COLUMNS;
    } catch {
      return USUAL_COLUMNS;
    }
  },
  // One byte more than a message may have, so that the caller sees that there is more.
  readStdin: () => readBounded(Deno.stdin, MESSAGE_LIMIT_BYTES + 1),
  writeOut: (text) => writeAll(Deno.stdout, text),
  writeErr: (text) => {
    try {
      writeAll(Deno.stderr, text);
    } catch {
      // Nobody reads it; the exit code still tells.
    }
  },
};

/** Stdin and stdout as bytes, for a program at the other end. Without web streams, which cost milliseconds to load. */
export function stdioBytes() {
  return {
    readable: {
      [Symbol.asyncIterator]: () => chunksOf(Deno.stdin),
      // What waits for more is left to the end of the process.
      cancel: () => Promise.resolve(),
    },
    writable: { getWriter: () => new QueuedWriter(Deno.stdout) },
  };
}

async function* chunksOf(reader: { read(buffer: Uint8Array): Promise<number | null> }) {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let length = await reader.read(buffer); length !== null; length = await reader.read(buffer)) {
    yield buffer.slice(0, length);
  }
}

/** Writes in the order of its calls, each wholly. */
class QueuedWriter {
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly writer: { write(bytes: Uint8Array): Promise<number> }) {}

  write(bytes: Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#whole(bytes));
    this.#last = written.catch(() => {});
    return written;
  }

  async #whole(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.writer.write(bytes.subarray(at));
  }

  async close(): Promise<void> {
    await this.#last;
  }
}

/** @throws Deno.errors.BrokenPipe when the reader has gone. */
export function writeAll(writer: SyncWriter, text: string): void {
  const bytes = new TextEncoder().encode(text);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writer.writeSync(bytes.subarray(written));
    } catch (error) {
      // Whoever started us may have made the pipe non-blocking.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
    }
  }
}

/** Runs a program to its end, or kills it when its time is up. Its descendants are not waited for. */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args: [...args],
      clearEnv: true,
      env: { ...options.env },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (options.cwd === undefined || isFolder(options.cwd)) return { kind: "not_found" };
    throw new Error(`Cannot run "${command}" in "${options.cwd}": there is no such folder`, { cause: error });
  }
  const expired = AbortSignal.timeout(Math.min(options.timeoutMs, LONGEST_TIMER_MS));
  const [stdout, stderr, status] = await Promise.all([
    collect(child.stdout, expired),
    collect(child.stderr, expired),
    ended(child, expired),
    options.stdin === undefined ? null : feed(child.stdin, options.stdin, expired),
  ]);
  if (expired.aborted) return { kind: "timed_out" };
  return { kind: "exited", code: status.code, stdout, stderr };
}

async function ended(child: Deno.ChildProcess, expired: AbortSignal): Promise<Deno.CommandStatus> {
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  };
  expired.addEventListener("abort", kill);
  try {
    return await child.status;
  } finally {
    expired.removeEventListener("abort", kill);
  }
}

/** A descendant may keep the pipe open after the child's end; the time limit ends that, too. */
async function collect(stream: ReadableStream<Uint8Array>, expired: AbortSignal): Promise<string> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  expired.addEventListener("abort", cancel);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    expired.removeEventListener("abort", cancel);
    reader.releaseLock();
  }
}

async function feed(stream: WritableStream<Uint8Array>, text: string, expired: AbortSignal): Promise<void> {
  const writer = stream.getWriter();
  const abort = () => void writer.abort().catch(() => {});
  expired.addEventListener("abort", abort);
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It ended without reading everything; its exit code tells why.
  } finally {
    expired.removeEventListener("abort", abort);
  }
}

/** Runs a program that takes over this terminal; its exit code, or null when there is no such program. */
export async function runInTerminal(
  command: string,
  args: readonly string[],
  env: Deps["env"],
  cwd?: string,
): Promise<number | null> {
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      clearEnv: true,
      env: { ...env },
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    });
    return (await child.spawn().status).code;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The last so many arguments of this process as they were given to it; null where the system does not tell. */
export function argumentBytes(count: number): Uint8Array[] | null {
  let line: Uint8Array;
  try {
    line = Deno.readFileSync("/proc/self/cmdline");
  } catch {
    return null;
  }
  const found: Uint8Array[] = [];
  for (let begin = 0, end = line.indexOf(0); end !== -1; begin = end + 1, end = line.indexOf(0, begin)) {
    found.push(line.subarray(begin, end));
  }
  return found.length < count ? null : found.slice(found.length - count);
}

const STOP_SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];

/** Calls `stop` at the first SIGINT or SIGTERM; a second one ends the process as usual. Returns how to stop listening. */
export function onStop(stop: () => void): () => void {
  const silence = () => {
    for (const signal of STOP_SIGNALS) Deno.removeSignalListener(signal, listener);
  };
  const listener = () => {
    silence();
    stop();
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, listener);
  return silence;
}
