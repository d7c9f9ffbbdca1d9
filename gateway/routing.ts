/** What one request comes to when its sessions live in several places. */

import { AppError } from "../lib/errors.ts";
import { assertNoLaxer, descendsFrom, type Kin } from "../lib/families.ts";
import { type Expanded, type ExpandRequest, expandTargets } from "../lib/groups.ts";
import { normaliseMessage } from "../lib/message_text.ts";
import { asMember, type RemoteSession } from "../lib/remote_session.ts";
import { withSender } from "../lib/sender.ts";
import type {
  KillResult,
  KillSelector,
  PruneResult,
  PruneSelector,
  SendRequest,
  WaitRequest,
  WaitResult,
} from "../lib/service.ts";
import { byCreation } from "../lib/session_checks.ts";
import type { Session, SessionId } from "../lib/session.ts";
import type { Store } from "../lib/store.ts";
import { type Elsewhere, partition } from "./elsewhere.ts";
import type { Home } from "./home.ts";
import { mergeWaits } from "./merge_waits.ts";
import {
  endedRowsBefore,
  type Ending,
  killElsewhere,
  lostError,
  pruneElsewhere,
  unusedSince,
} from "./remote_ending.ts";

export function expandEverywhere(request: ExpandRequest, store: Store): Expanded {
  const here = [...store.listEnded(), ...store.list({ lifecycle: "active" }), ...store.creating()];
  return expandTargets(request, [...here, ...store.listRemotes().map(asMember)].sort(byCreation));
}

/**
 * The request as the session's host gets it: what a sender of this machine has to say stands in the text, since its id
 * means nothing there.
 *
 * @throws AppError (usage) for a text that can't be sent.
 */
export function sentElsewhere(
  request: SendRequest,
  row: Pick<RemoteSession, "id" | "parent" | "createdAt">,
  store: Pick<Store, "find">,
): SendRequest {
  const { text, render, sender } = request;
  const said = withSender(row, "", sender, (id) => store.find(id));
  if (render === null) return { ...request, sender: null, text: said + normaliseMessage(text) };
  normaliseMessage(text);
  const { parent } = row;
  return { ...request, sender: null, text: said + (parent === null ? text : withParent(text, parent)) };
}

/** The parent's id is known only here. */
export function withParent(template: string, parent: SessionId): string {
  return template.replace(
    /\\\{\{|\{\{[ \t]*parent\.id[ \t]*\}\}/g,
    (token) => token === "\\{{" ? token : parent,
  );
}

export async function* waitEverywhere(
  request: WaitRequest,
  home: Home,
  there: Elsewhere,
  signal: AbortSignal,
): AsyncGenerator<WaitResult> {
  const { store } = there.world;
  const { here, elsewhere } = partition(request.ids, store);
  // What is not known is told before anything is waited for.
  const local = here.length === 0 ? null : await home.manager();
  for (const id of here) await local?.inspect(id);
  const hosts = there.byHost(elsewhere);
  yield* mergeWaits(
    (stop) => [
      ...(local === null ? [] : [local.wait({ ...request, ids: here }, stop)]),
      ...hosts.map((rows) => there.wait(rows, request, stop)),
    ],
    request.any,
    signal,
  );
}

/** Null when nothing is left out. */
export function leftOutNote(rows: readonly RemoteSession[]): string | null {
  const live = rows.filter(({ lifecycle }) => lifecycle === "active");
  if (live.length === 0) return null;
  const hosts = [...Map.groupBy(live, ({ host }) => host)].map(([host, some]) => `${host}: ${idsOf(some)}`);
  return `without the sessions on other hosts, which have an order of their own (${hosts.join("; ")}). ` +
    `Name those of one host: dev-sessions events <id...>`;
}

/** The rows of the one host that all of them live on. @throws AppError (usage) when they live in several places. */
export function placeOfEvents(ids: readonly SessionId[], store: Pick<Store, "findRemote">): RemoteSession[] {
  const { here, elsewhere } = partition(ids, store);
  const places = new Map(
    [...Map.groupBy(elsewhere, ({ host }) => host)].map(([host, rows]) => [host, idsOf(rows)]),
  );
  if (here.length > 0) places.set("this machine", here.join(" "));
  if (places.size <= 1) return elsewhere;
  const where = [...places].map(([place, some]) => `on ${place}: ${some}`).join("\n");
  throw new AppError(
    "usage",
    "Cannot read the events of sessions in several places: each place has an order and cursors of its own. " +
      "Run one dev-sessions events for each place",
    where,
  );
}

function idsOf(rows: readonly { readonly id: SessionId }[]): string {
  return rows.map(({ id }) => id).join(" ");
}

/** Those here first, since they may be what starts others. */
export async function killEverywhere(
  selector: KillSelector,
  home: Home,
  there: Elsewhere,
): Promise<KillResult> {
  const { store, deps } = there.world;
  const find = (id: SessionId): Kin | null => store.find(id) ?? store.findRemote(id);
  const isLive = ({ lifecycle }: RemoteSession) => lifecycle !== "ended";
  if (!("ids" in selector)) {
    const inScope = store.listRemotes().filter((row) =>
      isLive(row) && (selector.scope === "everyone" || descendsFrom(row, selector.scope.descendantsOf, find))
    );
    const { rows, known } = "all" in selector
      ? { rows: inScope, known: new Map() }
      : await unusedSince(there, inScope, deps.clock.now() - selector.olderThanMs);
    const here = await (await home.manager()).kill(selector);
    return joinedKill(here, await killElsewhere(there, rows, false, known));
  }
  const { here, elsewhere } = partition(selector.ids, store);
  const own = here.length === 0
    ? { killed: [], failed: [] }
    : await (await home.manager()).kill({ ...selector, ids: here });
  const named = new Set(elsewhere.map(({ id }) => id));
  const children = selector.tree
    ? store.listRemotes().filter((row) =>
      isLive(row) && !named.has(row.id) && here.some((id) => descendsFrom(row, id, find))
    )
    : [];
  return joinedKill(own, await killElsewhere(there, [...elsewhere, ...children], selector.tree));
}

/** @throws AppError when there is nothing to be told but why hosts can't be asked. */
function joinedKill(here: KillResult, { result: elsewhere, lost }: Ending<KillResult>): KillResult {
  const result = {
    killed: [...here.killed, ...elsewhere.killed],
    failed: [...here.failed, ...elsewhere.failed],
    worktrees: [...here.worktrees ?? [], ...elsewhere.worktrees ?? []],
  };
  const error = lostError(lost);
  if (error !== null && result.killed.length === 0 && result.failed.length === lost.length) throw error;
  return result;
}

export async function pruneEverywhere(
  selector: PruneSelector,
  home: Home,
  there: Elsewhere,
): Promise<PruneResult> {
  const { store, deps } = there.world;
  const { here, elsewhere } = "ids" in selector
    ? partition(selector.ids, store)
    : { here: [], elsewhere: endedRowsBefore(store.listRemotes(), deps.clock.now() - selector.olderThanMs) };
  const none: PruneResult = { forgotten: [], failed: [], keys: 0 };
  const own = "ids" in selector
    ? here.length === 0 ? none : await (await home.manager()).prune({ ids: here })
    : await (await home.manager()).prune(selector);
  const isMeant = "ids" in selector && selector.unreachable === true;
  const { result, lost } = await pruneElsewhere(there, elsewhere, isMeant);
  const forgotten = [...own.forgotten, ...result.forgotten];
  const failed = [...own.failed, ...result.failed];
  const error = lostError(lost);
  if (error !== null && forgotten.length === 0 && failed.length === lost.length) throw error;
  return { forgotten, failed, keys: own.keys };
}

/** @throws AppError (refused) when an agent would bring back one that may do more than itself. */
export function assertMayResume(
  session: Session,
  caller: SessionId | null,
  store: Pick<Store, "find">,
): void {
  const asking = caller === null ? null : store.find(caller);
  if (asking === null) return;
  const help = `Ask a person to run: dev-sessions resume ${session.id}`;
  assertNoLaxer(session.mode, asking, `resume "${session.id}"`, help);
}
