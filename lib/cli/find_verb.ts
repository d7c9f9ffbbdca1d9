/** Which verb the first words of a command line name: `gateway token create` is one, and so is `gateway`. Pure. */

export type FoundVerb =
  | { readonly kind: "verb"; readonly name: string; readonly rest: readonly string[] }
  /** `candidates`: what could stand there instead, each with the words before it. */
  | { readonly kind: "unknown"; readonly words: string; readonly candidates: readonly string[] }
  /** Only verbs of more words begin so. */
  | { readonly kind: "incomplete"; readonly words: string; readonly rest: readonly string[] };

/** @param names of all verbs, their words with one blank between. */
export function findVerb(argv: readonly string[], names: readonly string[]): FoundVerb {
  const [first = ""] = argv;
  let words = first;
  let used = 1;
  const known = beginnings(names, "");
  if (!known.includes(first)) return { kind: "unknown", words, candidates: known };
  for (;;) {
    const candidates = beginnings(names, `${words} `);
    const next = argv[used];
    if (candidates.length === 0 || next === undefined || next.startsWith("-")) break;
    const longer = `${words} ${next}`;
    if (!candidates.includes(longer)) return { kind: "unknown", words: longer, candidates };
    words = longer;
    used++;
  }
  const rest = argv.slice(used);
  return names.includes(words) ? { kind: "verb", name: words, rest } : { kind: "incomplete", words, rest };
}

/** The verbs below these words. */
export function verbsBelow(words: string, names: readonly string[]): string[] {
  return names.filter((name) => name.startsWith(`${words} `));
}

/** Each name that begins so, up to its next word. */
function beginnings(names: readonly string[], prefix: string): string[] {
  const longer = names.filter((name) => name.startsWith(prefix));
  return [...new Set(longer.map((name) => prefix + name.slice(prefix.length).split(" ")[0]))];
}
