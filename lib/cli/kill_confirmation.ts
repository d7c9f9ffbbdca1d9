/** Before many sessions are ended at a terminal: shows which, asks, and says which of them were agreed to. */

import { AppError } from "../errors.ts";
import type { KillSelector, ListedSession, SessionService } from "../service.ts";
import type { SessionId } from "../session.ts";
import { note, type Result, table } from "./output.ts";
import { type Asking, confirm } from "./prompts.ts";

const HEADER = ["ID", "CLI", "STATUS", "LAST USED", "PATH", "DESCRIPTION"] as const;

export type BulkSelector = Exclude<KillSelector, { ids: unknown }>;

/**
 * Yields what there is to see before the question; returns the sessions to end, all of which were shown.
 * @throws AppError (interrupted) unless it was answered with yes.
 */
export async function* confirmedIds(
  selector: BulkSelector,
  service: SessionService,
  context: Asking,
): AsyncGenerator<Result, SessionId[]> {
  const { clock } = context.deps;
  const shown = meant(selector, await service.list({ all: false, group: null }), clock.now());
  if (shown.length === 0) return [];
  const rows = shown.map(({ session, state }) => {
    const { id, agent, lastUsedAt, path, description } = session;
    return [id, agent, state, lastUsedAt, path, description ?? ""];
  });
  yield note(table(HEADER, rows));
  const question = shown.length === 1 ? "End this session?" : `End these ${shown.length} sessions?`;
  if (!await confirm(question, context)) {
    throw new AppError("interrupted", "Not confirmed: no session was ended");
  }
  const ids = shown.map(({ session }) => session.id);
  if ("all" in selector) return ids;
  // One that was used while the question stood is not old any more.
  const still = new Set(
    meant(selector, await service.list({ all: false, group: null }), clock.now()).map(({ session }) =>
      session.id
    ),
  );
  return ids.filter((id) => still.has(id));
}

/** Those of the listed that the selector stands for. Pure. */
export function meant(
  selector: BulkSelector,
  listed: readonly ListedSession[],
  now: number,
): ListedSession[] {
  const active = listed.filter(({ session }) => session.lifecycle === "active");
  if ("all" in selector) return active;
  const before = now - selector.olderThanMs;
  return active.filter(({ session }) => Date.parse(session.lastUsedAt) < before);
}
