/** Who started whom, what a session may start, and whom it may end. Pure. */

import { AppError } from "./errors.ts";
import type { Mode, Session, SessionId } from "./session.ts";

/** What is known of a session as a member of a family. */
export type Kin = Pick<Session, "id" | "parent" | "createdAt">;

type Find<K extends Kin> = (id: SessionId) => K | null;

/** How much of an agent's freedom a mode takes away. */
export const STRICTNESS: Readonly<Record<Mode, number>> = { yolo: 0, native: 1, docker: 2 };

/**
 * The session that started this one; null when nobody did, or when it is not known any more. One that is younger than
 * its child only has the name of a parent that was forgotten.
 */
export function parentOf<K extends Kin>(session: Kin, find: Find<K>): K | null {
  const parent = session.parent === null ? null : find(session.parent);
  return parent === null || parent.createdAt > session.createdAt ? null : parent;
}

/** Parent, its parent and so on, the nearest first. One that is not known ends the search, and so does a circle. */
export function ancestorsOf<K extends Kin>(session: Kin, find: Find<K>): K[] {
  const ancestors: K[] = [];
  const seen = new Set([session.id]);
  let parent = parentOf(session, find);
  while (parent !== null && !seen.has(parent.id)) {
    seen.add(parent.id);
    ancestors.push(parent);
    parent = parentOf(parent, find);
  }
  return ancestors;
}

/** Whether `ancestor` started the session, or started one that did. A parent that is not known ends the search. */
export function descendsFrom(session: Kin, ancestor: SessionId, find: Find<Kin>): boolean {
  const known = ancestorsOf(session, find);
  if (known.some(({ id }) => id === ancestor)) return true;
  const oldest = known.at(-1) ?? session;
  return oldest.parent === ancestor && oldest.parent !== session.id && find(ancestor) === null;
}

/** The items in the order of a tree: each after its parent, one level deeper; those without a parent among them at 0. */
export function layTree<T>(
  items: readonly T[],
  kinOf: (item: T) => Kin,
): { readonly item: T; readonly depth: number }[] {
  const byId = new Map(items.map((item) => [kinOf(item).id, item]));
  const find = (id: SessionId) => {
    const item = byId.get(id);
    return item === undefined ? null : kinOf(item);
  };
  const children = Map.groupBy(items, (item) => parentOf(kinOf(item), find)?.id ?? null);
  const laid: { item: T; depth: number }[] = [];
  const seen = new Set<T>();
  const lay = (root: T) => {
    const open = [{ item: root, depth: 0 }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next.item)) continue;
      seen.add(next.item);
      laid.push(next);
      const depth = next.depth + 1;
      const below = children.get(kinOf(next.item).id) ?? [];
      open.push(...below.map((item) => ({ item, depth })).reverse());
    }
  };
  (children.get(null) ?? []).forEach(lay);
  // What is left are circles, which have no top.
  items.forEach((item) => seen.has(item) || lay(item));
  return laid;
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

/** @throws AppError (refused) when an agent would end itself or a session that it works for. */
export function assertMayKill(id: SessionId, caller: Kin, find: Find<Kin>): void {
  const why = caller.id === id
    ? "it is the session that runs this command"
    : ancestorsOf(caller, find).some((ancestor) => ancestor.id === id)
    ? `it is an ancestor of "${caller.id}", the session that runs this command`
    : null;
  if (why === null) return;
  throw new AppError("refused", `Cannot kill "${id}": ${why}. If it must end all the same, add --everyone`);
}
