/** Which service the commands of this process speak to: the sessions of this machine, or those behind a gateway. */

import type { Deps } from "./deps.ts";
import { isClientMode } from "./client_settings.ts";
import type { SessionService } from "./service.ts";

/** @throws AppError when the registry can't be read, or the gateway's settings can't be used. */
export async function openService(deps: Deps): Promise<SessionService & { close(): Promise<void> }> {
  if (isClientMode(deps.env)) return (await import("../gateway/client.ts")).openClient(deps);
  return await (await import("../gateway/routed_service.ts")).openRouted(deps);
}

/** For a dev-sessions at another host: what it asks for is on this machine, whatever this one knows of others. */
export async function openServiceForPeers(deps: Deps): Promise<ServiceForPeers> {
  if (isClientMode(deps.env)) {
    return { service: await (await import("../gateway/client.ts")).openClient(deps), registry: null };
  }
  const [{ managerOf }, { openRegistry }] = await Promise.all([
    import("./manager.ts"),
    import("./open_registry.ts"),
  ]);
  const store = openRegistry(deps);
  try {
    return { service: await managerOf(deps, store), registry: store.registryId() };
  } catch (error) {
    store.close();
    throw error;
  }
}

export interface ServiceForPeers {
  readonly service: SessionService & { close(): Promise<void> };
  /** The id of the registry that its sessions are in; null where that is not known. */
  readonly registry: string | null;
}
