/** A thread's goal: told, begun, adjusted and cleared. Whatever does not make it go on leaves the thread unloaded. */

import type { GoalOperations } from "../backend.ts";
import { AppError } from "../../lib/errors.ts";
import type { Goal, GoalChange, Session } from "../../lib/session.ts";
import { isArchived, neutralGoal } from "./evidence.ts";
import { nextTurnFrom, type WaitTarget } from "./goal_turns.ts";
import type { Connection } from "./rpc.ts";
import { RpcError } from "./rpc_errors.ts";
import type { SessionThread } from "./session_thread.ts";

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
    if (begins) await refusing(session, () => thread.subscribe(connection, { signal }));
    const goal = await refusing(session, async () => {
      if (change.kind === "adjust") return await adjust(connection, thread.id, change, signal);
      // Another objective alone would go on with the tokens and the end of the old one.
      if (before !== null) await connection.call("thread/goal/clear", { threadId: thread.id }, { signal });
      return await connection.call("thread/goal/set", {
        threadId: thread.id,
        objective: change.objective,
        status: "active",
        tokenBudget: change.tokenBudget,
      }, { signal });
    });
    if (begins && goal.goal.status === "active") await this.#begun(thread, turns.at(-1)?.id ?? null, signal);
    return neutralGoal(goal.goal);
  }

  async clear(session: Session, signal: AbortSignal): Promise<boolean> {
    const thread = this.threadOf(session);
    await thread.gatherOrFail("clear the goal of", { settle: false, signal });
    const connection = await thread.link.connection(signal);
    const answer = () => connection.call("thread/goal/clear", { threadId: thread.id }, { signal });
    return (await refusing(session, answer)).cleared;
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

  /** Returns when its first turn runs, so that nobody takes the moment before it for rest. */
  async #begun(thread: SessionThread, newest: string | null, signal: AbortSignal): Promise<void> {
    const { clock } = thread.deps;
    const deadline = clock.monotonic() + BEGIN_MS;
    while (clock.monotonic() < deadline) {
      const { thread: seen, turns, goal } = await thread.gather({ wish: "find", settle: false, signal });
      const runs = seen?.status.type === "active" || (turns.at(-1)?.id ?? null) !== newest;
      if (runs || goal?.status !== "active") return;
      await clock.sleep(BEGIN_POLL_MS, signal);
      signal.throwIfAborted();
    }
  }
}

async function adjust(
  connection: Connection,
  threadId: string,
  { status, tokenBudget }: Extract<GoalChange, { readonly kind: "adjust" }>,
  signal: AbortSignal,
) {
  return await connection.call("thread/goal/set", {
    threadId,
    ...(status === null ? {} : { status }),
    ...(tokenBudget === null ? {} : { tokenBudget }),
  }, { signal });
}

/** @throws AppError with the server's own words. */
async function refusing<T>(session: Session, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new AppError("failure", `Cannot set the goal of "${session.id}": ${error.message}`, null, {
      cause: error,
    });
  }
}
