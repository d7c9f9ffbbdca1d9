/**
 * Creates a session on another host: its name is taken here first and is asked for there with a key, so that whoever
 * is killed, or whatever answer is lost, the session is taken up or forgotten, and never made twice.
 */

import { AppError, messageOf } from "../lib/errors.ts";
import { hash, type Settled as Claimed } from "../lib/deliveries.ts";
import type { CreateElsewhere } from "../lib/manager.ts";
import { resolvePath } from "../lib/posix_path.ts";
import { fromHost, type RemoteSession } from "../lib/remote_session.ts";
import type { CreateRequest, CreateResult, SettledCreateRequest } from "../lib/service.ts";
import type { SessionId } from "../lib/session.ts";
import type { KeyRef } from "../lib/store.ts";
import { CarrierError } from "./carrier.ts";
import type { Elsewhere } from "./elsewhere.ts";
import { RemoteError } from "./ssh/carrier.ts";
import { checkHost, type Destination, usualRemoteBin } from "./ssh/command.ts";

/** Names that are taken there; a host with more sessions of its own than names is no usual one. */
const NAME_ATTEMPTS = 5;
const IN_USE = "Champion ID already in use";

export class RemoteCreation {
  constructor(private readonly elsewhere: Elsewhere, private readonly own: CreateElsewhere) {}

  async run(signal: AbortSignal): Promise<CreateResult> {
    const { request, deliveries } = this.own;
    const destination = {
      host: checkHost(request.host ?? ""),
      remoteBin: usualRemoteBin(this.elsewhere.world.deps.env),
    };
    const claimed = await this.#claim(signal);
    if ("repeated" in claimed) return await this.#again(claimed.repeated, signal);
    const { ref } = claimed;
    try {
      const made = await this.#make(destination, ref, signal);
      deliveries.created(ref, made.session.id);
      return made;
    } catch (error) {
      // What may have come to be is found out by the next command with this key.
      if (ref !== null && !isOpen(error)) this.elsewhere.world.store.dropKey(ref);
      throw error;
    } finally {
      deliveries.release(ref);
    }
  }

  async #make(destination: Destination, ref: KeyRef | null, signal: AbortSignal): Promise<CreateResult> {
    const { request, admission } = this.own;
    const { store, deps, hosts, inHand } = this.elsewhere.world;
    const service = hosts.at(destination);
    // Before there is anything to undo.
    const { home, registry } = await service.place(signal);
    if (registry === store.registryId()) throw sameRegistry(destination);
    const path = pathThere(request.path, home);
    const creator = await deps.identify(Deno.pid);
    const exclude = new Set<SessionId>();
    for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
      const row = await admission.run((admit) =>
        Promise.try(() =>
          store.reserveRemote({ ...request, ...destination, remoteRegistry: registry, path, creator }, {
            id: request.id,
            exclude,
            key: ref,
            admit,
            request: (id) => requestThere(request, id, path, `create-${deps.randomUuid()}`),
          })
        )
      );
      inHand.take(row.token);
      try {
        const made = await service.create(row.request!, signal);
        const known = this.elsewhere.heardOf(row, service, made.session) ?? row;
        return { ...made, session: fromHost(made.session, known), repeated: false };
      } catch (error) {
        if (isInUse(error) && request.id === null) {
          store.forgetRemote(row);
          exclude.add(row.id);
          continue;
        }
        const found = await this.#leftBy(row, error, signal);
        if (found !== null) return found;
        throw error;
      } finally {
        inHand.letGo(row.token);
      }
    }
    throw new AppError("failure", "Unable to allocate a unique champion ID");
  }

  /**
   * After a failure: a row that stands for nothing goes. What came to be all the same is the result.
   *
   * @throws AppError when it can't be known now.
   */
  async #leftBy(row: RemoteSession, error: unknown, signal: AbortSignal): Promise<CreateResult | null> {
    const { store } = this.elsewhere.world;
    if (whatIsKnown(error) === "nothing was made") {
      store.forgetRemote(row);
      return null;
    }
    const settled = await this.elsewhere.ask(row, store);
    switch (settled.kind) {
      case "gone":
        return null;
      case "adopted":
        return signal.aborted ? null : await this.#again(row.id, signal, false);
      case "unknown":
        throw new OpenError(
          "unproven",
          messageOf(error),
          `Whether "${row.id}" was created on ${row.host} is not known; it stays in the list. ` +
            `Find out with: dev-sessions status ${row.id}`,
          { cause: error },
        );
    }
  }

  /** The session of an earlier request. */
  async #again(id: SessionId, signal: AbortSignal, repeated = true): Promise<CreateResult> {
    const row = this.elsewhere.world.store.findRemote(id);
    if (row === null) {
      throw new AppError(
        "failure",
        `Cannot repeat create: its session "${id}" is no longer in the registry. Use another key`,
      );
    }
    const { session } = await this.elsewhere.reach(row, "create", signal);
    return { session, readyProven: true, repeated };
  }

  async #claim(signal: AbortSignal): Promise<Claimed<SessionId>> {
    const { request, deliveries } = this.own;
    const { key, readyTimeoutMs: _, repeatOnly = false, ...essence } = request;
    if (key === null) return { ref: null };
    const { store } = this.elsewhere.world;
    const asked = { verb: "create", key, requestHash: await hash(essence), sessionId: null };
    const claimed = await deliveries.settle<SessionId>(asked, signal, {
      done: (_, id) => id ?? "",
      open: async (claim) => {
        const row = claim.sessionId === null ? null : store.findRemote(claim.sessionId);
        if (row === null) return "nothing was done";
        if (row.lifecycle === "creating") {
          const settled = await this.elsewhere.settle(row, signal);
          if (settled.kind === "gone") return "nothing was done";
          if (settled.kind === "unknown") throw settled.error;
        }
        store.finishKey(claim.ref, JSON.stringify({ id: row.id }));
        return row.id;
      },
    });
    if (!repeatOnly || "repeated" in claimed) return claimed;
    if (claimed.ref !== null) store.dropKey(claimed.ref);
    deliveries.release(claimed.ref);
    throw new AppError("not_found", "Cannot repeat create: no session was made with this key. Create one");
  }
}

/** Each session would take its own name. */
function sameRegistry({ host }: Destination): AppError {
  return new AppError(
    "usage",
    `Cannot create a session on ${host}: it shares this machine's registry, so that its sessions are those of here. ` +
      "Create it without --host, or name another user there",
  );
}

/** Of a create that failed: whatever does not say that nothing was made leaves it open. Pure. */
export function whatIsKnown(error: unknown): "nothing was made" | "it may have been made" {
  const isNothing = error instanceof RemoteError
    // An answer to another attempt says nothing of the first one.
    ? !error.again
    : error instanceof CarrierError
    ? error.told.unsent
    // Our own word: the caller had stopped before anything was asked.
    : error instanceof AppError && error.code === "interrupted";
  return isNothing ? "nothing was made" : "it may have been made";
}

/** It may have come to be. */
class OpenError extends AppError {}

function isOpen(error: unknown): boolean {
  return error instanceof OpenError;
}

function isInUse(error: unknown): boolean {
  return error instanceof RemoteError && error.said.startsWith(IN_USE);
}

/** What the host is asked for: its session has no parent there, and all that was left open is decided. */
function requestThere(
  request: SettledCreateRequest,
  id: SessionId,
  path: string,
  key: string,
): CreateRequest {
  const { host: _host, repeatOnly: _only, ...rest } = request;
  return { ...rest, id, path, key, parent: null };
}

/** As the user's shell there would understand it from the home folder. */
export function pathThere(path: string, home: string | null): string {
  const at = home ?? "/";
  if (path === "~") return resolvePath(at, ".");
  return resolvePath(at, path.startsWith("~/") ? path.slice(2) : path);
}
