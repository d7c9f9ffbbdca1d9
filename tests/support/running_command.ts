/** A child process whose output is collected from its start and that always can be ended. */

import { signal } from "./processes.ts";

export interface RunOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A process under way; its output is collected from the start. */
export class RunningCommand implements AsyncDisposable {
  readonly #began = performance.now();
  readonly #chunks = { stdout: "", stderr: "" };
  readonly #reading: Promise<void>[];
  readonly #readers: ReadableStreamDefaultReader<string>[] = [];

  constructor(readonly child: Deno.ChildProcess, stdin: string | Uint8Array<ArrayBuffer> | undefined) {
    this.#reading = [this.#collect("stdout"), this.#collect("stderr")];
    if (stdin === undefined) return;
    const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
    const writer = child.stdin.getWriter();
    this.#reading.push(writer.write(bytes).then(() => writer.close()).catch(() => {}));
  }

  get pid(): number {
    return this.child.pid;
  }
  get stdout(): string {
    return this.#chunks.stdout;
  }
  get stderr(): string {
    return this.#chunks.stderr;
  }

  kill(name: Deno.Signal): void {
    signal(this.pid, name);
  }

  /** Waits for the end of the process and of its output; 128 + signal number when a signal ended it. */
  async done(): Promise<RunOutput> {
    const status = await this.child.status;
    await Promise.all(this.#reading);
    return {
      code: status.code,
      stdout: this.stdout,
      stderr: this.stderr,
      ms: performance.now() - this.#began,
    };
  }

  /** As `done()`, but kills it after the time. @throws Error with the output so far. */
  async doneWithin(timeoutMs: number, what: string): Promise<RunOutput> {
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), timeoutMs);
    const output = await Promise.race([this.done(), late.promise]);
    clearTimeout(timer);
    if (output !== null) return output;
    await this.end();
    throw new Error(`Not within ${timeoutMs} ms: ${what}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`);
  }

  /** Kills it and stops reading, even when a descendant keeps the pipes open. */
  async end(): Promise<void> {
    this.kill("SIGKILL");
    await this.child.status;
    for (const reader of this.#readers) await reader.cancel().catch(() => {});
    await Promise.all(this.#reading);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async #collect(name: "stdout" | "stderr"): Promise<void> {
    const reader = this.child[name].pipeThrough(new TextDecoderStream()).getReader();
    this.#readers.push(reader);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#chunks[name] += value;
    }
  }
}
