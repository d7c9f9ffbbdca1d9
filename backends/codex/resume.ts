/** Brings a thread back out of the archive, or says why it can't be. */

import type { AgentHandle, ResumePlan, ResumeSpec } from "../backend.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Session } from "../../lib/session.ts";
import { isArchived } from "./evidence.ts";
import { handleOf, threadOf } from "./handle.ts";
import type { Link } from "./link.ts";
import { RpcError } from "./rpc_errors.ts";
import { isNoSuchThread, isServersFault, type SessionThread } from "./session_thread.ts";
import { threadSettings } from "./settings.ts";
import { unarchiveThread } from "./threads.ts";

/** @throws AppError when it can't live again here. */
export async function planResume(link: Link, session: Session): Promise<ResumePlan> {
  if (session.mode === "docker" && handleOf(session).container === undefined) {
    throw cannot(
      session,
      "no record says how its container was started",
      "Start another with: dev-sessions create",
    );
  }
  const threadId = threadOf(session);
  const connection = await link.connection();
  try {
    const { thread } = await connection.call("thread/read", { threadId });
    if (!isArchived(thread) && thread.status.type === "active") {
      throw cannot(
        session,
        "its thread is at work in another program",
        `Join it there, or stop it with: codex archive ${threadId}`,
      );
    }
    const { data } = await connection.call("thread/turns/list", { threadId, limit: 1 });
    return {
      handle: session.handle,
      agentSessionId: threadId,
      conversation: threadId,
      begun: data.length > 0,
    };
  } catch (error) {
    if (!isServersFault(error)) throw error;
    const isGone = error instanceof RpcError && isNoSuchThread(error);
    throw cannot(
      session,
      isGone ? `Codex does not have its thread ${threadId} any more` : messageOf(error),
      isGone ? "Start another with: dev-sessions create --cli codex" : "",
    );
  }
}

/** @throws AppError when the thread does not come to accept input. */
export async function resumeThread(
  link: Link,
  { session, conversation: threadId }: ResumeSpec,
  signal: AbortSignal,
): Promise<AgentHandle> {
  const connection = await link.connection(signal);
  try {
    await unarchiveThread(connection, threadId);
    signal.throwIfAborted();
    await connection.call("thread/resume", {
      threadId,
      excludeTurns: true,
      ...threadSettings(session),
    }, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!isServersFault(error)) throw error;
    throw cannot(session, messageOf(error), "");
  }
  return { handle: session.handle, process: null, agentSessionId: threadId, readyProven: true };
}

/** Whether nobody is at it and nothing is on its way: then its server unloads a thread after a minute. */
export async function hasRested(thread: SessionThread, idleMs: number): Promise<boolean> {
  const evidence = await thread.gather({ wish: "find" });
  if (evidence.server !== "up" || evidence.thread === null) return false;
  if (evidence.thread.status.type !== "notLoaded" || evidence.queued.length > 0) return false;
  if (evidence.goal?.status === "active") return false;
  const used = evidence.thread.updatedAt * 1000;
  return evidence.at - used >= idleMs;
}

function cannot({ id }: Session, why: string, help: string): AppError {
  return new AppError("failure", `Cannot resume "${id}": ${why}${help === "" ? "" : `. ${help}`}`);
}
