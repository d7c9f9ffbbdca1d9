/**
 * Reads transcripts in blocks, from either end: memory is bounded by the block and the longest line, reading from
 * the end costs the same for every size of file, and no file is left open.
 */

import { openShared, sharedFolderOf } from "../docker/shared_files.ts";
import { type Mark, parseLine, parseObject } from "./transcript.ts";

const FIRST_BLOCK_BYTES = 64 * 1024;
const MAX_BLOCK_BYTES = 1024 * 1024;
const NEWLINE = 10;
const DECODER = new TextDecoder();

/** @param offset where the mark's line begins, in bytes. */
export type Visit = (mark: Mark, offset: number) => "continue" | "stop";

export type BackwardRead =
  | { readonly result: "missing" }
  | {
    /** Why it ended: the visitor, the start of the file, or `maxBytes`. */
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
  /** `offset`: where to go on. */
  | { readonly result: "read"; readonly offset: number };

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
  // Pieces of the line whose beginning lies in a block not yet read, the last piece first.
  let pieces: Uint8Array[] = [];
  let atEnd = true;
  let offset = 0;

  const take = (bytes: Uint8Array, start: number): "continue" | "stop" => {
    const text = DECODER.decode(bytes);
    if (atEnd) {
      atEnd = false;
      const whole = bytes.length === 0 || parseObject(text) !== null;
      offset = whole ? size : start;
      if (!whole) return "continue";
    }
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
      pieces.push(block.subarray(newline + 1, end));
      const line = joinReversed(pieces);
      pieces = [];
      if (take(line, start + newline + 1) === "stop") return { result: "stopped", size, offset };
      end = newline;
    }
    if (end > 0) pieces.push(block.subarray(0, end));
    position = start;
    blockBytes = Math.min(blockBytes * 2, MAX_BLOCK_BYTES);
  }
  if (limit > 0) return { result: "limit", size, offset: atEnd ? limit : offset };
  if (take(joinReversed(pieces), 0) === "stop") return { result: "stopped", size, offset };
  return { result: "start", size, offset };
}

/**
 * Visits the marks from an offset on, up to the last complete line; one that is still being written is left for the
 * next call. An offset within a line skips that line.
 * @throws what Deno throws when the file exists and can't be read.
 */
export function readForwards(path: string, fromOffset: number, visit: Visit): ForwardRead {
  using file = openRegular(path);
  if (file === null) return { result: "missing" };
  const size = file.statSync().size;
  if (size < fromOffset) return { result: "rewritten", size };
  const lines = new LineReader(fromOffset);
  const block = new Uint8Array(Math.min(MAX_BLOCK_BYTES, Math.max(1, size - fromOffset)));
  file.seekSync(fromOffset, Deno.SeekMode.Start);
  for (;;) {
    const count = file.readSync(block);
    if (count === null) break;
    for (const line of lines.push(block.subarray(0, count))) {
      for (const mark of line.marks) {
        if (visit(mark, line.offset) === "stop") return { result: "read", offset: line.end };
      }
    }
  }
  const last = lines.rest();
  if (last === null) return { result: "read", offset: lines.offset };
  for (const mark of last.marks) if (visit(mark, last.offset) === "stop") break;
  return { result: "read", offset: last.end };
}

/** The marks of the whole file from its start, without loading it whole; none when it is missing. */
export async function* entries(path: string): AsyncGenerator<Mark> {
  using file = openRegular(path);
  if (file === null) return;
  const lines = new LineReader(0);
  const block = new Uint8Array(MAX_BLOCK_BYTES);
  for (;;) {
    const count = await file.read(block);
    if (count === null) break;
    for (const line of lines.push(block.subarray(0, count))) yield* line.marks;
  }
  const last = lines.rest();
  if (last !== null) yield* last.marks;
}

interface Line {
  readonly marks: readonly Mark[];
  readonly offset: number;
  /** Behind its newline. */
  readonly end: number;
}

/** Cuts blocks, as they come, into lines. */
class LineReader {
  #pieces: Uint8Array[] = [];
  #held = 0;

  /** @param offset where the next line begins. */
  constructor(public offset: number) {}

  *push(block: Uint8Array): Generator<Line> {
    let start = 0;
    for (;;) {
      const newline = block.indexOf(NEWLINE, start);
      if (newline === -1) break;
      yield this.#line(block.subarray(start, newline), 1);
      start = newline + 1;
    }
    if (start === block.length) return;
    // The caller reads its next block into the same memory.
    this.#pieces.push(block.slice(start));
    this.#held += block.length - start;
  }

  /** The line without a newline at the end; null when there is none or it is not yet whole. */
  rest(): Line | null {
    if (this.#held === 0 || parseObject(DECODER.decode(join(this.#pieces))) === null) return null;
    return this.#line(new Uint8Array(), 0);
  }

  #line(tail: Uint8Array, newlineBytes: 0 | 1): Line {
    const bytes = this.#held === 0 ? tail : join([...this.#pieces, tail]);
    const offset = this.offset;
    this.#pieces = [];
    this.#held = 0;
    this.offset = offset + bytes.length + newlineBytes;
    return { marks: parseLine(DECODER.decode(bytes)), offset, end: this.offset };
  }
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

function joinReversed(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : join(pieces.toReversed());
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
