/**
 * What this process is at work on right now. A process that serves many requests outlives each of them: what one of
 * them has given up must not look as if its owner were still at it.
 */

import type { Deps } from "./deps.ts";
import { isSameProcess } from "./process_identity.ts";
import type { ProcessIdentity } from "./session.ts";

export class InHand {
  readonly #names = new Set<string>();

  /** @param name of a session's token or of a claim. */
  take(name: string): void {
    this.#names.add(name);
  }
  letGo(name: string): void {
    this.#names.delete(name);
  }

  /** For each: whether nobody is at it any more. A process that can't be told of counts as being at it. */
  async abandoned(
    work: readonly { readonly name: string; readonly worker: ProcessIdentity }[],
    deps: Pick<Deps, "processStates" | "identify">,
  ): Promise<boolean[]> {
    if (work.length === 0) return [];
    const states = await deps.processStates(work.map(({ worker }) => worker));
    const self = work.some(({ worker }) => worker.pid === Deno.pid) ? await deps.identify(Deno.pid) : null;
    return work.map(({ name, worker }, index) =>
      states[index] === "dead" || (self !== null && isSameProcess(worker, self) && !this.#names.has(name))
    );
  }
}
