/** A lock over processes that the system frees when its holder dies, however it dies. */

import type { Clock } from "./deps.ts";

const RETRY_MS = 10;

/** Null when the time is over or the signal aborts. The file stays; its content means nothing. */
export async function acquireLock(
  path: string,
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Disposable | null> {
  const { clock, signal } = options;
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  const deadline = clock.monotonic() + options.timeoutMs;
  try {
    while (!signal.aborted) {
      if (file.tryLockSync(true)) return { [Symbol.dispose]: () => file.close() };
      if (clock.monotonic() >= deadline) break;
      await clock.sleep(RETRY_MS, signal);
    }
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return null;
}
