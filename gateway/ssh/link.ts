/** One process of ssh with the wire on its stdin and stdout; its stderr is read from the start, and never kept whole. */

import type { Clock } from "../../lib/deps.ts";
import { StdioCarrier } from "../stdio_carrier.ts";
import type { Destination } from "./command.ts";
import { type Ended, SSH_FAILED } from "./failures.ts";
import { type EarlyStarts, spawnSsh } from "./process.ts";

const KEPT_STDERR_CHARACTERS = 8_192;
/** From the end of its stdout to that of the process: a shared connection may keep stderr open for longer. */
const END_TIMEOUT_MS = 2_000;
/** What dev-sessions over there has to say to people begins like this. */
const NOTE = "[dev-sessions] ";

export interface LinkWorld {
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Pick<Clock, "sleep">;
  readonly note: (line: string) => void;
  readonly started: EarlyStarts;
}

export interface SshLink {
  readonly carrier: StdioCarrier;
  /** Resolves when the process has ended. */
  readonly gone: Promise<void>;
  /** How it ended, as far as that is known soon. */
  ended(): Promise<Omit<Ended, "printed">>;
  /** Hangs up: what has been asked is still answered over there. */
  close(): void;
  kill(): void;
}

/** Null when there is no ssh. */
export function startSsh(destination: Destination, world: LinkWorld): SshLink | null {
  const child = world.started.take(destination) ?? spawnSsh(destination, world.env);
  if (child === null) return null;
  let code: number | null = null;
  // What a signal has ended says nothing of the other host.
  const gone = child.status.then((status) => void (code = status.signal === null ? status.code : SSH_FAILED));
  const errors = new Errors(child.stderr, destination.host, world.note);
  const carrier = new StdioCarrier({ readable: child.stdout, writable: child.stdin }, {
    where: destination.host,
    clock: world.clock,
  });
  return {
    carrier,
    gone,
    async ended() {
      const done = new AbortController();
      await Promise.race([gone, world.clock.sleep(END_TIMEOUT_MS, done.signal)]);
      if (code !== null) await Promise.race([errors.read, world.clock.sleep(100, done.signal)]);
      done.abort();
      return { code, stderr: errors.text };
    },
    close() {
      void carrier.close();
      errors.stop();
    },
    kill() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended.
      }
      this.close();
    },
  };
}

class Errors {
  text = "";
  readonly read: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest = "";

  constructor(
    stream: ReadableStream<Uint8Array>,
    private readonly host: string,
    private readonly note: (line: string) => void,
  ) {
    this.#reader = stream.getReader();
    this.read = this.#read().catch(() => {});
  }

  stop(): void {
    void this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#take(decoder.decode(value, { stream: true }));
    }
  }

  #take(text: string): void {
    this.text = (this.text + text).slice(-KEPT_STDERR_CHARACTERS);
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-KEPT_STDERR_CHARACTERS);
    for (const line of lines) {
      if (line.startsWith(NOTE)) this.note(`${this.host}: ${line.slice(NOTE.length).trimEnd()}`);
    }
  }
}
