/** The outside world as one value: clock, environment, processes and terminal. Built once, in `realDeps()`. */

import type { Program } from "./self_command.ts";
import type { ProcessIdentity } from "./session.ts";

export interface RunOptions {
  /** The complete environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly stdin?: string;
  readonly cwd?: string;
}

/** `timed_out`: the child was killed, but what it asked of a server may still be carried out. */
export type RunResult =
  | { readonly kind: "exited"; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "timed_out" }
  | { readonly kind: "not_found" };

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go backwards and do not count a suspended machine. */
  monotonic(): number;
  /** Resolves early, without an error, when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Terminal {
  readonly stdinIsTerminal: () => boolean;
  readonly stdoutIsTerminal: () => boolean;
  readonly stderrIsTerminal: () => boolean;
  /** Of the terminal, in cells; left out where there is none. */
  readonly columns?: () => number;
  readonly readStdin: () => Promise<Uint8Array>;
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
}

export interface Deps {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: () => string;
  readonly clock: Clock;
  readonly terminal: Terminal;
  readonly randomUuid: () => string;
  /** How this dev-sessions runs; to start it again, use `selfCommand()`. @throws AppError when its file is gone. */
  readonly program: () => Program;
  run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult>;
  /** Which of these processes live; one system call or one `ps` for all. */
  processStates(identities: readonly ProcessIdentity[]): Promise<readonly ("alive" | "dead" | "unknown")[]>;
  /** Null when there is no such process. */
  identify(pid: number): Promise<ProcessIdentity | null>;
}
