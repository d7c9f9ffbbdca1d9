/** Ends threads and containers; what is not proven to be gone is said to be unknown, or fails. */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { removeTree } from "../../lib/remove_tree.ts";
import type { Session } from "../../lib/session.ts";
import type { CodexContainer } from "./container_handle.ts";
import type { CodexEvidence } from "./evidence.ts";
import { handleOf, parseHandle } from "./handle.ts";
import type { Link } from "./link.ts";
import { notedThread, type SessionFolder } from "./session_folder.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";
import { archiveThread } from "./threads.ts";

/** The connections of the backend. */
export interface Links {
  readonly link: (session: Session) => Link;
  /** Closes the session's connection, if there is one. */
  readonly hangUp: (session: Session) => Promise<void>;
}

/** Of a session that is dead: a server that does not tell of its thread has not said that it was deleted. Pure. */
export function whyItEnded({ server, thread }: Pick<CodexEvidence, "server" | "thread">): string {
  if (server !== "up") return "its thread was gone from its server";
  return thread === null ? "its thread was deleted" : "its thread was archived";
}

export class Ending {
  constructor(private readonly deps: Deps, private readonly links: Links) {}

  /** Of a `create` that did not come to its end. */
  async undo(session: Session, folder: SessionFolder): Promise<"removed" | "unknown"> {
    const threadId = notedThread(folder);
    const { container } = handleOf(session);
    if (container !== undefined) {
      if (await this.#removeContainer(session, container, true) === "unknown") return "unknown";
    } else if (threadId !== null && await this.#archive(session, threadId) === "unknown") return "unknown";
    await removeTree(folder.root, this.deps);
    return "removed";
  }

  async #removeContainer(
    session: Session,
    container: CodexContainer,
    lookAgain: boolean,
  ): Promise<"gone" | "unknown"> {
    await this.links.hangUp(session);
    const { removeContained } = await import("./container.ts");
    return await removeContained(this.deps, container, { lookAgain });
  }

  async #archive(session: Session, threadId: string): Promise<"removed" | "unknown"> {
    try {
      await archiveThread(this.links.link(session), threadId);
      return "removed";
    } catch (error) {
      if (!(error instanceof AppError) && !isServersFault(error)) throw error;
      return "unknown";
    }
  }

  async kill(session: Session): Promise<void> {
    const { threadId, container } = handleOf(session);
    if (container !== undefined) {
      if (await this.#removeContainer(session, container, false) === "gone") return;
      throw new AppError(
        "failure",
        `Cannot kill "${session.id}": its container is not proven to be gone, since the engine does not say so`,
      );
    }
    if (threadId === null) return;
    const link = this.links.link(session);
    try {
      await archiveThread(link, threadId);
    } catch (error) {
      if (!(error instanceof AppError) && !isServersFault(error)) throw error;
      // Where no server runs, nothing of it does.
      if (await link.server("find").then((server) => server === null, () => false)) return;
      const why = error instanceof Error ? error.message : String(error);
      throw new AppError("failure", `Cannot kill "${session.id}": its thread could not be archived: ${why}`);
    }
  }

  /** Of a session that is dead: why, for people. */
  async reap(session: Session, ofSession: SessionThread): Promise<string> {
    const container = parseHandle(session.handle)?.container;
    if (container !== undefined) {
      await this.#removeContainer(session, container, false);
      return "its container is gone";
    }
    return whyItEnded(await ofSession.gather({ wish: "find" }));
  }

  async undoResume(session: Session): Promise<"removed" | "unknown"> {
    const { threadId, container } = handleOf(session);
    if (container !== undefined) {
      return await this.#removeContainer(session, container, true) === "gone" ? "removed" : "unknown";
    }
    return threadId === null ? "removed" : await this.#archive(session, threadId);
  }
}
