/**
 * Subscribes to a thread, and loads it where it is not loaded. Settings go along only with the loading: for their sake the
 * server would end a thread that rests without a subscriber and load it anew, which kills what its agent has left running
 * in the background and interrupts a turn that begins in that moment (measured; its answer does not tell).
 */

import type { Clock } from "../../lib/deps.ts";
import type { Session } from "../../lib/session.ts";
import type { Follower } from "./follower.ts";
import type { ThreadItem } from "./frames.ts";
import type { Connection } from "./rpc.ts";
import { RpcError } from "./rpc_errors.ts";
import { threadSettings } from "./settings.ts";

/** The server gives a thread this long to end before it lets go of it. */
const CLOSING_MS = 10_000;
const CLOSING_POLL_MS = 50;

export interface JoinOptions {
  /** False: a thread that is not loaded is left so. */
  readonly load: boolean;
  readonly signal?: AbortSignal;
}

export interface Joining {
  readonly connection: Connection;
  readonly session: Session;
  readonly threadId: string;
  readonly follower: Follower;
  readonly clock: Clock;
}

/** The items of the newest turn; null where the thread is not loaded and was not to be. @throws RpcError, ConnectionLost. */
export async function join(joining: Joining, options: JoinOptions): Promise<readonly ThreadItem[] | null> {
  const { connection, session, threadId, follower } = joining;
  const call = options.signal === undefined ? {} : { signal: options.signal };
  const { unloads } = follower;
  const { thread } = await connection.call("thread/read", { threadId }, call);
  const isLoaded = thread.status.type !== "notLoaded";
  if (!isLoaded && !options.load) return null;
  const items = await resume(joining, isLoaded ? {} : threadSettings(session), call);
  if (!isLoaded || follower.unloads === unloads) return items;
  // It was unloaded between the two calls: so this has loaded it without its settings, and nobody else has it yet.
  await connection.call("thread/unsubscribe", { threadId }, call);
  return await resume(joining, threadSettings(session), call);
}

type Settings = ReturnType<typeof threadSettings> | Record<never, never>;

async function resume(
  { connection, threadId, clock }: Joining,
  settings: Settings,
  call: { readonly signal?: AbortSignal },
): Promise<readonly ThreadItem[]> {
  const deadline = clock.monotonic() + CLOSING_MS;
  for (;;) {
    try {
      const { initialTurnsPage } = await connection.call("thread/resume", {
        threadId,
        excludeTurns: true,
        // Only here stand the items that are not complete: what an open request is about.
        initialTurnsPage: { limit: 1, sortDirection: "desc", itemsView: "full" },
        ...settings,
      }, call);
      return (initialTurnsPage?.data ?? []).flatMap(({ items }) => items);
    } catch (error) {
      // It is being unloaded, and can be loaded again afterwards.
      const isClosing = error instanceof RpcError && /\bis closing\b/.test(error.message);
      if (!isClosing || clock.monotonic() >= deadline) throw error;
      await clock.sleep(CLOSING_POLL_MS, call.signal);
      call.signal?.throwIfAborted();
    }
  }
}
