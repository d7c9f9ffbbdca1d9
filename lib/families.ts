/** Who started whom, and what a session may start. Pure. */

import { AppError } from "./errors.ts";
import type { Mode, Session, SessionId } from "./session.ts";

/** How much of an agent's freedom a mode takes away. */
const STRICTNESS: Readonly<Record<Mode, number>> = { yolo: 0, native: 1, docker: 2 };

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

/** @throws AppError (refused) when an agent would start another one that may do more than itself. */
export function assertNoLaxer(
  mode: Mode,
  parent: Pick<Session, "id" | "mode">,
  action = `create a session in ${mode} mode`,
  help = `Use --mode ${parent.mode}`,
): void {
  if (STRICTNESS[mode] >= STRICTNESS[parent.mode]) return;
  throw new AppError(
    "refused",
    `Cannot ${action}: "${parent.id}", which asks for it, runs in ${parent.mode} mode itself. ${help}`,
  );
}
