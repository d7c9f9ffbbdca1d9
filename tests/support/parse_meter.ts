/** Counts what is decoded and parsed meanwhile, by whomever: how much of a large input is really taken in. */

export interface Parsed {
  /** Of the longest text that was parsed, in UTF-16 units. */
  readonly longestText: number;
  readonly texts: number;
  /** Of all texts that were parsed. */
  readonly units: number;
  /** Of the longest piece that was decoded. */
  readonly longestBytes: number;
}

export async function meterParsing(body: () => unknown): Promise<Parsed> {
  const { parse } = JSON;
  const { decode } = TextDecoder.prototype;
  let [longestText, texts, units, longestBytes] = [0, 0, 0, 0];
  JSON.parse = (text, reviver) => {
    longestText = Math.max(longestText, text.length);
    texts++;
    units += text.length;
    return parse(text, reviver);
  };
  TextDecoder.prototype.decode = function (input, options) {
    longestBytes = Math.max(longestBytes, input?.byteLength ?? 0);
    return decode.call(this, input, options);
  };
  try {
    await body();
  } finally {
    JSON.parse = parse;
    TextDecoder.prototype.decode = decode;
  }
  return { longestText, texts, units, longestBytes };
}
