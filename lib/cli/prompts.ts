/**
 * Questions to a person at a terminal. They stand on stderr, so that stdout holds the result alone, and whoever turns
 * one down with Ctrl-C, Ctrl-D or Escape ends the command with exit code 130 before anything has changed.
 */

import type { Deps, Terminal } from "../deps.ts";
import { AppError } from "../errors.ts";
import type { CliContext } from "./verb.ts";

/** What a question needs of the context of a verb. */
export type Asking = Pick<CliContext, "deps" | "signal">;

export interface Choice<T extends string> {
  readonly value: T;
  /** Says more about it, when it is the one under the cursor. */
  readonly hint: string;
}

/** Whether somebody can be asked: a pipe at either end means a script, and DEV_SESSIONS_ID an agent. */
export function canAsk({ terminal, env }: Pick<Deps, "env"> & { readonly terminal: Terminal }): boolean {
  const { stdinIsTerminal, stdoutIsTerminal, stderrIsTerminal } = terminal;
  if ((env["DEV_SESSIONS_ID"] ?? "") !== "" || env["TERM"] === "dumb") return false;
  return stdinIsTerminal() && stdoutIsTerminal() && stderrIsTerminal();
}

/** Yes or no, with "no" to begin with. Only where `canAsk()`. @throws AppError (interrupted) for Ctrl-C. */
export function confirm(question: string, context: Asking): Promise<boolean> {
  return asked(context, (clack, io) => clack.confirm({ message: question, initialValue: false, ...io }));
}

/** One of a few. Only where `canAsk()`. @throws AppError (interrupted) for Ctrl-C. */
export function choose<const T extends string>(
  question: string,
  choices: readonly Choice<T>[],
  initial: T,
  context: Asking,
): Promise<T> {
  const options = choices.map(({ value, hint }) => ({ value: value as string, label: value, hint }));
  return asked(
    context,
    (clack, io) => clack.select({ message: question, options, initialValue: initial, ...io }) as Promise<T>,
  );
}

/**
 * A line of text; empty when none was given. Only where `canAsk()`.
 *
 * @param complaint why the line can't be taken, or null.
 * @throws AppError (interrupted) for Ctrl-C.
 */
export async function enter(
  question: string,
  placeholder: string,
  complaint: (line: string) => string | null,
  context: Asking,
): Promise<string> {
  const validate = (line: string | undefined) => complaint(line ?? "") ?? undefined;
  return await asked(
    context,
    (clack, io) => clack.text({ message: question, placeholder, validate, ...io }),
  ) ??
    "";
}

type Clack = typeof import("@clack/prompts");

async function asked<T>(
  { signal }: Asking,
  ask: (clack: Clack, io: ReturnType<typeof streams>) => Promise<T>,
): Promise<Exclude<T, symbol>> {
  const [clack, { default: process }] = await Promise.all([import("@clack/prompts"), import("node:process")]);
  // The prompt itself would go on showing, but take no more keys.
  const endOfInput = new AbortController();
  const onKey = (_: unknown, key: { readonly ctrl?: boolean; readonly name?: string } | undefined) => {
    if (key?.ctrl && key.name === "d") endOfInput.abort();
  };
  process.stdin.on("keypress", onKey);
  try {
    const answer = await ask(clack, streams(process, AbortSignal.any([signal, endOfInput.signal])));
    if (clack.isCancel(answer)) throw new AppError("interrupted", "Cancelled: nothing has changed");
    return answer as Exclude<T, symbol>;
  } finally {
    process.stdin.off("keypress", onKey);
  }
}

function streams({ stdin, stderr }: typeof import("node:process"), signal: AbortSignal) {
  return { input: stdin, output: stderr, signal };
}
