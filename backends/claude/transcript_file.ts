/**
 * Reads transcripts in blocks, from either end: memory is bounded by the block and the longest line, reading from
 * the end costs the same for every size of file, and no file is left open. Of one that a container can write to, lines
 * are passed over that no agent writes, and one reading parses no more than an `Allowance`.
 */

import { Allowance, isTooHeavy } from "../docker/allowance.ts";
import { openShared, sharedFolderOf } from "../docker/shared_files.ts";
import { type Mark, parseLine, parseObject } from "./transcript.ts";

const FIRST_BLOCK_BYTES = 64 * 1024;
const MAX_BLOCK_BYTES = 1024 * 1024;
/**
 * Of a container's line. The largest that Claude writes hold an image, up to 5 MB of base64, once for the model and once
 * for itself.
 */
export const MAX_SHARED_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;
const DECODER = new TextDecoder();

/** @param offset where the mark's line begins, in bytes. */
export type Visit = (mark: Mark, offset: number) => "continue" | "stop";

export type BackwardRead =
  | { readonly result: "missing" }
  | {
    /** Why it ended: the visitor, the start of the file, or `maxBytes` or the allowance. */
    readonly result: "stopped" | "start" | "limit";
    /** Of the file, in bytes. */
    readonly size: number;
    /** Behind the last complete line: where `readForwards` goes on. */
    readonly offset: number;
  };

export type ForwardRead =
  | { readonly result: "missing" }
  /** The file is shorter than the offset: it is another one now, to be read from 0. */
  | { readonly result: "rewritten"; readonly size: number }
  /** `offset`: where to go on; `more`: there is something to read there, for which the allowance did not suffice. */
  | { readonly result: "read"; readonly offset: number; readonly more?: true };

/**
 * Visits the marks from the last to the first. A last line without a newline counts once it is whole.
 * @param options.maxBytes how far from the end to read; the default is the whole file.
 * @throws what Deno throws when the file exists and can't be read.
 */
export function readBackwards(
  path: string,
  visit: Visit,
  options: { readonly maxBytes?: number } = {},
): BackwardRead {
  using file = openRegular(path);
  if (file === null) return { result: "missing" };
  const size = file.statSync().size;
  const limit = Math.max(0, size - (options.maxBytes ?? size));
  const allowance = allowanceFor(path);
  // The line whose beginning lies in a block not yet read, its last piece first.
  let line = new Pieces(allowance);
  let atEnd = true;
  let offset = 0;

  const take = (bytes: Uint8Array | null, start: number): "continue" | "stop" | "spent" => {
    if (bytes === null) {
      if (atEnd) offset = size;
      atEnd = false;
      return "continue";
    }
    const text = DECODER.decode(bytes);
    const judgement = allowance?.judge(text) ?? "light";
    if (judgement === "spent") return "spent";
    if (atEnd) {
      atEnd = false;
      const whole = bytes.length === 0 || judgement !== "light" || parseObject(text) !== null;
      offset = whole ? size : start;
      if (!whole) return "continue";
    }
    if (judgement !== "light") return "continue";
    const marks = parseLine(text);
    for (let i = marks.length - 1; i >= 0; i--) {
      if (visit(marks[i]!, start) === "stop") return "stop";
    }
    return "continue";
  };

  let blockBytes = FIRST_BLOCK_BYTES;
  let position = size;
  while (position > limit) {
    const start = Math.max(limit, position - blockBytes);
    const block = new Uint8Array(position - start);
    // Shorter than its size says: it was cut while being read, and what was read before is no longer its end.
    if (readAt(file, block, start) < block.length) return { result: "limit", size, offset };
    let end = block.length;
    for (;;) {
      const newline = end === 0 ? -1 : block.lastIndexOf(NEWLINE, end - 1);
      if (newline === -1) break;
      line.push(block.subarray(newline + 1, end));
      const bytes = line.joinReversed();
      line = new Pieces(allowance);
      const taken = take(bytes, start + newline + 1);
      if (taken !== "continue") return { result: taken === "stop" ? "stopped" : "limit", size, offset };
      end = newline;
    }
    if (end > 0) line.push(block.subarray(0, end));
    position = start;
    blockBytes = Math.min(blockBytes * 2, MAX_BLOCK_BYTES);
  }
  if (limit > 0) return { result: "limit", size, offset: atEnd ? limit : offset };
  switch (take(line.joinReversed(), 0)) {
    case "stop":
      return { result: "stopped", size, offset };
    case "spent":
      return { result: "limit", size, offset };
    case "continue":
      return { result: "start", size, offset };
  }
}

/**
 * Visits the marks from an offset on, up to the last complete line; one that is still being written is left for the
 * next call. An offset within a line skips that line.
 * @throws what Deno throws when the file exists and can't be read.
 */
export function readForwards(path: string, fromOffset: number, visit: Visit): ForwardRead {
  return readLines(path, fromOffset, ({ text, offset }) => {
    for (const mark of parseLine(text)) if (visit(mark, offset) === "stop") return "stop";
    return "continue";
  });
}

/** As `readForwards`, but with the lines as they are. */
export function readLines(
  path: string,
  fromOffset: number,
  visit: (line: Line & { readonly text: string }) => "continue" | "stop",
): ForwardRead {
  using file = openRegular(path);
  if (file === null) return { result: "missing" };
  const size = file.statSync().size;
  if (size < fromOffset) return { result: "rewritten", size };
  const allowance = allowanceFor(path);
  const lines = new LineReader(fromOffset, allowance);
  const take = ({ text, offset, end }: Line): ForwardRead | null => {
    const judgement = text === null ? "too heavy" : allowance?.judge(text) ?? "light";
    if (judgement === "spent") return { result: "read", offset, more: true };
    if (text === null || judgement === "too heavy") return null;
    return visit({ text, offset, end }) === "stop" ? { result: "read", offset: end } : null;
  };
  const block = new Uint8Array(Math.min(MAX_BLOCK_BYTES, Math.max(1, size - fromOffset)));
  file.seekSync(fromOffset, Deno.SeekMode.Start);
  for (let left = allowance === null ? Infinity : size - fromOffset; left > 0;) {
    const count = file.readSync(block.subarray(0, Math.min(left, block.length)));
    if (count === null) break;
    left -= count;
    for (const line of lines.push(block.subarray(0, count))) {
      const over = take(line);
      if (over !== null) return over;
    }
  }
  const last = lines.rest();
  return (last === null ? null : take(last)) ?? { result: "read", offset: lines.offset };
}

/** The marks of the whole file from its start, without loading it whole; none when it is missing. */
export async function* entries(path: string): AsyncGenerator<Mark> {
  using file = openRegular(path);
  if (file === null) return;
  const isShared = sharedFolderOf(path) !== null;
  const lines = new LineReader(0, isShared ? new Allowance() : null);
  // Other things are done between two blocks: it is a single line that must not take long.
  const marksOf = ({ text }: Line) => text === null || (isShared && isTooHeavy(text)) ? [] : parseLine(text);
  const block = new Uint8Array(MAX_BLOCK_BYTES);
  for (let left = isShared ? file.statSync().size : Infinity; left > 0;) {
    const count = await file.read(block.subarray(0, Math.min(left, block.length)));
    if (count === null) break;
    left -= count;
    for (const line of lines.push(block.subarray(0, count))) yield* marksOf(line);
  }
  const last = lines.rest();
  if (last !== null) yield* marksOf(last);
}

interface Line {
  /** Null: longer than a line of a container may be. */
  readonly text: string | null;
  readonly offset: number;
  /** Behind its newline. */
  readonly end: number;
}

/** Cuts blocks, as they come, into lines. */
class LineReader {
  #pieces: Pieces;

  /** @param offset where the next line begins. */
  constructor(public offset: number, private readonly allowance: Allowance | null) {
    this.#pieces = new Pieces(allowance);
  }

  *push(block: Uint8Array): Generator<Line> {
    let start = 0;
    for (;;) {
      const newline = block.indexOf(NEWLINE, start);
      if (newline === -1) break;
      yield this.#line(block.subarray(start, newline), 1);
      start = newline + 1;
    }
    // The caller reads its next block into the same memory.
    if (start < block.length) this.#pieces.push(block.slice(start));
  }

  /**
   * The line without a newline at the end; null when there is none or it is not yet whole. One that is too long is
   * passed over as far as it goes, so that nobody reads it again and again while it grows.
   */
  rest(): Line | null {
    if (this.#pieces.length === 0) return null;
    const bytes = this.#pieces.join();
    if (bytes !== null) {
      const text = DECODER.decode(bytes);
      if (this.allowance !== null && isTooHeavy(text)) return null;
      if (parseObject(text) === null) return null;
    }
    return this.#line(new Uint8Array(), 0);
  }

  #line(tail: Uint8Array, newlineBytes: 0 | 1): Line {
    const { offset } = this;
    if (this.#pieces.length === 0) {
      this.offset += tail.length + newlineBytes;
      return { text: DECODER.decode(tail), offset, end: this.offset };
    }
    const pieces = this.#pieces;
    this.#pieces = new Pieces(this.allowance);
    pieces.push(tail);
    this.offset += pieces.length + newlineBytes;
    const bytes = pieces.join();
    return { text: bytes === null ? null : DECODER.decode(bytes), offset, end: this.offset };
  }
}

/** Of one line; of a container's line that is too long nothing is kept but its length. */
class Pieces {
  #pieces: Uint8Array[] = [];
  #length = 0;
  readonly #maxBytes: number;

  constructor(allowance: Allowance | null) {
    this.#maxBytes = allowance === null ? Infinity : MAX_SHARED_LINE_BYTES;
  }

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  push(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > this.#maxBytes) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  /** Null: too long. */
  join(): Uint8Array | null {
    return this.#length > this.#maxBytes ? null : join(this.#pieces);
  }

  joinReversed(): Uint8Array | null {
    return this.#length > this.#maxBytes ? null : join(this.#pieces.reverse());
  }
}

function allowanceFor(path: string): Allowance | null {
  return sharedFolderOf(path) === null ? null : new Allowance();
}

/** Null when there is no such file. Anything but a regular file is none: opening a FIFO would wait forever. */
export function openRegular(path: string): Deno.FsFile | null {
  const shared = sharedFolderOf(path);
  if (shared !== null) return openShared(path, shared);
  try {
    return Deno.statSync(path).isFile ? Deno.openSync(path) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

function readAt(file: Deno.FsFile, into: Uint8Array, offset: number): number {
  file.seekSync(offset, Deno.SeekMode.Start);
  let filled = 0;
  while (filled < into.length) {
    const count = file.readSync(into.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return filled;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
