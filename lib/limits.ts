/** How many sessions may live and how deep families may grow: protection against agents that start ever more agents. Pure. */

import { AppError } from "./errors.ts";
import type { Session, SessionId } from "./session.ts";

export interface Limits {
  readonly maxSessions: number;
  readonly maxDepth: number;
}

/** How many sessions that are made with a token of the gateway may live at once. */
export interface TokenLimit {
  readonly id: string;
  readonly maxSessions: number;
}

/** The limit on live sessions is reached; those that are dead may not have been noticed yet. */
export class TooManySessionsError extends AppError {}

/** Steps from the first one of the family, over the parents that are known; 0 for a session without any. */
export function depthOf(
  parent: SessionId | null,
  find: (id: SessionId) => Pick<Session, "parent"> | null,
): number {
  const seen = new Set<SessionId>();
  for (let id = parent; id !== null && !seen.has(id);) {
    const session = find(id);
    if (session === null) break;
    seen.add(id);
    id = session.parent;
  }
  return seen.size;
}

/** The session and all that it descends from. */
export function withAncestors(
  id: SessionId | null,
  find: (id: SessionId) => Pick<Session, "parent"> | null,
): Set<SessionId> {
  const seen = new Set<SessionId>();
  for (let next = id; next !== null && !seen.has(next); next = find(next)?.parent ?? null) seen.add(next);
  return seen;
}

/** @throws AppError (refused) for a session that would be too far from the first one of its family. */
export function assertDepth(depth: number, limits: Limits, action: string, configFile: string): void {
  if (depth <= limits.maxDepth) return;
  throw new AppError(
    "refused",
    `Cannot ${action}: it would be ${depth} steps from the first session of its family, and the limit is ` +
      `${limits.maxDepth}. Raise it with "maxDepth" in ${configFile}`,
  );
}

/**
 * @param live how many sessions live now.
 * @throws TooManySessionsError (refused) when one more would be too many.
 */
export function assertRoom(live: number, limits: Limits, action: string, configFile: string): void {
  if (live < limits.maxSessions) return;
  throw new TooManySessionsError(
    "refused",
    `Cannot ${action}: ${live} sessions are live, and the limit is ${limits.maxSessions}. See them with: ` +
      `dev-sessions list. End some with: dev-sessions kill <id>. Or raise the limit with "maxSessions" in ${configFile}`,
  );
}

/** As `assertRoom()`, for the holder of a token, whom other sessions and the host's files do not concern. */
export function assertRoomForHolder(live: number, limits: Limits, action: string): void {
  if (live < limits.maxSessions) return;
  throw new TooManySessionsError(
    "refused",
    `Cannot ${action}: the host starts no more sessions at the moment. ` +
      "End some of yours with: dev-sessions kill <id>. Or ask whoever made the token",
  );
}

/**
 * @param live how many sessions that were made with one token of the gateway live now.
 * @throws TooManySessionsError (refused) when one more would be too many.
 */
export function assertRoomOfToken(live: number, most: number, action: string): void {
  if (live < most) return;
  throw new TooManySessionsError(
    "refused",
    `Cannot ${action}: ${live} session${
      live === 1 ? "" : "s"
    } made with this token live, and its limit is ${most}. ` +
      "End some with: dev-sessions kill <id>",
  );
}
