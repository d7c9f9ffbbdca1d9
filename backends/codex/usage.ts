/**
 * Tokens of a thread, from the newest count in its rollout file: the app-server tells them only to those who listen
 * while a turn runs. The path is the server's own word (`thread.path`), also for a thread in its archive.
 */

import * as v from "valibot";
import type { TokenUsage } from "../../lib/session.ts";
import { isTooHeavy } from "../docker/allowance.ts";
import { openShared, sharedFolderOf } from "../docker/shared_files.ts";

/** A count stands behind every answer of the model; what comes between two is at most some outputs of tools. */
const CHUNK_BYTES = 256 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;
/** Of a line in a container's file; what is longer is none of Codex' (an output of a tool has 1 MiB at most). */
const MAX_SHARED_LINE_BYTES = 4 * 1024 * 1024;

const counts = v.object({
  input_tokens: v.number(),
  cached_input_tokens: v.fallback(v.number(), 0),
  cache_write_input_tokens: v.fallback(v.number(), 0),
  output_tokens: v.number(),
});
const record = v.variant("type", [
  v.object({ type: v.literal("token_usage_record"), payload: v.object({ thread_token_usage: counts }) }),
  v.object({
    type: v.literal("event_msg"),
    payload: v.object({ type: v.literal("token_count"), info: v.object({ total_token_usage: counts }) }),
  }),
]);

/** What one line of a rollout says; null for any other line. Pure. */
export function usageOfLine(line: string): TokenUsage | null {
  // Most lines are long and none of these.
  if (!line.includes('_token_usage"')) return null;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = v.safeParse(record, json);
  if (!parsed.success) return null;
  const found = parsed.output.type === "event_msg"
    ? parsed.output.payload.info.total_token_usage
    : parsed.output.payload.thread_token_usage;
  const { input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens } = found;
  return {
    input: Math.max(0, input_tokens - cached_input_tokens - cache_write_input_tokens),
    output: output_tokens,
    cacheRead: cached_input_tokens,
    cacheWrite: cache_write_input_tokens,
    total: Math.max(input_tokens, cached_input_tokens + cache_write_input_tokens) + output_tokens,
  };
}

/** Read from the end; null when the file is missing or says nothing. */
export async function rolloutUsage(path: string): Promise<TokenUsage | null> {
  let file: Deno.FsFile;
  const shared = sharedFolderOf(path);
  try {
    const found = shared === null ? await Deno.open(path) : openShared(path, shared);
    if (found === null) return null;
    file = found;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  using _file = file;
  const { size } = await file.stat();
  let rest = new Uint8Array();
  // Of a line that is too long, only where it begins is looked for.
  let isTooLong = false;
  for (let end = size; end > 0 && size - end < MAX_BYTES;) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const chunk = await readAt(file, start, end - start);
    const joined = new Uint8Array(chunk.length + rest.length);
    joined.set(chunk);
    joined.set(rest, chunk.length);
    // What stands before the first line break belongs to a line that begins further up.
    const firstBreak = start === 0 ? -1 : joined.indexOf(NEWLINE);
    if (start === 0 || firstBreak !== -1) {
      const last = isTooLong ? joined.lastIndexOf(NEWLINE) + 1 : joined.length;
      isTooLong = false;
      const lines = new TextDecoder().decode(joined.subarray(firstBreak + 1, last)).split("\n");
      for (const line of lines.reverse()) {
        if (shared !== null && isTooHeavy(line)) continue;
        const usage = usageOfLine(line);
        if (usage !== null) return usage;
      }
      rest = joined.slice(0, firstBreak + 1);
    } else rest = joined;
    if (isTooLong || (shared !== null && rest.length > MAX_SHARED_LINE_BYTES)) {
      isTooLong = true;
      rest = new Uint8Array();
    }
    end = start;
  }
  return null;
}

const NEWLINE = 0x0a;

async function readAt(file: Deno.FsFile, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  await file.seek(start, Deno.SeekMode.Start);
  const buffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = await file.read(buffer.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
