/** A session as JSON: the keys that 0.4.4's records had, with the same meaning, and the ones added since. */

import type { SessionSummary } from "../session.ts";

/** `extra` is what is known beyond the registry, such as the state. */
export function sessionRecord(
  session: SessionSummary,
  extra: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    ...session.legacy,
    championId: session.id,
    internalId: session.agentSessionId ?? session.token,
    cli: session.agent,
    mode: session.mode,
    path: session.path,
    ...(session.description === null ? {} : { description: session.description }),
    status: session.lifecycle === "ended" ? "inactive" : "active",
    ...(session.model === null ? {} : { model: session.model }),
    ...(session.host === undefined ? {} : { host: session.host }),
    createdAt: session.createdAt,
    lastUsed: session.lastUsedAt,
    id: session.id,
    lifecycle: session.lifecycle,
    group: session.group,
    parent: session.parent,
    endedAt: session.endedAt,
    endReason: session.endReason,
    ...extra,
  };
}
