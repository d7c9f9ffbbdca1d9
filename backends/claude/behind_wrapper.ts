/**
 * Whether the Claude behind a user's wrapper may live on once the wrapper does not: a container outlives a `docker run`
 * that was killed, and Claude's live registry, where it is shared, names a conversation until Claude has ended by itself.
 */

import type { Deps } from "../../lib/deps.ts";
import type { ProcessIdentity, Session } from "../../lib/session.ts";
import { handleOf } from "./handle.ts";
import { findRegistryClaims, isOf } from "./live_registry.ts";

/**
 * The file of Claude's live registry that names the session's conversation, though no process of this machine is it by
 * its pid; null where none does, and for any session that was not started through a wrapper.
 *
 * @param conversation default: that with which the session began.
 */
export async function namedBehindWrapper(
  deps: Deps,
  session: Pick<Session, "id" | "handle" | "process" | "agentSessionId">,
  conversation = session.agentSessionId,
): Promise<string | null> {
  if (session.handle === null) return null;
  const { container, configFolder } = handleOf(session);
  if (container?.by !== "clauded" || conversation === null) return null;
  if (session.process !== null && await isBeforeReboot(deps, session.process)) return null;
  for (const claim of findRegistryClaims(configFolder, conversation)) {
    const process = await deps.identify(claim.pid);
    if (process === null || !isOf(claim, process)) return claim.file;
  }
  return null;
}

async function isBeforeReboot(deps: Deps, wrapper: ProcessIdentity): Promise<boolean> {
  const here = await deps.identify(Deno.pid);
  return here !== null && here.machine === wrapper.machine && here.boot !== wrapper.boot;
}
