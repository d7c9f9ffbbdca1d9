/**
 * The last word of a server that tries again, as one process heard it: the server does not repeat it to those who come
 * later. Of use only while that very turn runs.
 */

import * as v from "valibot";
import type { Retrying } from "./evidence.ts";

const kept = v.object({ turnId: v.string(), message: v.string(), at: v.number() });

export function keptRetry(file: string, turnId: string): Retrying | null {
  try {
    const parsed = v.safeParse(kept, JSON.parse(Deno.readTextFileSync(file)));
    if (!parsed.success || parsed.output.turnId !== turnId) return null;
    return { message: parsed.output.message, at: parsed.output.at };
  } catch {
    return null;
  }
}

/** A file that can't be written is no harm: the word is a courtesy. */
export function keepRetry(file: string, turnId: string, { message, at }: Retrying): void {
  const partial = `${file}.${Deno.pid}`;
  try {
    Deno.writeTextFileSync(partial, JSON.stringify({ turnId, message, at }), { mode: 0o600 });
    Deno.renameSync(partial, file);
  } catch {
    // Nothing depends on it.
  }
}
