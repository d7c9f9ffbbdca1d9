/** How many items the reader of a stream is ready to take. */

import { untilStopped } from "../lib/until_stopped.ts";

export class Credit {
  #wake: (() => void) | null = null;

  constructor(private left: number) {}

  add(count: number): void {
    this.left += count;
    this.#wake?.();
  }

  /** Returns early when the signal aborts. */
  async take(signal: AbortSignal): Promise<void> {
    while (this.left <= 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await untilStopped(promise, signal);
    }
    this.left--;
  }
}
