/**
 * Bounds what one look at a container's records may cost. JSON of a million small values takes a thousand times longer
 * to parse than as many bytes in one string (measured: 280 ms against 0.2 ms for each MB), so it is weighed first.
 */

/** Of one look at most: 128 MB in strings, or half a million values (measured: 0.3 s). */
export const LOOK_WEIGHT = 128 * 1024 * 1024;
/** Of one text; what is heavier is none that an agent writes. A new look always has room for one. */
export const TEXT_WEIGHT = LOOK_WEIGHT / 4;
/** Of a text at all, and of each bracket and comma outside of strings, in characters of a string. */
const VALUE_WEIGHT = 128;
/** Of what is opened, however little it holds. */
const FILE_WEIGHT = 32 * 1024;

/** `spent`: no more in this look, but perhaps in the next one. */
export type Judgement = "light" | "too heavy" | "spent";

/** What is left of one look. */
export class Allowance {
  #left = LOOK_WEIGHT;

  /** Whether this JSON may be parsed, which is paid for with that. */
  judge(text: string): Judgement {
    const weight = weightOf(text);
    const cost = weight > TEXT_WEIGHT ? text.length : weight;
    if (cost > this.#left) return "spent";
    this.#left -= cost;
    return weight > TEXT_WEIGHT ? "too heavy" : "light";
  }

  /** Before a file is opened. */
  mayOpen(): boolean {
    if (this.#left < FILE_WEIGHT + TEXT_WEIGHT) return false;
    this.#left -= FILE_WEIGHT;
    return true;
  }
}

export function isTooHeavy(text: string): boolean {
  return weightOf(text) > TEXT_WEIGHT;
}

/** What it costs to parse this JSON, in characters of a string. Pure. */
export function weightOf(text: string): number {
  let values = 1;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) inString = true;
    else if (unit === COMMA || unit === BRACE || unit === BRACKET) values++;
  }
  return text.length + values * VALUE_WEIGHT;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
