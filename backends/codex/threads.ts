/**
 * Beginning, archiving and bringing back threads. A thread's id is on disk before the thread itself can outlive its
 * server, so that whatever a killed `create` left is found.
 */

import type { CreateSpec } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { realPathOf } from "../../lib/files.ts";
import type { Session } from "../../lib/session.ts";
import { INSIDE } from "../docker/names.ts";
import { hostPathOf } from "./container_handle.ts";
import { type CodexHandle, handleOf } from "./handle.ts";
import type { Thread } from "./frames.ts";
import type { Link } from "./link.ts";
import type { Connection } from "./rpc.ts";
import { ConnectionLost, RpcError } from "./rpc_errors.ts";
import { isNoSuchThread, isServersFault } from "./session_thread.ts";
import { threadSettings } from "./settings.ts";

/** A server that is being stopped with its last session takes connections and drops them. */
const START_ATTEMPTS = 3;
/** 0.4.4 named its tmux sessions so; people see it in Codex's own lists. */
const nameOf = (id: string): string => `dev-${id}`;

/** @throws AppError; what was begun is in `note`. */
export async function startThread(
  link: Link,
  { session }: CreateSpec,
  note: (threadId: string) => void,
  signal: AbortSignal,
): Promise<Thread> {
  let begun: string | null = null;
  for (let attempt = 1;; attempt++) {
    const connection = await link.connection(signal);
    try {
      let thread: Thread | null = begun === null ? null : await threadIfThere(connection, begun, signal);
      if (thread === null) {
        const settings = { cwd: workspaceOf(session), ...threadSettings(session) };
        ({ thread } = await connection.call("thread/start", settings, { signal }));
        begun = thread.id;
        note(begun);
      }
      // Without a name it would end with its server, and no other connection could load it.
      await connection.call("thread/name/set", { threadId: thread.id, name: nameOf(session.id) }, { signal });
      return thread;
    } catch (error) {
      signal.throwIfAborted();
      const isEnding = error instanceof ConnectionLost || (error instanceof RpcError && error.draining);
      // What has no name yet ends with its server; whether it had one, and whether the server goes on, is asked then.
      if (isEnding && attempt < START_ATTEMPTS) {
        await connection.close();
        continue;
      }
      if (!isServersFault(error)) throw error;
      throw new AppError(
        "failure",
        `Cannot create a Codex session: ${messageOf(error)}`,
        null,
        { cause: error },
      );
    }
  }
}

/** Null when the server does not have it. */
async function threadIfThere(
  connection: Connection,
  threadId: string,
  signal: AbortSignal,
): Promise<Thread | null> {
  try {
    return (await connection.call("thread/read", { threadId }, { signal })).thread;
  } catch (error) {
    if (error instanceof RpcError && isNoSuchThread(error)) return null;
    throw error;
  }
}

/**
 * Ends what runs in it and puts it into the archive. Its goal is paused, or it would go on by itself as soon as the
 * thread is loaded again. One that is there already, or was deleted, is no error.
 */
export async function archiveThread(link: Link, threadId: string): Promise<void> {
  const connection = await link.connection();
  await endCommands(connection, threadId);
  await pauseGoal(connection, threadId);
  try {
    await connection.call("thread/archive", { threadId });
  } catch (error) {
    if (!(error instanceof RpcError && isNoSuchThread(error))) throw error;
  }
}

/** Archiving stops the turn, but not the processes that its commands have started. */
async function endCommands(connection: Connection, threadId: string): Promise<void> {
  try {
    const { thread } = await connection.call("thread/read", { threadId });
    if (thread.status.type === "notLoaded") return;
    if (thread.status.type === "active") await connection.call("turn/interrupt", { threadId, turnId: "" });
    await connection.call("thread/backgroundTerminals/clean", { threadId });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
  }
}

async function pauseGoal(connection: Connection, threadId: string): Promise<void> {
  try {
    const { goal } = await connection.call("thread/goal/get", { threadId });
    if (goal?.status === "active") await connection.call("thread/goal/set", { threadId, status: "paused" });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
  }
}

/** One that was never archived is no error. */
export async function unarchiveThread(connection: Connection, threadId: string): Promise<void> {
  try {
    await connection.call("thread/unarchive", { threadId });
  } catch (error) {
    if (!(error instanceof RpcError && isNoSuchThread(error))) throw error;
  }
}

/** As a row keeps it before there is anything. */
export function plannedHandle(deps: Deps, codexHome: string, names: {
  readonly url: string;
  readonly token: string;
}): CodexHandle {
  const { [names.url]: url, [names.token]: tokenFile } = deps.env;
  return { codexHome, url: url || null, tokenFile: tokenFile || null, threadId: null, rollout: null };
}

export function withThread(session: Session, { id, path }: Thread): CodexHandle {
  const handle = handleOf(session);
  const { container } = handle;
  return { ...handle, threadId: id, rollout: container === undefined ? path : hostPathOf(container, path) };
}

/** As its server sees it. */
function workspaceOf(session: Session): string {
  return session.mode === "docker" ? INSIDE.workspace : realPathOf(session.path);
}
