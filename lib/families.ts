/** Who started whom. Pure. */

import type { Session, SessionId } from "./session.ts";

/** Whether `ancestor` started the session, or started one that did. A parent that is not known ends the search. */
export function descendsFrom(
  session: Session,
  ancestor: SessionId,
  find: (id: SessionId) => Session | null,
): boolean {
  const seen = new Set<SessionId>();
  let parent = session.parent;
  while (parent !== null && !seen.has(parent)) {
    if (parent === ancestor) return true;
    seen.add(parent);
    parent = find(parent)?.parent ?? null;
  }
  return false;
}
