/**
 * Removes containers that a killed command has left: of this registry alone, and only where it is proven that nobody
 * needs them.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import { registryIdOf } from "../../lib/open_registry.ts";
import { type Paths, pathsFrom } from "../../lib/paths.ts";
import { removeTree } from "../../lib/remove_tree.ts";
import { type Engine, type LabelledContainer, REGISTRY_LABEL } from "./engine.ts";

/** Of a container that only reads what an ended session has said. */
export interface ReaderPlace {
  /** Value of its label. */
  readonly name: string;
  readonly folder: string;
  /** Held by the command that reads, as long as that lives. */
  readonly lock: string;
  readonly socketFolder: string;
}

/** @param key eight hexadecimal digits. */
export function readerPlace(paths: Paths, token: string, key: string): ReaderPlace {
  const folder = `${paths.sessionFolder(token)}/readers/${key}`;
  return { name: `${token}/${key}`, folder, lock: `${folder}/lock`, socketFolder: `${folder}/socket` };
}

/** Null for a name that is none of ours. */
function placeOf(paths: Paths, name: string): ReaderPlace | null {
  const [, token, key] = /^([0-9a-f-]{36})\/([0-9a-f]{8})$/.exec(name) ?? [];
  return token === undefined || key === undefined ? null : readerPlace(paths, token, key);
}

/** @param isLive whether the session with this token is not ended; left out: only readers are looked at. */
export async function removeLeft(
  deps: Deps,
  engine: Engine,
  isLive: (token: string) => boolean = () => true,
): Promise<void> {
  const found = await engine.labelled([REGISTRY_LABEL, registryIdOf(deps)]);
  if (found === "unknown") return;
  for (const one of found) {
    if (one.reader !== "") await removeUnused(deps, engine, one);
    else if (one.token !== "" && !isLive(one.token)) await engine.removeOne(one.id);
  }
}

/** Holds its lock meanwhile, so that it is nobody's. */
async function removeUnused(deps: Deps, engine: Engine, { id, reader }: LabelledContainer): Promise<void> {
  const place = placeOf(pathsFrom(deps.env), reader);
  if (place === null) return;
  const lock = await lockOf(place, deps);
  if (lock === "held") return;
  try {
    await engine.removeOne(id);
    await removeFolder(place, deps);
  } finally {
    lock?.[Symbol.dispose]();
  }
}

/** Null: its folder is gone, which goes after the container, and with its session. */
async function lockOf({ lock }: ReaderPlace, deps: Deps): Promise<Disposable | "held" | null> {
  const signal = new AbortController().signal;
  try {
    return await acquireLock(lock, { timeoutMs: 0, clock: deps.clock, signal }) ?? "held";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** A container has written there: what it keeps from being removed goes with its session's folder, or is told then. */
export async function removeFolder({ folder }: ReaderPlace, deps: Deps): Promise<void> {
  try {
    await removeTree(folder, deps);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}
