/** What a verb is to the command tree: parsed and checked once, then run with the outside world given to it. */

import type { CommandContext } from "@stricli/core";
import type { Deps } from "../deps.ts";
import { AppError } from "../errors.ts";
import type { SessionService } from "../service.ts";
import type { Result } from "./output.ts";

/** What a verb needs to run; the service is opened by the first call of `service()`. */
export interface CliContext {
  readonly deps: Deps;
  /** Aborted by SIGINT and SIGTERM while a long verb runs; never aborted for the others. */
  readonly signal: AbortSignal;
  service(): Promise<SessionService>;
  /** Runs a program that takes over this terminal; its exit code, or null when there is no such program. */
  runInTerminal(
    command: string,
    args: readonly string[],
    env: Deps["env"],
    cwd?: string,
  ): Promise<number | null>;
}

/** A command line that was understood, ready to run. */
export interface Invocation {
  readonly json: boolean;
  /** Long verbs end by themselves after SIGINT and SIGTERM; the others are ended by the system. */
  readonly long: boolean;
  readonly run: (context: CliContext) => Promise<Result> | AsyncIterable<Result>;
}

/** What a verb's constructor may look at, and where it puts the invocation it made. */
export interface ParseContext extends CommandContext {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: () => string;
  readonly accept: (invocation: Invocation) => void;
}

/** @returns the error of a call that must be fixed by the caller. */
export function usageError(message: string, detail: string | null = null): AppError {
  return new AppError("usage", message, detail);
}

/** An invocation that only says something. */
export function answer(text: string): Invocation {
  return { json: false, long: false, run: () => Promise.resolve({ text }) };
}
