/** What is still held, counted once the garbage has been collected. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects what nobody holds. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // A WeakRef that was looked at is kept until the next turn.
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    collect();
  }
}

/** Counts those of its objects that somebody holds. */
export class Held {
  readonly #refs: WeakRef<object>[] = [];

  of<T extends object>(object: T): T {
    this.#refs.push(new WeakRef(object));
    return object;
  }

  async count(): Promise<number> {
    await collectGarbage();
    return this.#refs.filter((ref) => ref.deref() !== undefined).length;
  }
}

/** A signal with the number of listeners that it has. */
export function countedSignal(): { readonly stop: AbortController; readonly listeners: () => number } {
  const stop = new AbortController();
  const { signal } = stop;
  const listeners = new Set<unknown>();
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      listeners.add(args[1]);
      add(...args);
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      listeners.delete(args[1]);
      remove(...args);
    },
  });
  return { stop, listeners: () => listeners.size };
}
