/** Creates a session so that a crash at any point leaves a row from which everything it began can be removed. */

import { type Backend, NameTakenError } from "../backends/backend.ts";
import type { Deps } from "./deps.ts";
import { AppError } from "./errors.ts";
import type { InHand } from "./in_hand.ts";
import type { SettledCreateRequest } from "./service.ts";
import type { Session, SessionId } from "./session.ts";
import type { KeyRef, Store } from "./store.ts";
import type { Admit, SessionOwner } from "./store/sessions.ts";
import type { Site } from "./worktree_decision.ts";

/** Names that something outside of the registry has already; more than this many in a row is no accident. */
const NAME_ATTEMPTS = 50;

export class Creation {
  constructor(
    private readonly deps: Deps,
    private readonly store: Store,
    private readonly inHand: InHand,
    private readonly owner: SessionOwner | null = null,
  ) {}

  /** @throws what the backend throws, once what it began is removed, or left to the next command if that can't be told. */
  async run(
    request: SettledCreateRequest,
    backend: Backend,
    { key, admit }: { readonly key: KeyRef | null; readonly admit: Admit },
    signal: AbortSignal,
  ): Promise<{ session: Session; readyProven: boolean; notes: readonly string[] }> {
    const site = request.worktree === null ? null : await this.#site(request, request.worktree.branch);
    const taken = new Set<SessionId>(site?.taken);
    for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
      const session = await this.#reserve(request, backend, taken, { key, admit, site });
      try {
        if (session.worktree !== null) {
          const { Worktrees } = await import("./worktree.ts");
          await new Worktrees(this.deps, this.store).add(session.worktree, session.path);
        }
        const handle = await backend.create({
          session,
          agentArgs: request.agentArgs,
          trust: request.trust,
          readyTimeoutMs: request.readyTimeoutMs,
        }, signal);
        return {
          session: this.store.activate(session, handle),
          readyProven: handle.readyProven,
          notes: site?.uncommitted ? [uncommittedNote(request.path)] : [],
        };
      } catch (error) {
        const left = await this.rollBack(session, backend);
        if (!(error instanceof NameTakenError)) {
          throw left === "removed" ? error : withNote(error, "The next command removes what it started.");
        }
        if (request.id !== null) {
          throw new AppError("failure", `Champion ID already in use: ${session.id}`, error.message);
        }
        taken.add(session.id);
      } finally {
        this.inHand.letGo(session.token);
      }
    }
    throw new AppError("failure", "Unable to allocate a unique champion ID");
  }

  async #reserve(
    request: SettledCreateRequest,
    backend: Backend,
    taken: ReadonlySet<SessionId>,
    { key, admit, site }: {
      readonly key: KeyRef | null;
      readonly admit: Admit;
      readonly site: Site | null;
    },
  ): Promise<Session> {
    const planned = site === null ? null : (await import("./worktree_decision.ts")).plannedWorktree;
    const parent = request.parent !== null && this.store.find(request.parent) !== null
      ? request.parent
      : null;
    const session = this.store.reserve({
      agent: request.agent,
      mode: request.mode,
      path: request.path,
      description: request.description,
      model: request.model,
      group: request.group,
      parent,
      creator: await this.deps.identify(Deno.pid),
      launch: {
        agentArgs: request.agentArgs,
        trust: request.trust,
        ...(request.sandbox === undefined ? {} : { sandbox: request.sandbox }),
      },
    }, {
      id: request.id,
      exclude: taken,
      key,
      admit,
      owner: this.owner,
      // Stored before anything exists outside of the registry.
      plan: (ref) => {
        const { worktree, path } = planned === null || site === null
          ? { worktree: null, path: request.path }
          : planned(site, ref.id);
        return { ...backend.plan({ ...ref, mode: request.mode, path }), path, worktree };
      },
    });
    this.inHand.take(session.token);
    return session;
  }

  /** Loaded only where there is a worktree to be made. */
  async #site({ path, id }: SettledCreateRequest, branch: string | null): Promise<Site> {
    return await (await import("./worktree_site.ts")).inspectSite(this.deps, path, branch, id);
  }

  async rollBack(session: Session, backend: Backend): Promise<"removed" | "unknown"> {
    const current = this.store.find(session.id) ?? session;
    // A creator that is dead now may have come to its end, and made the session live, since its row was read.
    if (current.token !== session.token || current.lifecycle !== "creating") return "removed";
    // A row without a plan has nothing outside of the registry.
    const result = current.handle === null ? "removed" : await backend.rollback(current);
    if (result !== "removed") return result;
    if (current.worktree !== null) {
      const { keptNote, Worktrees } = await import("./worktree.ts");
      const worktree = await new Worktrees(this.deps, this.store).rollBack(current);
      if (worktree === "unknown") return "unknown";
      if (worktree?.removed === false) this.deps.terminal.writeErr(`[dev-sessions] ${keptNote(worktree)}\n`);
    }
    this.store.release(session);
    return result;
  }
}

function uncommittedNote(path: string): string {
  return `the worktree begins with the last commit: changes in "${path}" that are not committed are not in it`;
}

export function withNote(error: unknown, note: string): unknown {
  if (!(error instanceof AppError)) return error;
  return new AppError(
    error.code,
    error.message,
    [error.detail, note].filter((part) => part !== null).join("\n"),
  );
}
