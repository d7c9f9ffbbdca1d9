/** Tells people once that the other end of what lasts is lost, and once that it is back. */

import type { Operation } from "../lib/wire.ts";

export class Outage {
  #isLost = false;

  /** @param note takes one complete line for people. */
  constructor(private readonly where: string, private readonly note: (line: string) => void) {}

  /** @param why in a few words. */
  lost(why: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.note(`lost the connection to ${this.where} (${why}); trying to get it back`);
  }

  over(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.note(`${this.where} can be reached again`);
  }
}

/** Whether a stream outlasts an outage: then its reader waits, and should know for what. Pure. */
export function outlastsOutages(operation: Operation, request: unknown): boolean {
  return operation === "wait" || (request as { readonly follow?: boolean }).follow === true;
}
