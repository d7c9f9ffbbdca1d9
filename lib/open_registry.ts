/** The registry as the commands of this process use it. */

import type { Deps } from "./deps.ts";
import { pathsFrom } from "./paths.ts";
import { openStore, type Store } from "./store.ts";

/** @throws AppError when it can't be read. */
export function openRegistry(deps: Deps): Store {
  return openStore(pathsFrom(deps.env), {
    now: () => deps.clock.now(),
    randomUuid: deps.randomUuid,
    warn: (line) => deps.terminal.writeErr(`${line}\n`),
  });
}

/** What tells this registry from all others, on whatever machine. @throws AppError when it can't be read. */
export function registryIdOf(deps: Deps): string {
  const store = openRegistry(deps);
  try {
    return store.registryId();
  } finally {
    store.close();
  }
}
