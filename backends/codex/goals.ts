/** A thread's goal: told, begun, adjusted and cleared. Whatever does not make it go on leaves the thread unloaded. */

import type { GoalOperations } from "../backend.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Goal, GoalChange, Session } from "../../lib/session.ts";
import { isArchived, neutralGoal } from "./evidence.ts";
import { nextTurnFrom, type WaitTarget } from "./goal_turns.ts";
import type { Connection } from "./rpc.ts";
import { ConnectionLost, RpcError } from "./rpc_errors.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";

/** From `thread/goal/set` until its first turn runs (measured: up to 60 ms), with room for a busy machine. */
const BEGIN_MS = 5_000;
const BEGIN_POLL_MS = 20;
/** Of the server (measured); a longer one is refused with its own words. */
const OBJECTIVE_LIMIT_CHARS = 4_000;

export class CodexGoals implements GoalOperations {
  constructor(private readonly threadOf: (session: Session) => SessionThread) {}

  async get(session: Session): Promise<Goal | null> {
    const { goal } = await this.threadOf(session).gatherOrFail("tell the goal of", { settle: false });
    return goal === null ? null : neutralGoal(goal);
  }

  async set(session: Session, change: GoalChange, signal: AbortSignal): Promise<Goal> {
    const thread = this.threadOf(session);
    if (change.kind === "begin" && [...change.objective].length > OBJECTIVE_LIMIT_CHARS) {
      throw new AppError(
        "usage",
        `Cannot set the goal of "${session.id}": it is longer than ${OBJECTIVE_LIMIT_CHARS} characters. ` +
          "Save the details to a file in the workspace and name it in the objective",
      );
    }
    const { goal: before, turns } = await thread.gatherOrFail("set the goal of", { settle: false, signal });
    if (change.kind === "adjust" && before === null) {
      throw new AppError(
        "usage",
        `No goal set for ${session.id}`,
        `Give it one with: dev-sessions goal ${session.id} "<objective>" --budget <tokens>`,
      );
    }
    const connection = await thread.link.connection(signal);
    const begins = change.kind === "begin" || change.status === "active";
    // A goal that goes on needs its thread loaded with the session's own settings.
    if (begins) await loading(session, () => thread.subscribe(connection, { signal }));
    signal.throwIfAborted();
    // Another objective alone would go on with the tokens and the end of the old one.
    if (change.kind === "begin" && before !== null) {
      await changing(session, "clear", () => connection.call("thread/goal/clear", { threadId: thread.id }));
    }
    const goal = await changing(
      session,
      "set",
      () =>
        change.kind === "adjust"
          ? adjust(connection, thread.id, change)
          : connection.call("thread/goal/set", {
            threadId: thread.id,
            objective: change.objective,
            status: "active",
            tokenBudget: change.tokenBudget,
          }),
    );
    if (begins && goal.goal.status === "active") await this.#begun(thread, turns.at(-1)?.id ?? null, signal);
    return neutralGoal(goal.goal);
  }

  async clear(session: Session, signal: AbortSignal): Promise<boolean> {
    const thread = this.threadOf(session);
    await thread.gatherOrFail("clear the goal of", { settle: false, signal });
    const connection = await thread.link.connection(signal);
    signal.throwIfAborted();
    const clear = () => connection.call("thread/goal/clear", { threadId: thread.id });
    return (await changing(session, "clear", clear)).cleared;
  }

  async anchor(session: Session): Promise<WaitTarget> {
    if (session.lifecycle !== "ended") {
      const evidence = await this.threadOf(session).gatherOrFail("wait for", { settle: false });
      const { goal, thread } = evidence;
      if (goal === null && thread !== null && !isArchived(thread)) {
        throw new AppError("usage", `No goal set for ${session.id}`);
      }
    }
    return { until: "goal" };
  }

  async nextTurn(session: Session): Promise<WaitTarget> {
    return nextTurnFrom(await this.threadOf(session).gather({ wish: "start", settle: false }));
  }

  /** Returns when its first turn runs, so that nobody takes the moment before it for rest; the goal is set by then. */
  async #begun(thread: SessionThread, newest: string | null, signal: AbortSignal): Promise<void> {
    const { clock } = thread.deps;
    const deadline = clock.monotonic() + BEGIN_MS;
    while (clock.monotonic() < deadline && !signal.aborted) {
      const { thread: seen, turns, goal } = await thread.gather({ wish: "find", settle: false });
      const runs = seen?.status.type === "active" || (turns.at(-1)?.id ?? null) !== newest;
      if (runs || goal?.status !== "active") return;
      await clock.sleep(BEGIN_POLL_MS, signal);
    }
  }
}

async function adjust(
  connection: Connection,
  threadId: string,
  { status, tokenBudget }: Extract<GoalChange, { readonly kind: "adjust" }>,
) {
  return await connection.call("thread/goal/set", {
    threadId,
    ...(status === null ? {} : { status }),
    ...(tokenBudget === null ? {} : { tokenBudget }),
  });
}

/** Before anything is changed. @throws AppError; the signal's reason. */
async function loading({ id }: Session, load: () => Promise<unknown>): Promise<void> {
  try {
    await load();
  } catch (error) {
    if (error instanceof RpcError) throw refused(id, "set", error);
    if (!isServersFault(error)) throw error;
    throw new AppError(
      "transport",
      `Cannot set the goal of "${id}": its thread can't be loaded: ${messageOf(error)}. ` +
        "Nothing was changed. Try again",
      null,
      { cause: error },
    );
  }
}

/**
 * Changes the goal. It is not given up with the command: what has left this process is to be accounted for.
 * @throws AppError, see `lostChange()`.
 */
async function changing<T>(session: Session, verb: "set" | "clear", ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw lostChange(session.id, verb, error) ?? error;
  }
}

/**
 * What it means that a change of a goal has failed: unproven where the server does not say what came of it. Null for an
 * error that is nobody's answer: a fault of our own. Pure.
 */
export function lostChange(id: string, verb: "set" | "clear", error: unknown): AppError | null {
  if (error instanceof RpcError) return refused(id, verb, error);
  if (!isServersFault(error)) return null;
  const isUnsent = error instanceof ConnectionLost && !error.sent;
  return new AppError(
    isUnsent ? "transport" : "unproven",
    `Cannot ${verb} the goal of "${id}": ${messageOf(error)}. ${
      isUnsent ? "Try again" : `It may have been done; look with: dev-sessions goal ${id}`
    }`,
    null,
    { cause: error },
  );
}

function refused(id: string, verb: "set" | "clear", error: RpcError): AppError {
  return new AppError("failure", `Cannot ${verb} the goal of "${id}": ${error.message}`, null, {
    cause: error,
  });
}
