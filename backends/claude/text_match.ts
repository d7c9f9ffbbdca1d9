/** Tells whether a text in Claude's records is the message that was sent. Pure. */

import type { Mark } from "./transcript.ts";

/** Stands in front of a message that Claude would take for one of its commands; blank, but not white space. */
export const COMMAND_GUARD = "\u2800";

/** What Claude may change about a message: normal form, invisible characters, guards, white space at the ends. */
export function canonical(text: string): string {
  return text
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .normalize("NFC")
    .replace(/[\u2028\u2029]/g, "\n")
    .replace(/^[\s\u2800]+/u, "")
    .trimEnd();
}

/** Length and a 53-bit hash (cyrb53) of the canonical text: names a message without keeping its body. */
export function textKey(text: string): string {
  const normal = canonical(text);
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let i = 0; i < normal.length; i++) {
    const unit = normal.charCodeAt(i);
    h1 = Math.imul(h1 ^ unit, 2654435761);
    h2 = Math.imul(h2 ^ unit, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return `${normal.length}:${(4294967296 * (2097151 & h2) + (h1 >>> 0)).toString(36)}`;
}

/** Key of a mark that carries a message's text; null for all others. */
export function textKeyOf(mark: Mark): string | null {
  switch (mark.kind) {
    case "prompt":
    case "enqueued":
    case "absorbed_prompt":
      return textKey(mark.text);
    case "removed":
      return mark.text === null ? null : textKey(mark.text);
    default:
      return null;
  }
}
