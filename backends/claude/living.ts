/** Which living processes are at a conversation, by Claude's own live registry. Files of dead processes don't count. */

import type { Deps } from "../../lib/deps.ts";
import type { ProcessIdentity } from "../../lib/session.ts";
import { findRegistryClaims, isOf } from "./live_registry.ts";

export async function livingAt(
  deps: Deps,
  configFolder: string,
  conversation: string,
): Promise<ProcessIdentity[]> {
  const living: ProcessIdentity[] = [];
  for (const claim of findRegistryClaims(configFolder, conversation)) {
    const process = await deps.identify(claim.pid);
    if (process !== null && isOf(claim, process)) living.push(process);
  }
  return living;
}
