/**
 * Keeps what was counted of a session's transcripts beside its other files, so that only what is new is read. The index is
 * worth nothing by itself: one that does not fit the transcripts is made anew.
 */

import * as v from "valibot";
import { sizeOf } from "../../lib/files.ts";
import type { TokenUsage } from "../../lib/session.ts";
import { isTooHeavy } from "../docker/allowance.ts";
import { sharedFolderOf } from "../docker/shared_files.ts";
import { MAX_SHARED_LINE_BYTES, openRegular } from "./transcript_file.ts";
import {
  count,
  emptyIndex,
  type FileIndex,
  IndexSchema,
  repliesIn,
  type UsageIndex,
  usageOf,
} from "./usage.ts";

const BLOCK_BYTES = 4 * 1024 * 1024;
/**
 * Of a container's transcript, which may be costly to parse (measured: 43 ms for one of the shortest replies alone);
 * between two of them other things are done.
 */
const SHARED_BLOCK_BYTES = 64 * 1024;
const TAIL_BYTES = 32;
const NEWLINE = 10;
const DECODER = new TextDecoder();

/** What no agent comes to: a session that works for weeks has some ten thousand replies. */
export interface SharedLimits {
  readonly replies: number;
  /** Transcripts, those of sub-agents included. */
  readonly files: number;
}
const SHARED_LIMITS: SharedLimits = { replies: 200_000, files: 2_000 };

/** The end of a line that the index has counted; other bytes there are another file's. */
class AnotherFile extends Error {}

/** A container has written more than is counted of one. */
class TooMuch extends Error {}

/**
 * Tokens of these transcripts and of the sub-agents' beside them. A transcript that is gone keeps its share.
 *
 * @param index where the counts are kept.
 * @param pause lets other things be done before it is read on.
 * @returns null when nothing is on record, or more than `limits` in what a container writes: then the sum is not known.
 */
export async function sessionUsage(
  index: string,
  transcripts: Iterable<string>,
  pause: () => Promise<void>,
  limits = SHARED_LIMITS,
): Promise<TokenUsage | null> {
  const files = [...transcripts].flatMap((path) => [path, ...subagents(path)]);
  const kept = readIndex(index);
  let counted = kept ?? emptyIndex();
  let changed: boolean;
  try {
    try {
      changed = await update(counted, files, pause, limits);
    } catch (error) {
      if (!(error instanceof AnotherFile)) throw error;
      counted = emptyIndex();
      changed = await update(counted, files, pause, limits);
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    // So that the next command knows it at once.
    writeIndex(index, counted);
    return null;
  }
  if (changed) writeIndex(index, counted);
  return usageOf(counted);
}

async function update(
  index: UsageIndex,
  files: readonly string[],
  pause: () => Promise<void>,
  limits: SharedLimits,
): Promise<boolean> {
  const shared = files.filter((path) => sharedFolderOf(path) !== null);
  const isTooMuch = () =>
    shared.length > limits.files || (shared.length > 0 && index.replies > limits.replies);
  if (isTooMuch()) throw new TooMuch();
  let known: Set<string> | null = null;
  let changed = false;
  for (const path of files) {
    const size = sizeOf(path);
    const file = index.files[path] ?? { offset: 0, tail: "", open: [] };
    if (size === null || size === file.offset) continue;
    if (size < file.offset) throw new AnotherFile();
    known ??= new Set(index.seen.split(" "));
    const isNew = await readOn(index, path, file, known, async () => {
      if (isTooMuch()) throw new TooMuch();
      await pause();
    });
    if (!isNew) continue;
    index.files[path] = file;
    changed = true;
  }
  return changed;
}

/** Counts whole lines from the offset on; false when there is none yet. `pause` comes between a container's blocks. */
async function readOn(
  index: UsageIndex,
  path: string,
  file: FileIndex,
  known: Set<string>,
  pause: () => Promise<void>,
): Promise<boolean> {
  using opened = openRegular(path);
  if (opened === null) return false;
  if (file.tail !== "") {
    const tail = new Uint8Array(file.tail.length / 2);
    if (fill(opened, tail, file.offset - tail.length) < tail.length || hex(tail) !== file.tail) {
      throw new AnotherFile();
    }
  }
  const begin = file.offset;
  const isShared = sharedFolderOf(path) !== null;
  // Whoever writes to it all the time must not be read for ever.
  const limit = isShared ? opened.statSync().size : Infinity;
  let block = new Uint8Array(isShared ? SHARED_BLOCK_BYTES : BLOCK_BYTES);
  while (file.offset < limit) {
    const length = fill(opened, block, file.offset);
    const isLongLine = isShared && block.length > SHARED_BLOCK_BYTES;
    const read = block.subarray(0, length);
    let end = (isLongLine ? read.indexOf(NEWLINE) : read.lastIndexOf(NEWLINE)) + 1;
    if (end === 0) {
      // A line that is not whole yet, or longer than the block.
      if (length < block.length) return file.offset > begin;
      if (!isShared || block.length < MAX_SHARED_LINE_BYTES) {
        block = new Uint8Array(block.length * 2);
        continue;
      }
      // None that an agent writes: its rest is no line by itself.
      end = length;
    } else {
      const text = DECODER.decode(block.subarray(0, end));
      count(index, file, repliesIn(text, isShared ? isTooHeavy : () => false), known);
    }
    file.tail = hex(block.subarray(Math.max(0, end - TAIL_BYTES), end));
    file.offset += end;
    if (length < block.length && !isLongLine) return true;
    if (isLongLine) block = new Uint8Array(SHARED_BLOCK_BYTES);
    if (isShared) await pause();
  }
  return file.offset > begin;
}

/** Sub-agents write transcripts of their own, in a folder named after the conversation. */
function subagents(transcript: string): string[] {
  const folder = `${transcript.replace(/\.jsonl$/, "")}/subagents`;
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ name, isFile }) => isFile && name.endsWith(".jsonl"))
      .map(({ name }) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

function readIndex(path: string): UsageIndex | null {
  try {
    const parsed = v.safeParse(IndexSchema, JSON.parse(Deno.readTextFileSync(path)));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** Complete before it is seen; what another command writes at the same time is as good. */
function writeIndex(path: string, index: UsageIndex): void {
  const part = `${path}.${Deno.pid}.part`;
  try {
    Deno.writeTextFileSync(part, JSON.stringify(index), { mode: 0o600 });
    Deno.renameSync(part, path);
  } catch {
    // Without it, the next command counts again.
  }
}

function fill(file: Deno.FsFile, into: Uint8Array, offset: number): number {
  file.seekSync(offset, Deno.SeekMode.Start);
  let filled = 0;
  while (filled < into.length) {
    const read = file.readSync(into.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return filled;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
