/**
 * Stops the turn that runs at the call, by its id, and says so only when the server's record does. What was queued
 * behind it goes on afterwards, unless it is to be taken back: the server itself holds it after an interrupt.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Interruption, Session } from "../../lib/session.ts";
import { lockSession } from "../session_lock.ts";
import { courseOf } from "./course.ts";
import { runningTurn } from "./delivery_plan.ts";
import type { CodexEvidence } from "./evidence.ts";
import type { Turn } from "./frames.ts";
import { napUntilHeard } from "./nap.ts";
import { RpcError } from "./rpc_errors.ts";
import { SESSION_LOCK_TIMEOUT_MS } from "./session_folder.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";

/** Measured: 10 ms; a turn that has just been started can't be stopped for up to 60 ms. */
const STOP_TIMEOUT_MS = 10_000;
const STOP_POLL_MS = 40;

type Outcome =
  | { readonly kind: "rest" }
  | { readonly kind: "stopped" | "ended"; readonly turn: Turn }
  | { readonly kind: "unproven"; readonly reason: string };

export class Interrupter {
  constructor(
    private readonly deps: Deps,
    private readonly session: Session,
    private readonly thread: SessionThread,
    private readonly lockFile: string,
  ) {}

  async interrupt(options: { readonly allQueued: boolean }, signal: AbortSignal): Promise<Interruption> {
    const before = await this.thread.gatherOrFail("interrupt", { signal });
    const first = runningTurn(before);
    if (first === null && before.thread?.status.type !== "active" && !options.allQueued) {
      return report({ kind: "rest" }, before, []);
    }
    const intent = { verb: "interrupt", id: this.session.id, untouched: "Nothing was stopped" };
    const lock = await lockSession(intent, this.lockFile, {
      timeoutMs: SESSION_LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock === "held") {
      const reason = "other commands keep its lock";
      return { ...report({ kind: "rest" }, before, []), result: "refused", reason };
    }
    using _held = lock;
    // Taken back first: at the end of the turn the next one would begin.
    const takenBack = options.allQueued ? await this.#takeBack(before) : [];
    return await this.#stop(first, takenBack, signal, { startQueue: !options.allQueued });
  }

  /** Under the session's lock. */
  async stopOne(signal: AbortSignal, options: { readonly startQueue: boolean }): Promise<Interruption> {
    return await this.#stop(null, [], signal, options);
  }

  /** With `only`, another turn than this one is left alone. */
  async #stop(
    only: string | null,
    takenBack: readonly string[],
    signal: AbortSignal,
    { startQueue }: { readonly startQueue: boolean },
  ): Promise<Interruption> {
    const outcome = await this.#stopTurn(only, signal);
    const after = await this.thread.gather({ wish: "start" });
    if (outcome.kind === "stopped") {
      await this.#ask("thread/backgroundTerminals/clean");
      if (startQueue && after.queued.length > 0) await this.#ask("thread/queue/start");
    }
    return report(outcome, after, takenBack);
  }

  async #stopTurn(only: string | null, signal: AbortSignal): Promise<Outcome> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + STOP_TIMEOUT_MS;
    let target = only;
    let asked = false;
    let why = "the server's record does not show its end";
    for (;;) {
      const { heard } = this.thread.follower;
      const evidence = await this.thread.gather({ wish: "start" });
      const turn = target === null ? evidence.turns.at(-1) : evidence.turns.find(({ id }) => id === target);
      const course = turn === undefined ? null : courseOf(turn, evidence);
      switch (course) {
        case "completed":
        case "failed":
          if (target !== null) return { kind: "ended", turn: turn! };
          break;
        case "interrupted":
        case "cut_off":
          if (target !== null) {
            return { kind: asked && course === "interrupted" ? "stopped" : "ended", turn: turn! };
          }
          break;
        case "running":
        case "unsettled":
          target = turn!.id;
          try {
            const connection = await this.thread.link.connection();
            await connection.call("turn/interrupt", { threadId: this.thread.id, turnId: target });
            asked = true;
          } catch (error) {
            if (!isServersFault(error) && !(error instanceof AppError)) throw error;
            // Right after its start, and at its end, it is no active turn for the server.
            if (!(error instanceof RpcError)) why = messageOf(error);
          }
          break;
        case null:
          if (target !== null) return { kind: "unproven", reason: "the server's record has lost the turn" };
      }
      // Nothing to stop; right after a start the thread is active before its turn is told of.
      if (target === null && evidence.server === "up" && evidence.thread?.status.type !== "active") {
        return { kind: "rest" };
      }
      if (signal.aborted) return { kind: "unproven", reason: "this command was interrupted" };
      if (clock.monotonic() >= deadline) return { kind: "unproven", reason: why };
      await napUntilHeard(this.thread.follower, heard, { ms: STOP_POLL_MS, clock, signal });
    }
  }

  /** Also for the processes of a stopped turn, which the server leaves running. */
  async #ask(method: "thread/backgroundTerminals/clean" | "thread/queue/start"): Promise<void> {
    try {
      await (await this.thread.link.connection()).call(method, { threadId: this.thread.id });
    } catch (error) {
      // The turn is stopped all the same; what is still queued is in the report.
      if (!isServersFault(error) && !(error instanceof AppError)) throw error;
    }
  }

  /** @throws AppError (unproven) when the server does not say of each whether it is taken back. */
  async #takeBack({ queued }: CodexEvidence): Promise<string[]> {
    const texts: string[] = [];
    for (const { id, input } of queued) {
      try {
        const connection = await this.thread.link.connection();
        const params = { threadId: this.thread.id, queuedSubmissionId: id };
        const { deleted } = await connection.call("thread/queue/delete", params);
        if (deleted) texts.push(input.map(({ text = "" }) => text).join("\n"));
      } catch (error) {
        throw takenBackSoFar(this.session.id, error, texts) ?? error;
      }
    }
    return texts;
  }
}

/**
 * What to say when the server has not said of a queued message whether it is taken back, after these were. Null for an
 * error that is nobody's answer: a fault of our own. Pure.
 */
export function takenBackSoFar(id: string, error: unknown, texts: readonly string[]): AppError | null {
  if (!isServersFault(error) && !(error instanceof AppError)) return null;
  return new AppError(
    "unproven",
    `Cannot interrupt "${id}": what of its queue was taken back is not known: ${messageOf(error)}. ` +
      `Its turn was not stopped. Look with: dev-sessions status ${id} --explain`,
    texts.length === 0 ? null : `Taken back:\n${texts.join("\n")}`,
    { cause: error },
  );
}

function report(outcome: Outcome, after: CodexEvidence, takenBack: readonly string[]): Interruption {
  const base = {
    stopped: outcome.kind === "stopped" ? [textOf(outcome.turn)] : [],
    queued: after.queued.map(({ input }) => input.map(({ text = "" }) => text).join("\n")),
    background: [],
    reason: takenBack.length === 0 ? null : `${takenBack.length} queued message(s) were taken back`,
    evidence: null,
    pending: null,
  };
  switch (outcome.kind) {
    case "rest":
      return { ...base, result: "not_running" };
    case "ended":
      return { ...base, result: "ended_by_itself", evidence: `turns: ${outcome.turn.status}` };
    case "stopped":
      return { ...base, result: "interrupted", evidence: "turns: interrupted" };
    case "unproven":
      return { ...base, result: "unproven", reason: outcome.reason };
  }
}

/** What began it; a goal's turn has no message. */
function textOf({ items }: Turn): string {
  const first = items.find((item) => item.type === "userMessage");
  if (first?.type !== "userMessage") return "(its goal)";
  return first.content.map(({ text = "" }) => text).join("\n");
}
