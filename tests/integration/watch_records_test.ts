/** A waiter is woken by what changes, also by what changes while it is busy with its last look. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { watchRecords } from "../../backends/claude/watch.ts";
import { realClock } from "../../lib/real_deps.ts";

const PATIENCE_MS = 10_000;

Deno.test("watchRecords() yields for a change that came while its reader was busy, after a poll, too", async () => {
  const root = await Deno.makeTempDir({ prefix: "watch" });
  const file = join(root, "t.jsonl");
  await Deno.writeTextFile(file, "");
  const stop = new AbortController();
  // Its first nap is over at once, the others never are.
  let naps = 0;
  const clock = {
    ...realClock,
    sleep: (_: number, signal?: AbortSignal) => naps++ === 0 ? Promise.resolve() : untilAborted(signal),
  };
  const seen = Deno.watchFs(root, { recursive: false });
  try {
    const looks = watchRecords(
      () => ({ events: join(root, "none"), files: [file] }),
      1_000,
      clock,
      stop.signal,
    );
    await looks.next();
    await looks.next();
    await Deno.writeTextFile(file, "x", { append: true });
    // What comes after it has arrived, in this process: the change itself has, too.
    await Deno.writeTextFile(join(root, "later"), "x");
    for await (const event of seen) if (event.paths.some((path) => path.endsWith("/later"))) break;

    const late = new AbortController();
    const next = await Promise.race([
      looks.next(),
      realClock.sleep(PATIENCE_MS, late.signal).then(() => "late"),
    ]);
    late.abort();
    strictEqual(next === "late", false, "the change was lost");
    stop.abort();
    await looks.return(undefined);
  } finally {
    stop.abort();
    await Deno.remove(root, { recursive: true });
  }
});

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal?.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
