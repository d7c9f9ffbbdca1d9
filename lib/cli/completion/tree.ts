/** The command tree as completions see it: where the words of a command line lead. Loads only the verb it finds. */

import type { Command } from "@stricli/core";
import type { ParseContext } from "../verb.ts";
import type { Parameters, Word } from "./types.ts";

/** Verbs by their names; a name of several words stands below its first ones: `gateway token create`. */
export type VerbTable = Readonly<
  Record<
    string,
    { readonly brief: string; readonly load: () => Promise<{ readonly command: Command<ParseContext> }> }
  >
>;

export interface Place {
  /** The next words of verbs that go on from here. */
  readonly next: readonly Word[];
  /** The verb that has been named, with the words that are its own; null: none yet, or there is none. */
  readonly verb: { readonly parameters: Parameters; readonly words: readonly string[] } | null;
}

/** @param words before the cursor, without the name of the program. */
export async function placeOf(words: readonly string[], table: VerbTable): Promise<Place> {
  const next = nextWords(words, table);
  // Words that lead on to longer names are no arguments of a shorter one.
  const shortest = next.length > 0 ? words.length : 1;
  for (let length = words.length; length >= Math.max(shortest, 1); length--) {
    const name = words.slice(0, length).join(" ");
    if (!Object.hasOwn(table, name)) continue;
    const { command } = await table[name]!.load();
    return { next, verb: { parameters: command.parameters, words: words.slice(length) } };
  }
  return { next, verb: null };
}

function nextWords(words: readonly string[], table: VerbTable): Word[] {
  const found = new Map<string, string>();
  for (const [name, { brief }] of Object.entries(table)) {
    const parts = name.split(" ");
    const next = parts[words.length];
    if (next === undefined || !words.every((word, index) => parts[index] === word)) continue;
    if (parts.length === words.length + 1) found.set(next, brief);
    else if (!found.has(next)) found.set(next, "");
  }
  return [...found].map(([value, brief]) => ({ value, brief }));
}
