/** Several pieces of work at a time, each result as soon as it is known. */

/**
 * Runs `work` on every item, at most `atOnce` at a time, and yields what it resolves to in the order of completion. Once
 * begun, all of the work is done, also when its reader stops reading; after `signal` no further piece is begun.
 *
 * @param work must not reject.
 */
export async function* asCompleted<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<R> {
  const waiting = [...items];
  const done: R[] = [];
  let wake = Promise.withResolvers<void>();
  let working = 0;
  const worker = async () => {
    working++;
    for (let item = waiting.shift(); item !== undefined && !signal.aborted; item = waiting.shift()) {
      done.push(await work(item));
      wake.resolve();
    }
    working--;
    wake.resolve();
  };
  const workers = Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  try {
    for (;;) {
      for (let result = done.shift(); result !== undefined; result = done.shift()) yield result;
      if (working === 0) return;
      await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    await workers;
  }
}
