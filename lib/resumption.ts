/**
 * Resumes an ended session so that a crash at any point leaves it ended and resumable: its row names the process that
 * is at work before anything exists outside of the registry.
 */

import type { Backend, ResumePlan } from "../backends/backend.ts";
import { withNote } from "./creation.ts";
import type { Deps } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";
import type { InHand } from "./in_hand.ts";
import type { ProcessIdentity, Session } from "./session.ts";
import type { Store } from "./store.ts";
import { isBeingResumed, isLive } from "./store/revival.ts";
import type { Admit } from "./store/sessions.ts";

/** Of a session that an earlier version started. */
const NO_LAUNCH = { agentArgs: [], trust: false } as const;

export class Resumption {
  constructor(
    private readonly deps: Deps,
    private readonly store: Store,
    private readonly inHand: InHand,
  ) {}

  /**
   * The session's row once it is proven to have ended.
   *
   * @param noticeDeath marks one whose agent is dead as ended, and returns its row.
   * @throws AppError when it lives, or when that can't be told.
   */
  async ended(session: Session, backend: Backend, noticeDeath: () => Promise<Session>): Promise<Session> {
    if (session.lifecycle === "active") {
      switch ((await backend.liveness([session])).get(session.id)) {
        case "alive":
          throw isLive(session.id);
        case "dead":
          return await this.ended(
            await noticeDeath(),
            backend,
            () => Promise.reject(isUnproven(session, null)),
          );
        case "unknown":
        case undefined: {
          const state = await backend.state(session, { explain: false });
          throw isUnproven(session, state.state === "unknown" ? state.reason : null);
        }
      }
    }
    if (session.resumer !== null) throw isBeingResumed(session.id);
    await assertWorkspace(session);
    return session;
  }

  /** @throws what the backend throws, once what it began is removed, or left to the next command if that can't be told. */
  async run(
    session: Session,
    backend: Backend,
    options: { readonly readyTimeoutMs: number; readonly admit: Admit },
    signal: AbortSignal,
  ): Promise<{ session: Session; readyProven: boolean }> {
    const { begun, ...plan } = await this.#planned(session, backend);
    const resumer = await this.#self();
    const { admit, readyTimeoutMs } = options;
    const claimed = this.store.claimResume(session, { resumer, ...plan, admit });
    this.inHand.take(claimed.token);
    try {
      const launch = claimed.launch ?? NO_LAUNCH;
      const { conversation } = plan;
      const spec = { session: claimed, conversation, begun, readyTimeoutMs, ...launch };
      const handle = await backend.resume(spec, signal);
      return { session: this.store.activate(claimed, handle), readyProven: handle.readyProven };
    } catch (error) {
      const left = await this.#remove(claimed, resumer, backend);
      throw left === "removed" ? error : withNote(error, "The next command removes what it started.");
    } finally {
      this.inHand.letGo(claimed.token);
    }
  }

  async #planned(session: Session, backend: Backend): Promise<ResumePlan> {
    try {
      return await backend.planResume(session);
    } catch (error) {
      // What stands in the way may be the work of another resume that has begun since the row was read.
      const current = this.store.find(session.id);
      if (current?.token === session.token && current.lifecycle === "active") throw isLive(session.id);
      if (current?.token === session.token && current.resumer !== null) throw isBeingResumed(session.id);
      throw error;
    }
  }

  /** Removes what a `resume` began that was killed; several commands may find it at once. */
  async tidyUp(session: Session, dead: ProcessIdentity, backend: Backend): Promise<void> {
    const self = await this.#self();
    // Whoever is at work on it keeps others from resuming it meanwhile.
    if (!this.store.takeOverResume(session, dead, self)) return;
    this.inHand.take(session.token);
    try {
      await this.#remove(session, self, backend);
    } finally {
      this.inHand.letGo(session.token);
    }
  }

  async #remove(session: Session, holder: ProcessIdentity, backend: Backend): Promise<"removed" | "unknown"> {
    const current = this.store.find(session.id);
    // It may have become live before what came afterwards failed.
    if (current?.token !== session.token || current.lifecycle !== "ended") return "removed";
    const result = current.handle === null ? "removed" : await backend.rollBackResume(current);
    if (result === "removed") this.store.releaseResume(session, holder);
    return result;
  }

  async #self(): Promise<ProcessIdentity> {
    const self = await this.deps.identify(Deno.pid);
    if (self !== null) return self;
    throw new AppError("failure", "Cannot resume a session: this process can't identify itself");
  }
}

/** @param reason why its state can't be told, where that is known. */
function isUnproven({ id, handle }: Session, reason: string | null): AppError {
  const why = handle === null
    ? "an earlier version of dev-sessions started it, and its agent could not be found"
    : `its agent is not proven to be dead${reason === null ? "" : `: ${reason}`}`;
  return new AppError(
    "failure",
    `Cannot resume "${id}": ${why}. See: dev-sessions status ${id} --explain. ` +
      `If it has ended, say so with: dev-sessions kill ${id}`,
  );
}

async function assertWorkspace({ id, path, worktree }: Session): Promise<void> {
  const found = await Deno.stat(path).then((info) => info.isDirectory, (error) => {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new AppError(
      "failure",
      `Cannot resume "${id}": its workspace "${path}" can't be looked at: ${messageOf(error)}`,
    );
  });
  if (found) return;
  const help = worktree === null
    ? "Make that folder again"
    : `Make it again with: git -C ${worktree.repository} worktree add ${worktree.path} ${worktree.branch}`;
  throw new AppError(
    "failure",
    `Cannot resume "${id}": its workspace "${path}" is gone. ${help}, then repeat this`,
  );
}
