/** What this process hears of one thread while it is subscribed: open requests, retries, and that something changed. */

import type { OpenRequest, Retrying } from "./evidence.ts";
import type { RequestId, ThreadItem } from "./frames.ts";
import type { Incoming } from "./rpc.ts";

/** Items of a running turn that requests may refer to. */
const KEPT_ITEMS = 200;
/** Of open requests, of which a thread has a few, and of those that are over. */
const KEPT_REQUESTS = 1_000;
/** Of the frames that items, and of those that requests came in: a server in a container may send what it likes. */
const KEPT_UNITS = 32 * 1024 * 1024;

export class Follower {
  readonly #requests = new Kept<RequestId, OpenRequest>(KEPT_REQUESTS);
  readonly #items = new Kept<string, ThreadItem>(KEPT_ITEMS);
  readonly #resolved = new Set<RequestId>();
  #retrying: { readonly turnId: string; readonly said: Retrying } | null = null;
  readonly #waiting = new Set<() => void>();
  /** Counts what was heard, so that nothing falls between a look and a wait. */
  #heard = 0;
  #losses = 0;
  #unloads = 0;
  /** Whether turns, items and requests come to this process; not after a connection was lost. */
  subscribed = false;

  /** Those that nobody has answered, oldest first. */
  get requests(): readonly OpenRequest[] {
    return [...this.#requests.values()].map((open) => ({ ...open, item: open.item ?? this.#itemOf(open) }));
  }
  get heard(): number {
    return this.#heard;
  }
  /** How often its connection was lost. */
  get losses(): number {
    return this.#losses;
  }

  /** How often the server has let go of it while this process was connected, subscribed or not. */
  get unloads(): number {
    return this.#unloads;
  }

  /** The server's last word on trying again in this turn. */
  retrying(turnId: string): Retrying | null {
    return this.#retrying?.turnId === turnId ? this.#retrying.said : null;
  }

  get lastRetry(): { readonly turnId: string; readonly said: Retrying } | null {
    return this.#retrying;
  }

  /** Whether the server has said that a request was answered, or is over. */
  isResolved(id: RequestId): boolean {
    return this.#resolved.has(id);
  }

  /** As if it had been heard. */
  know(item: ThreadItem, units = 0): void {
    this.#items.set(item.id, item, units);
  }

  knowsMessage(clientId: string): boolean {
    return this.#items.values().some((item) => item.type === "userMessage" && item.clientId === clientId);
  }

  /** It may come to be known after its request. */
  #itemOf({ request }: OpenRequest): ThreadItem | null {
    return request.method === "other" ? null : this.#items.get(request.params.itemId) ?? null;
  }

  hear(incoming: Incoming, now: number): void {
    if (incoming.kind === "request") {
      const { request } = incoming;
      const since = request.method === "other" ? now : request.params.startedAtMs ?? now;
      this.#requests.set(request.id, { request, item: null, since }, incoming.units);
      this.#resolved.delete(request.id);
    } else this.#note(incoming.notification, incoming.units, now);
    this.#changed();
  }

  /** Resolves when something was heard after `heard`, when the connection is lost, or at the signal. */
  changedSince(heard: number, signal: AbortSignal): Promise<void> {
    if (this.#heard > heard || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }

  /** How many wait for a change. */
  get waiting(): number {
    return this.#waiting.size;
  }

  lost(): void {
    this.subscribed = false;
    this.#losses++;
    // Numbered anew by another server; they come again with the next subscription.
    this.#requests.clear();
    this.#resolved.clear();
    this.#changed();
  }

  #note(
    notification: Extract<Incoming, { kind: "notification" }>["notification"],
    units: number,
    now: number,
  ): void {
    switch (notification.method) {
      case "item/started":
      case "item/completed": {
        this.know(notification.params.item, units);
        this.#retrying = null;
        return;
      }
      case "serverRequest/resolved":
        this.#requests.delete(notification.params.requestId);
        this.#resolved.add(notification.params.requestId);
        if (this.#resolved.size > KEPT_REQUESTS) this.#resolved.delete(this.#resolved.values().next().value!);
        return;
      case "error": {
        const { willRetry, turnId, error } = notification.params;
        const details = error.additionalDetails === null ? "" : ` (${error.additionalDetails})`;
        this.#retrying = willRetry ? { turnId, said: { message: error.message + details, at: now } } : null;
        return;
      }
      case "turn/completed":
      case "turn/started":
        this.#retrying = null;
        this.#requests.clear();
        return;
      case "thread/closed":
      case "thread/archived":
      case "thread/deleted":
        this.subscribed = false;
        return;
      case "thread/status/changed":
        if (notification.params.status.type === "notLoaded") this.#unloads++;
        return;
      case "thread/started":
      case "thread/unarchived":
      case "thread/name/updated":
      case "thread/settings/updated":
      case "thread/tokenUsage/updated":
      case "thread/goal/updated":
      case "thread/goal/cleared":
      case "thread/queue/changed":
        return;
    }
  }

  #changed(): void {
    this.#heard++;
    for (const wake of [...this.#waiting]) wake();
  }
}

/** The newest of what was said, as much as may be kept. */
class Kept<K, V> {
  readonly #entries = new Map<K, { readonly value: V; readonly units: number }>();
  #units = 0;

  constructor(private readonly max: number) {}

  set(key: K, value: V, units: number): void {
    // In its old place where it is known already.
    this.#units += units - (this.#entries.get(key)?.units ?? 0);
    this.#entries.set(key, { value, units });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.max && this.#units <= KEPT_UNITS) return;
      this.delete(oldest);
    }
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)?.value;
  }

  delete(key: K): void {
    this.#units -= this.#entries.get(key)?.units ?? 0;
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#units = 0;
  }

  *values(): Generator<V> {
    for (const { value } of this.#entries.values()) yield value;
  }
}
