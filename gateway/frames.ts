/**
 * The frames of the wire on a pair of byte streams: one JSON object per line, after one marker line that tells them
 * from whatever a login shell prints before. Requests have numbers, so that several are under way at once.
 */

import * as v from "valibot";
import { MAX_BODY_BYTES, MAX_KEY_LENGTH } from "../lib/wire/http.ts";
import { wireError } from "../lib/wire/errors.ts";
import { peer } from "../lib/wire/handshake.ts";

/** Stands alone on its line, in front of the server's first frame. */
export const MARKER = "==dev-sessions-rpc-frames-follow==";
/** Of one frame with its line end. */
export const MAX_FRAME_BYTES = MAX_BODY_BYTES;
/** So many items a stream may be ahead of its reader; each `more` allows further ones. */
export const WINDOW_ITEMS = 64;

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const hello = v.object({
  type: v.literal("hello"),
  ...peer.entries,
  /** A server's: the home folder of its user, from which paths are meant. */
  home: v.optional(v.nullable(v.string()), null),
  /** A server's: the id of the registry that its sessions are in. */
  registry: v.optional(v.nullable(v.string()), null),
});

/** What a client says. */
export const clientFrame = v.variant("type", [
  hello,
  v.object({
    type: v.literal("request"),
    id,
    operation: v.string(),
    body: v.optional(v.unknown(), null),
    key: v.optional(v.nullable(v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_KEY_LENGTH))), null),
    again: v.optional(v.boolean(), false),
  }),
  v.object({ type: v.literal("cancel"), id }),
  v.object({ type: v.literal("more"), id, count: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) }),
]);

/** What a server says; an error without a number is about the connection, and the last frame. */
export const serverFrame = v.variant("type", [
  hello,
  v.object({ type: v.literal("item"), id, value: v.optional(v.unknown(), null) }),
  v.object({ type: v.literal("result"), id, value: v.optional(v.unknown(), null) }),
  v.object({ type: v.literal("end"), id }),
  v.object({ type: v.literal("error"), id: v.optional(v.nullable(id), null), error: wireError }),
]);

/** What a server's sessions live in. */
export type Place = Pick<v.InferOutput<typeof hello>, "home" | "registry">;

export const NO_PLACE: Place = { home: null, registry: null };

export type ClientFrame = v.InferOutput<typeof clientFrame>;
export type ServerFrame = v.InferOutput<typeof serverFrame>;

/** The frame of a line; null when it is none. */
export function parseFrame<const S extends v.GenericSchema>(
  schema: S,
  line: string,
): v.InferOutput<S> | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : null;
}

/** Writes in the order of its calls, each wholly. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Writes whole frames in order; awaiting it is the backpressure. */
export class FrameWriter {
  readonly #writer: ByteWriter;
  readonly #encoder = new TextEncoder();
  #isOver = false;

  constructor(writable: { getWriter(): ByteWriter }) {
    this.#writer = writable.getWriter();
  }

  /** @throws FrameTooLongError, and then nothing was written; HangUpError when nobody reads it any more. */
  async write(frame: ClientFrame | ServerFrame, before = ""): Promise<void> {
    const bytes = this.#encoder.encode(`${before}${JSON.stringify(frame)}\n`);
    if (bytes.length > MAX_FRAME_BYTES) throw new FrameTooLongError(bytes.length);
    if (this.#isOver) throw new HangUpError("the last frame was written");
    this.#isOver = frame.type === "error" && frame.id === null;
    try {
      await this.#writer.write(bytes);
    } catch (error) {
      throw new HangUpError("the other end has hung up", { cause: error });
    }
  }

  async close(): Promise<void> {
    try {
      await this.#writer.close();
    } catch {
      // The reader has gone already.
    }
  }
}

export class HangUpError extends Error {}

export class FrameTooLongError extends Error {
  constructor(bytes: number) {
    super(`it has ${bytes} bytes, and the limit is ${MAX_FRAME_BYTES} (8 MB)`);
  }
}
