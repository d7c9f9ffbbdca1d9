/** Answers one open request, once and under the session's lock, and says so when the server has confirmed it. */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { AnswerProof, FittingAnswer, PendingInput, Session } from "../../lib/session.ts";
import { lockSession } from "../session_lock.ts";
import { type AnswerFrame, decisionOf } from "./decision.ts";
import { runningTurn } from "./delivery_plan.ts";
import type { RequestId } from "./frames.ts";
import { napUntilHeard } from "./nap.ts";
import { openInputs, requestIdOf } from "./pending.ts";
import type { Connection } from "./rpc.ts";
import { SESSION_LOCK_TIMEOUT_MS } from "./session_folder.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";

/** Measured: a few milliseconds. */
const PROOF_TIMEOUT_MS = 10_000;

export class Requests {
  constructor(
    private readonly deps: Deps,
    private readonly session: Session,
    private readonly thread: SessionThread,
    private readonly lockFile: string,
  ) {}

  /** @throws AppError; nothing was answered unless its code is `unproven`. */
  async answer(pending: PendingInput, answer: FittingAnswer, signal: AbortSignal): Promise<AnswerProof> {
    const intent = { verb: "answer", id: this.session.id, untouched: "Nothing was answered" };
    const lock = await lockSession(intent, this.lockFile, {
      timeoutMs: SESSION_LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock === "held") {
      throw this.#cannot("not_delivered", "other commands keep its lock. Nothing was answered");
    }
    using _held = lock;
    const evidence = await this.thread.gatherOrFail("answer", { signal });
    const open = evidence.requests.find(({ request }) => requestIdOf(request) === pending.requestId);
    const now = openInputs(evidence).find(({ requestId }) => requestId === pending.requestId);
    // The server numbers its requests anew after a restart.
    if (open === undefined || now === undefined || now.since !== pending.since) {
      throw this.#cannot(
        "failure",
        `the request "${pending.requestId}" is not pending (any more). ` +
          `See what is with: dev-sessions status ${this.session.id}`,
      );
    }
    const decision = decisionOf(open.request, answer);
    if (decision === null) {
      throw this.#cannot("failure", `this version has no such answer to it (${pending.summary})`);
    }
    const turn = runningTurn(evidence);
    const { id } = open.request;
    // First: while it waits for the answer its turn can't end, and after it the next step may be the last.
    const note = decision.say === null ? null : await this.#say(decision.say, turn);
    const connection = await this.#send(decision.frame, id);
    await this.#confirmed(id, connection, signal);
    return { by: "direct", evidence: "the server's serverRequest/resolved", note };
  }

  async #send(frame: AnswerFrame, id: RequestId): Promise<Connection> {
    try {
      const connection = await this.thread.link.connection();
      await this.thread.subscribe(connection);
      connection.answer(frame.method, id, frame.result);
      return connection;
    } catch (error) {
      if (!isServersFault(error)) throw error;
      throw this.#cannot("failure", `the Codex server could not be asked (${messageOf(error)}). Try again`);
    }
  }

  async #confirmed(id: RequestId, connection: Connection, signal: AbortSignal): Promise<void> {
    const { clock } = this.deps;
    const { follower } = this.thread;
    const deadline = clock.monotonic() + PROOF_TIMEOUT_MS;
    let lost = false;
    void connection.ended.then(() => lost = true);
    for (;;) {
      const { heard } = follower;
      if (follower.isResolved(id)) return;
      const ms = deadline - clock.monotonic();
      if (lost || signal.aborted || ms <= 0) break;
      await napUntilHeard(follower, heard, { ms, clock, signal });
    }
    throw this.#cannot(
      "unproven",
      "the answer was sent, but nothing confirms it. " +
        `Look with: dev-sessions status ${this.session.id} --explain`,
    );
  }

  /** What no answer can carry goes into the turn. Returns what people should know of it. */
  async #say(text: string, turn: string | null): Promise<string | null> {
    const help = `Tell it with: dev-sessions send ${this.session.id} --steer`;
    if (turn === null) return `your message was not given to it, as its turn is over. ${help}`;
    try {
      const connection = await this.thread.link.connection();
      const input = [{ type: "text" as const, text, text_elements: [] }];
      await connection.call("turn/steer", { threadId: this.thread.id, input, expectedTurnId: turn });
      return null;
    } catch (error) {
      if (!isServersFault(error) && !(error instanceof AppError)) throw error;
      return `your message was not given to it (${messageOf(error)}). ${help}`;
    }
  }

  #cannot(code: "failure" | "not_delivered" | "unproven", why: string): AppError {
    return new AppError(code, `Cannot answer "${this.session.id}": ${why}`);
  }
}
