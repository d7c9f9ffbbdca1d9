/** What a message's text may be: bounded, valid, and without characters that act as keys in a terminal. Pure. */

import { AppError } from "./errors.ts";

/** Of the UTF-8 text. A longer brief belongs in a file that the message names. */
export const MESSAGE_LIMIT_BYTES = 1_048_576;

/** CSI, OSC/DCS/APC/PM strings that end on their line (else only what opens them), and two-character escapes. */
const ESCAPE_SEQUENCES =
  // deno-lint-ignore no-control-regex
  /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]?/g;
/** C0 without tab and line feed, DEL, C1. */
// deno-lint-ignore no-control-regex
const CONTROL_CHARACTERS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
/** A text of these alone shows nothing, and an agent takes nothing from it. */
const INVISIBLE = /[\s\u2800\p{Default_Ignorable_Code_Point}]/gu;

/**
 * The text as the agent is to receive it: LF line ends, tabs as four spaces, no escape sequences and control
 * characters, no white space at the end.
 *
 * @param source names where it was read; null: the caller gave it in its call.
 * @throws AppError when nothing is left or the limit is exceeded.
 */
export function normaliseMessage(text: string, source: string | null = null): string {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MESSAGE_LIMIT_BYTES) throw messageTooLong(bytes);
  const normal = text
    .replace(/\r\n?/g, "\n")
    .replace(ESCAPE_SEQUENCES, "")
    .replace(CONTROL_CHARACTERS, "")
    .replaceAll("\t", "    ")
    .replace(/^\uFEFF/, "")
    .toWellFormed()
    .trimEnd();
  if (normal.replace(INVISIBLE, "") === "") {
    const why = text === "" ? "is empty" : "has nothing in it that an agent would be shown";
    const detail = source === null ? null : `${source} ${why}`;
    throw new AppError("usage", "Message is required. Use <message> or --file <path>.", detail);
  }
  return normal;
}

function messageTooLong(bytes: number): AppError {
  return new AppError(
    "usage",
    `Cannot send a message of ${bytes} bytes: the limit is ${MESSAGE_LIMIT_BYTES} bytes (1 MB). ` +
      "Save it to a file in the workspace and send the path",
  );
}

/** @throws AppError that names the offset of the first byte that is not UTF-8. */
export function decodeMessage(bytes: Uint8Array, source: string): string {
  if (bytes.length > MESSAGE_LIMIT_BYTES) throw messageTooLong(bytes.length);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new AppError(
      "usage",
      `Cannot send ${source}: it is not valid UTF-8 at byte ${invalidUtf8Offset(bytes)}. ` +
        "Convert it with: iconv -f LATIN1 -t UTF-8",
    );
  }
}

/** Offset of the first invalid sequence, -1 when there is none. Halves the range, since decoding is native. */
export function invalidUtf8Offset(bytes: Uint8Array): number {
  const valid = (end: number): boolean => {
    try {
      // `stream` accepts a sequence that is cut at the end.
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  /** Of a sequence that these bytes cut off, the first byte's offset; else their end. */
  const lastWhole = (end: number): number => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end));
      return end;
    } catch {
      let lead = end - 1;
      while (lead > 0 && (bytes[lead]! & 0xc0) === 0x80) lead--;
      return lead;
    }
  };
  if (valid(bytes.length)) {
    const whole = lastWhole(bytes.length);
    return whole === bytes.length ? -1 : whole;
  }
  let low = 0;
  let high = bytes.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (valid(middle)) low = middle;
    else high = middle;
  }
  return lastWhole(low);
}
