/** Wakes a waiter when a session's records may have changed: file watches, with a slow poll as the net below them. */

import type { Clock } from "../../lib/deps.ts";
import { baseName, folderOf } from "../../lib/posix_path.ts";
import type { SessionEvent } from "../../lib/session.ts";

/** Beside a working watch: notices a killed process, which changes no file. */
const NET_POLL_MS = 1_000;
/** Where nothing can be watched (inotify has a limit per user). */
const BLIND_POLL_MS = 200;

export interface WatchPlaces {
  /** Every change in it counts. */
  readonly events: string;
  /** Files whose changes count; their folders may come into being later. */
  readonly files: readonly string[];
}

/** Yields at once, then after changes (several at once are one) and at least every `pollMs`, until the signal. */
export async function* watchRecords(
  places: () => WatchPlaces,
  pollMs: number | null,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<SessionEvent> {
  const watch = new RecordWatch();
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  try {
    for (;;) {
      const complete = watch.cover(places());
      yield { type: "evidence_changed" };
      if (stop.aborted) return;
      await watch.changed(pollMs ?? (complete ? NET_POLL_MS : BLIND_POLL_MS), clock, stop);
      if (stop.aborted) return;
    }
  } finally {
    ended.abort();
    await watch.close();
  }
}

class RecordWatch {
  #watchers = new Map<string, { watcher: Deno.FsWatcher; done: Promise<void> }>();
  #names = new Map<string, Set<string> | null>();
  #dirty = false;
  #wake: (() => void) | null = null;

  /** Watches what exists of these places; false while something is not (yet) covered. */
  cover(places: WatchPlaces): boolean {
    this.#names = new Map([[places.events, null]]);
    for (const file of places.files) {
      const folder = folderOf(file);
      const names = this.#names.get(folder) ?? new Set<string>();
      this.#names.set(folder, names.add(baseName(file)));
    }
    let complete = true;
    for (const folder of this.#names.keys()) {
      if (!this.#watchers.has(folder)) complete = this.#watch(folder) && complete;
    }
    return complete;
  }

  /** Resolves at the next change that counts, at once when there was one since the last call, after `ms` at the latest. */
  async changed(ms: number, clock: Clock, stop: AbortSignal): Promise<void> {
    if (!this.#dirty) {
      const nap = new AbortController();
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      await Promise.race([woken, clock.sleep(ms, AbortSignal.any([stop, nap.signal]))]);
      nap.abort();
      // Who comes later must find nobody waiting, so that the change stays for the next call.
      this.#wake = null;
    }
    this.#dirty = false;
  }

  async close(): Promise<void> {
    const watchers = [...this.#watchers.values()];
    this.#watchers.clear();
    for (const { watcher } of watchers) watcher.close();
    this.#wake?.();
    await Promise.all(watchers.map(({ done }) => done));
  }

  #watch(folder: string): boolean {
    try {
      const watcher = Deno.watchFs(folder, { recursive: false });
      this.#watchers.set(folder, { watcher, done: this.#pump(folder, watcher) });
      return true;
    } catch {
      return false;
    }
  }

  async #pump(folder: string, watcher: Deno.FsWatcher): Promise<void> {
    try {
      for await (const event of watcher) {
        if (event.kind === "access") continue;
        const names = this.#names.get(folder) ?? null;
        if (names !== null && !event.paths.some((path) => names.has(baseName(path)))) continue;
        this.#dirty = true;
        this.#wake?.();
      }
    } catch {
      // The folder is gone or the watch was closed: the poll goes on.
    }
  }
}
