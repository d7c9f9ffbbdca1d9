/** Whether a contained Claude lives once its terminal's process does not: only its engine can tell. */

import { Engine } from "../docker/engine.ts";
import type { Deps } from "../../lib/deps.ts";
import type { Liveness, ProcessIdentity } from "../../lib/session.ts";
import type { ClaudeContainer } from "./handle.ts";

/** @param terminal the engine's command line in the session's pane, which is not alive. */
export async function containerLiveness(
  deps: Deps,
  container: Extract<ClaudeContainer, { by: "docker" }>,
  terminal: ProcessIdentity,
): Promise<Liveness> {
  // No container of ours is started again by itself.
  const here = await deps.identify(Deno.pid);
  if (here !== null && here.machine === terminal.machine && here.boot !== terminal.boot) return "dead";
  if (container.id === null) return "unknown";
  const state = await new Engine(deps, container.engine).state(container.id);
  switch (state.kind) {
    case "running":
      return "alive";
    case "stopped":
    case "absent":
      return "dead";
    case "unknown":
      return "unknown";
  }
}
