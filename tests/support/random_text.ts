/** Random texts that are the same in every run: letters, quotes, line feeds, wide and joined characters. */

const PIECES = [
  ..."abc XYZ019  \n\n'\"\\;#$~`%{}[]()!/-_=+*?<>|&^@:,.",
  "é",
  "e\u0301",
  "漢",
  "😀",
  "👩‍👩‍👧",
  "🇩🇪",
  "\u2800",
  "\u200b",
  "\u00a0",
  "\u2028",
  "\u{10ffff}",
];

/** Mulberry32: numbers from 0 to below 1. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** @param pieces how many; a piece has one or several UTF-16 units. */
export function randomText(random: () => number, pieces: number): string {
  return Array.from({ length: pieces }, () => PIECES[Math.floor(random() * PIECES.length)]!).join("");
}
