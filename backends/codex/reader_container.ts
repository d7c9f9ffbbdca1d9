/**
 * A container that reads what an ended session has said. It belongs to its command alone: neither is it ever taken for
 * the session's own container, nor that one for it, and whoever started it removes just it.
 */

import { Engine, READER_LABEL } from "../docker/engine.ts";
import { readerPlace, removeFolder, removeLeft } from "../docker/leftovers.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { startServer } from "./container.ts";
import type { CodexContainer } from "./container_handle.ts";
import type { CodexServer, ServerOptions } from "./find_server.ts";

export interface ContainedReader {
  readonly server: CodexServer;
  /** Removes it; what the engine does not remove now is removed by a later command. */
  close(): Promise<void>;
}

/** @throws AppError with what the server said; the signal's reason. Nothing is left then. */
export async function startReader(
  container: CodexContainer,
  options: ServerOptions,
): Promise<ContainedReader> {
  const { deps, signal } = options;
  const engine = new Engine(deps, container.engine);
  await removeLeft(deps, engine);
  const key = deps.randomUuid().slice(0, 8);
  const place = readerPlace(pathsFrom(deps.env), container.token, key);
  const { name, folder, lock, socketFolder } = place;
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Before the container: one without a holder is anybody's to remove.
  const held = await acquireLock(lock, { timeoutMs: 0, clock: deps.clock, signal });
  const close = async () => {
    try {
      if (await engine.removeMarked([READER_LABEL, name]) === "gone") await removeFolder(place, deps);
    } finally {
      held?.[Symbol.dispose]();
    }
  };
  try {
    const own = { ...container, name: `${container.name}-reader-${key}`, socketFolder };
    const mark = [READER_LABEL, name] as const;
    return { server: await startServer(own, { mark, startsAgents: false }, options), close };
  } catch (error) {
    await close();
    throw error;
  }
}
