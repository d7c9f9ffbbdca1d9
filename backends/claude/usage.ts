/**
 * Counts a session's tokens from what Claude's transcripts say of each reply of the model, each reply once. Pure: text in,
 * counts out.
 */

import * as v from "valibot";
import type { TokenUsage } from "../../lib/session.ts";

/** Replies of one transcript whose later lines may still say more; lines of others may stand between them. */
const OPEN_REPLIES = 8;

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const CountsSchema = v.object({ input: Count, output: Count, cacheRead: Count, cacheWrite: Count });
export type Counts = Readonly<v.InferOutput<typeof CountsSchema>>;

const FileSchema = v.object({
  /** Behind the last line that was counted. */
  offset: Count,
  /** The bytes before the offset, to know the file again. */
  tail: v.string(),
  open: v.array(v.object({ id: v.string(), counts: CountsSchema })),
});
export type FileIndex = v.InferOutput<typeof FileSchema>;

export const IndexSchema = v.object({
  version: v.literal(1),
  files: v.record(v.string(), FileSchema),
  /** Of replies that are in the sum, with blanks between; a conversation that was branched off has earlier ones, too. */
  seen: v.string(),
  replies: Count,
  sum: CountsSchema,
});
export type UsageIndex = v.InferOutput<typeof IndexSchema>;

export interface Reply {
  /** Short for the reply's own id. */
  readonly id: string;
  readonly counts: Counts;
}

const NOTHING: Counts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
const ASSISTANT = /"type"\s*:\s*"assistant"/;

const ReplySchema = v.object({
  type: v.literal("assistant"),
  message: v.object({
    id: v.string(),
    model: v.optional(v.string()),
    usage: v.object({
      input_tokens: v.optional(v.nullable(Count)),
      output_tokens: v.optional(v.nullable(Count)),
      cache_read_input_tokens: v.optional(v.nullable(Count)),
      cache_creation_input_tokens: v.optional(v.nullable(Count)),
    }),
  }),
});

export function emptyIndex(): UsageIndex {
  return { version: 1, files: {}, seen: "", replies: 0, sum: NOTHING };
}

/**
 * The replies in whole lines of a transcript, in order; a reply of several blocks has a line for each.
 * @param passOver lines that are not to be parsed.
 */
export function repliesIn(text: string, passOver: (line: string) => boolean = () => false): Reply[] {
  const found: Reply[] = [];
  let from = 0;
  for (;;) {
    const at = text.indexOf('"usage"', from);
    if (at === -1) return found;
    const begin = text.lastIndexOf("\n", at) + 1;
    const newline = text.indexOf("\n", at);
    from = newline === -1 ? text.length : newline + 1;
    const line = text.slice(begin, from);
    const reply = passOver(line) ? null : replyOf(line);
    if (reply !== null) found.push(reply);
  }
}

function replyOf(line: string): Reply | null {
  if (!ASSISTANT.test(line)) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = v.safeParse(ReplySchema, value);
  // Claude's own words, such as an error, have used nothing.
  if (!parsed.success || parsed.output.message.model === "<synthetic>") return null;
  const { id, usage } = parsed.output.message;
  return {
    id: shortened(id),
    counts: {
      input: usage.input_tokens ?? 0,
      output: usage.output_tokens ?? 0,
      cacheRead: usage.cache_read_input_tokens ?? 0,
      cacheWrite: usage.cache_creation_input_tokens ?? 0,
    },
  };
}

/** Takes replies into an index; the last line of a reply counts. `known` are those of `index.seen`. */
export function count(
  index: UsageIndex,
  file: FileIndex,
  replies: readonly Reply[],
  known: Set<string>,
): void {
  for (const { id, counts } of replies) {
    const open = file.open.find((reply) => reply.id === id);
    if (open !== undefined) {
      index.sum = plus(minus(index.sum, open.counts), counts);
      open.counts = counts;
      continue;
    }
    if (known.has(id)) continue;
    known.add(id);
    index.seen += `${id} `;
    index.replies++;
    index.sum = plus(index.sum, counts);
    file.open.push({ id, counts });
    if (file.open.length > OPEN_REPLIES) file.open.shift();
  }
}

/** Null when no reply was ever recorded. */
export function usageOf({ replies, sum }: Pick<UsageIndex, "replies" | "sum">): TokenUsage | null {
  if (replies === 0) return null;
  const { input, output, cacheRead, cacheWrite } = sum;
  return { input, output, cacheRead, cacheWrite, total: input + output + cacheRead + cacheWrite };
}

function plus(a: Counts, b: Counts): Counts {
  return {
    input: a.input + b.input,
    output: a.output + b.output,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
  };
}

function minus(a: Counts, b: Counts): Counts {
  return {
    input: a.input - b.input,
    output: a.output - b.output,
    cacheRead: a.cacheRead - b.cacheRead,
    cacheWrite: a.cacheWrite - b.cacheWrite,
  };
}

/** 52 bits of it: two of a session's replies come to share them once in millions of sessions. */
function shortened(id: string): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
    b ^= b >>> 13;
  }
  return ((a >>> 0) * 0x100000 + (b >>> 12)).toString(36);
}
