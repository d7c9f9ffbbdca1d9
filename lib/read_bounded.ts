/** Reads a source that may be endless, up to a limit. */

export interface ByteSource {
  read(buffer: Uint8Array): Promise<number | null>;
}

/** All bytes, or the first `limit` of them when there are more. */
export async function readBounded(from: ByteSource, limit: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(Math.min(limit, 65_536));
  let length = 0;
  while (length < limit) {
    if (length === bytes.length) {
      const larger = new Uint8Array(Math.min(limit, bytes.length * 4));
      larger.set(bytes);
      bytes = larger;
    }
    const count = await from.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
