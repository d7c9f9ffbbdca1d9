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

/** @throws AppError (refused) when an agent would answer its own request, or that of a session it descends from. */
export function assertMayAnswer(
  target: SessionId,
  caller: SessionId | null,
  find: (id: SessionId) => Session | null,
): void {
  if (caller === null) return;
  const row = find(caller);
  const isOwn = caller === target;
  if (!isOwn && (row === null || !descendsFrom(row, target, find))) return;
  throw new AppError(
    "refused",
    `Cannot answer "${target}": ` +
      (isOwn
        ? "it is the session that runs this command, and nobody approves his own requests"
        : `"${caller}", which runs this command, was started by it or by a session that it started`) +
      ". Leave it to a person or to the session that started it",
  );
}

/** @throws AppError (refused) when an agent would start another one that may do more than itself. */
export function assertNoLaxer(mode: Mode, parent: Pick<Session, "id" | "mode">): void {
  if (STRICTNESS[mode] >= STRICTNESS[parent.mode]) return;
  throw new AppError(
    "refused",
    `Cannot create a session in ${mode} mode: "${parent.id}", which asks for it, runs in ${parent.mode} mode itself. ` +
      `Use --mode ${parent.mode}`,
  );
}

/** @throws AppError when an agent would stop its own turn (usage) or that of one it descends from (refused). */
export function assertMayInterrupt(
  target: SessionId,
  sender: SessionId | null,
  find: (id: SessionId) => Session | null,
): void {
  if (sender === null) return;
  if (sender === target) {
    throw new AppError(
      "usage",
      `Cannot interrupt "${target}": it is the session that runs this command. Name another one; see: dev-sessions list`,
    );
  }
  const self = find(sender);
  if (self === null || !descendsFrom(self, target, find)) return;
  throw new AppError(
    "refused",
    `Cannot interrupt "${target}": "${sender}", which runs this command, was started by it. ` +
      `Tell it instead, with: dev-sessions send ${target}`,
  );
}
