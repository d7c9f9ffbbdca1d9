/** What managing the service needs, and the lock under which one command at a time does it. */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import type { Paths } from "../../lib/paths.ts";
import type { ServiceManager } from "./manager.ts";

export interface ServiceWorld {
  readonly deps: Deps;
  readonly paths: Paths;
  readonly manager: ServiceManager;
  /** Starts dev-sessions, see `selfCommand`. */
  readonly self: { readonly command: string; readonly args: readonly string[] };
  readonly version: string;
}

/** @throws AppError at once when another command has it. */
export async function lockService({ deps, paths }: ServiceWorld): Promise<Disposable> {
  await Deno.mkdir(paths.locks, { recursive: true, mode: 0o700 });
  const lock = await acquireLock(`${paths.locks}/gateway-service`, {
    timeoutMs: 0,
    clock: deps.clock,
    signal: new AbortController().signal,
  });
  if (lock !== null) return lock;
  throw new AppError(
    "failure",
    "another command is just installing or removing it. Try again when that has ended",
  );
}

/** For a sentence that goes on. */
export function withoutFullStop(text: string): string {
  return text.replace(/[.\s]+$/, "");
}
