/** A byte stream as lines, each bounded, so that a peer that never ends one can't fill the memory. */

const LINE_FEED = 10;

/** @throws LineTooLongError beyond `maxBytes`; what a stream ends with, without a line end, is a line, too. */
export async function* linesOf(
  readable: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array) => {
    length += part.length;
    if (length > maxBytes) throw new LineTooLongError(maxBytes);
    if (part.length > 0) parts.push(part);
  };
  const line = () => {
    const text = decoder.decode(joined(parts, length));
    parts = [];
    length = 0;
    return text;
  };
  for await (const chunk of readable) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      take(chunk.subarray(from, end));
      from = end + 1;
      yield line();
    }
    take(chunk.subarray(from));
  }
  if (length > 0) yield line();
}

export class LineTooLongError extends Error {
  constructor(maxBytes: number) {
    super(`a line is longer than ${maxBytes} bytes`);
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
