/**
 * The only printer: every result goes to stdout once, as text or as JSON, and everything else to stderr. What is
 * printed to a terminal holds no control sequences.
 */

import { AppError, EXIT_CODES, messageOf } from "../errors.ts";
import type { Terminal } from "../deps.ts";

/** What a verb came to, or one piece of it; verbs that learn their result bit by bit yield several. */
export interface Result {
  /** For people and shells, printed with a line end; null prints nothing. */
  readonly text?: string | null;
  /** For `--json`; undefined prints nothing. */
  readonly json?: unknown;
  /** `indented` by two spaces (default) or `compact` on one line. */
  readonly layout?: "indented" | "compact";
  /** Lines for stderr, printed before the result. */
  readonly notes?: readonly string[];
  /** One line, safe for a terminal, that stands on stderr until anything else is printed; terminals only. */
  readonly progress?: string;
  /** What stderr has in place of a result that could not be printed, where it is a secret. */
  readonly unprinted?: string;
  /** Printed on stderr after the result; its code makes the exit code. */
  readonly failure?: AppError | null;
}

/** A result that is only lines on stderr. */
export function note(...lines: readonly string[]): Result {
  return { notes: lines };
}

export interface OutputOptions {
  readonly json: boolean;
  /** Prints the stack of unexpected errors. */
  readonly debug: boolean;
}

const ST = "(?:\\x1b\\\\|\\x9c)";
const BODY = "[^\\x07\\x1b\\x80-\\x9f]*";
const ESCAPES = new RegExp(
  [
    `(?:\\x1b\\]|\\x9d)${BODY}(?:\\x07|${ST})`, // OSC: titles, links, clipboard
    `(?:\\x1b[PX^_]|[\\x90\\x98\\x9e\\x9f])[^\\x1b\\x80-\\x9f]*${ST}`, // DCS, SOS, PM, APC
    "(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]", // CSI: colours, cursor, modes
    "\\x1b[ -/]*[0-~]", // every other escape sequence
  ].join("|"),
  "g",
);
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Of a result that goes to stderr, since stdout can't be written. */
const MAX_LOST_CHARACTERS = 2_000;

/** Most cells: printable ASCII, no two blanks together, none at the ends. */
const PLAIN_LINE = /^(?:[!-~]+(?: [!-~]+)*)?$/;

/** The text without escape sequences, control characters (but `\n` and `\t`) and bidirectional overrides. */
export function forTerminal(text: string): string {
  return text.replace(ESCAPES, "").replace(CONTROLS, "");
}

/** The text on one line, safe to stand in a table. */
export function oneLine(text: string): string {
  if (PLAIN_LINE.test(text)) return text;
  return forTerminal(text.replace(/\s+/g, " ")).trim();
}

/**
 * Rows under a header with dashes, cells padded to the widest and two spaces apart.
 *
 * @param depths of the rows in a tree: the first cell is indented by two spaces for each level.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  depths: readonly number[] = [],
): string {
  // Most cells say what the one above them says.
  const known = new Map<string, string>();
  const cell = (text: string) => {
    let line = known.get(text);
    if (line === undefined) known.set(text, line = oneLine(text));
    return line;
  };
  const cells = rows.map((row, index) => {
    const [first = "", ...others] = row.map(cell);
    return ["  ".repeat(depths[index] ?? 0) + first, ...others];
  });
  const widths = header.map((title, column) =>
    cells.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), title.length)
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}

/** Where a progress line stands. */
const inProgress = new WeakSet<Terminal>();
const ERASE_LINE = "\r\x1b[2K";

function showProgress(terminal: Terminal, line: string): void {
  if (!terminal.stderrIsTerminal()) return;
  terminal.writeErr(`${ERASE_LINE}${forTerminal(line)}`);
  inProgress.add(terminal);
}

/** Removes the progress line, if there is one. */
export function clearProgress(terminal: Terminal): void {
  if (inProgress.delete(terminal)) terminal.writeErr(ERASE_LINE);
}

/**
 * @throws Deno.errors.BrokenPipe when stdout's reader has gone.
 * @throws AppError that tells the result, when stdout can't be written for another reason.
 */
export function printResult(terminal: Terminal, result: Result, options: OutputOptions): void {
  if (result.progress !== undefined) return showProgress(terminal, result.progress);
  clearProgress(terminal);
  for (const note of result.notes ?? []) writeErr(terminal, `${note}\n`);
  const text = options.json ? jsonText(result) : result.text;
  let lost: AppError | null = null;
  if (text !== null && text !== undefined) {
    try {
      writeOut(terminal, `${text}\n`);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw error;
      lost = cannotPrint(result.unprinted ?? text, error);
    }
  }
  if (result.failure) printError(terminal, result.failure, options);
  if (lost !== null) throw lost;
}

/** Returns the exit code that belongs to the error. */
export function printError(terminal: Terminal, error: unknown, options: OutputOptions): number {
  clearProgress(terminal);
  const known = error instanceof AppError ? error : unexpected(error, options.debug);
  const exitCode = EXIT_CODES[known.code];
  if (options.json) {
    const { code, message, detail } = known;
    writeErr(terminal, `${JSON.stringify({ error: { code, message, exitCode, detail } })}\n`);
  } else {
    const detail = known.detail?.split("\n").map((line) => line === "" ? "" : `  ${line}`) ?? [];
    writeErr(terminal, [known.message.replace(/\s*\n\s*/g, " "), ...detail].join("\n") + "\n");
  }
  return exitCode;
}

function unexpected(error: unknown, debug: boolean): AppError {
  const message = messageOf(error).replace(/\s+/g, " ").trim() || "no reason given";
  const stop = /[.!?]$/.test(message) ? "" : ".";
  const hint = debug ? "" : " Please run again with DEV_SESSIONS_DEBUG=1 to see where";
  const stack = debug && error instanceof Error ? error.stack ?? null : null;
  return new AppError("failure", `dev-sessions failed unexpectedly: ${message}${stop}${hint}`, stack);
}

/** What was done is done, and may not be done twice: who can't read stdout must learn of it all the same. */
function cannotPrint(result: string, error: unknown): AppError {
  const shown = result.length <= MAX_LOST_CHARACTERS ? result : `${result.slice(0, MAX_LOST_CHARACTERS)} ...`;
  return new AppError(
    "failure",
    `Cannot write the result to stdout: ${messageOf(error)}. The command was carried out; its result was:`,
    shown,
  );
}

function jsonText(result: Result): string | null {
  if (result.json === undefined) return null;
  return JSON.stringify(result.json, null, result.layout === "compact" ? undefined : 2);
}

function writeOut(terminal: Terminal, text: string): void {
  terminal.writeOut(terminal.stdoutIsTerminal() ? forTerminal(text) : text);
}

function writeErr(terminal: Terminal, text: string): void {
  terminal.writeErr(terminal.stderrIsTerminal() ? forTerminal(text) : text);
}
