/** Describes the gateway's service: what its manager says, and what the gateway itself says. */

import { LOOPBACK } from "../bind.ts";
import { readOrNull } from "./files.ts";
import { askHealth, type Health } from "./health.ts";
import type { ServiceState } from "./manager.ts";
import { settingsIn } from "./settings.ts";
import type { ServiceWorld } from "./world.ts";

export interface ServiceStatus extends ServiceState {
  /** Null: it is not installed. */
  readonly file: string | null;
  readonly port: number;
  /** What the gateway on that port says; null when nobody answers there. */
  readonly health: Health | null;
  readonly log: string;
}

/** @param usualPort where a gateway would listen that is no service; asked only where the service names none. */
export async function serviceStatus(
  { manager, paths }: ServiceWorld,
  usualPort: () => number,
): Promise<ServiceStatus> {
  const file = await manager.place();
  const definition = await readOrNull(file);
  const port = (definition === null ? null : settingsIn(manager.read(definition))?.port) ?? usualPort();
  const known = await manager.lack() === null;
  const state: ServiceState = known
    ? await manager.state()
    : { state: definition === null ? "stopped" : "unknown", pid: null, since: null, end: null };
  return {
    ...state,
    file: definition === null ? null : file,
    port,
    health: await askHealth(LOOPBACK, port),
    log: paths.gatewayLog,
  };
}
