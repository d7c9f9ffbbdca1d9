/** The command tree as completions see it: verbs, their verbs in turn, and what a command takes. Loads only its path. */

import type { Command, CommandContext, RouteMap } from "@stricli/core";
import { kebabCase } from "../arguments.ts";
import type { ParseContext } from "../verb.ts";

export type Parameters = Command<CommandContext>["parameters"];
type Target = Command<ParseContext> | RouteMap<ParseContext>;

/** A verb of the table: as `VERBS` has it, or a nested one. */
export interface VerbEntry {
  readonly brief: string;
  readonly hidden?: boolean;
  readonly load: () => Promise<{ readonly command: Target }>;
}
export type VerbTable = Readonly<Record<string, VerbEntry>>;

/** Where the words of a command line lead. */
export type Place =
  | { readonly kind: "verbs"; readonly verbs: VerbTable; readonly path: readonly string[] }
  | {
    readonly kind: "command";
    readonly parameters: Parameters;
    /** The verbs that lead to it: `gateway`, `token`, `create`. */
    readonly path: readonly string[];
    /** The words that are its own. */
    readonly words: readonly string[];
  }
  | { readonly kind: "nowhere" };

/** @param words before the cursor, without the name of the program. */
export async function placeOf(words: readonly string[], table: VerbTable): Promise<Place> {
  let verbs = table;
  for (let depth = 0; depth < words.length; depth++) {
    const name = words[depth]!;
    if (!Object.hasOwn(verbs, name)) return { kind: "nowhere" };
    const { command } = await verbs[name]!.load();
    const path = words.slice(0, depth + 1);
    if ("parameters" in command) {
      return { kind: "command", parameters: command.parameters, path, words: words.slice(depth + 1) };
    }
    verbs = nested(command);
  }
  return { kind: "verbs", verbs, path: words };
}

function nested(routes: RouteMap<ParseContext>): VerbTable {
  return Object.fromEntries(
    routes.getAllEntries().map(({ name, target, hidden }) => [
      kebabCase(name.original),
      { brief: target.brief, hidden, load: () => Promise.resolve({ command: target }) },
    ]),
  );
}
