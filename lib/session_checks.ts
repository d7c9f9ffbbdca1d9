/** What must hold of a session, or of its workspace, before something is done with it. */

import { AppError } from "./errors.ts";
import type { Session } from "./session.ts";

export function byCreation(a: Pick<Session, "createdAt">, b: Pick<Session, "createdAt">): number {
  return a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0;
}

/** Whether something outside of the registry may belong to it. */
export function isAtWork(session: Session): boolean {
  return session.lifecycle !== "ended" || session.resumer !== null;
}

const FOLDER_HELP = "Nothing was created. Name a folder that is there with --path";

/** @throws AppError for what is no folder. */
export async function assertWorkspace(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new AppError("failure", `Workspace path does not exist: ${path}`, FOLDER_HELP);
    }
    throw new AppError("failure", `Cannot use the workspace "${path}": ${(error as Error).message}`);
  }
  if (!info.isDirectory) {
    throw new AppError("failure", `Workspace path is not a directory: ${path}`, FOLDER_HELP);
  }
}

export function assertStarted(session: Session, action: string): void {
  if (session.lifecycle !== "creating") return;
  throw new AppError(
    "not_delivered",
    `Cannot ${action} "${session.id}": it is still being created. Try again when its create has returned`,
  );
}

export function assertActive(session: Session, action: string): void {
  assertStarted(session, action);
  if (session.lifecycle === "active" && session.handle === null) {
    throw new AppError(
      "not_delivered",
      `Cannot ${action} "${session.id}": an earlier version of dev-sessions started it, and its agent could not be ` +
        `found. If it has ended, forget it with: dev-sessions kill ${session.id}`,
    );
  }
  if (session.lifecycle !== "ended") return;
  throw new AppError(
    "agent_gone",
    `Cannot ${action} "${session.id}": its agent is gone (${session.endReason ?? "ended"}). ` +
      `Bring it back with: dev-sessions resume ${session.id}`,
  );
}
