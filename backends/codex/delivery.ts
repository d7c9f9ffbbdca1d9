/**
 * Sends one message: once, under the session's lock over processes, and says what the server's own record says. Nothing
 * is sent again unless the server has said that it did not take it.
 */

import type { SendHooks } from "../backend.ts";
import { type Intent, interruptedBefore, lockSession } from "../session_lock.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Message, PendingInput, Receipt, Session } from "../../lib/session.ts";
import { type DeliveryPlan, planDelivery } from "./delivery_plan.ts";
import type { CodexAnchor, CodexEvidence } from "./evidence.ts";
import { type Handed, type HandingStep, judgeFault, TOO_FAST } from "./handing.ts";
import type { Interrupter } from "./interrupt.ts";
import { napUntilHeard } from "./nap.ts";
import { judgeReceipt } from "./receipt.ts";
import type { Connection } from "./rpc.ts";
import { SESSION_LOCK_TIMEOUT_MS } from "./session_folder.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";
import { turnSettings } from "./settings.ts";
import { decideState } from "./state.ts";

/** From the server's answer to its record of the message (measured: up to 60 ms). */
const PROOF_TIMEOUT_MS = 10_000;
const PROOF_POLL_MS = 100;
/** A turn that ends or begins at the very moment of the call. */
const PLAN_ATTEMPTS = 5;
const AGAIN_MS = 30;
const UNTOLD = "the Codex server does not tell of its thread";

type Verdict = Pick<Receipt, "result" | "reason" | "evidence">;

export class Delivery {
  constructor(
    private readonly deps: Deps,
    private readonly session: Session,
    private readonly thread: SessionThread,
    private readonly lockFile: string,
    private readonly interrupter: () => Promise<Interrupter>,
  ) {}

  async send(message: Message, hooks: SendHooks, signal: AbortSignal): Promise<Receipt> {
    const intent: Intent = { verb: "send to", id: this.session.id, untouched: "Nothing was sent" };
    const lock = await lockSession(intent, this.lockFile, {
      timeoutMs: SESSION_LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock === "held") return receipt(message, refusal("other senders keep its lock"), null);
    using _held = lock;
    const mode = message.mode ?? "queue";
    if (mode === "interrupt") {
      const stopped = await (await this.interrupter()).stopOne(signal, { startQueue: false });
      if (stopped.result === "unproven") {
        throw new AppError(
          "unproven",
          `Cannot send to "${this.session.id}": its turn is not proven to be stopped: ${stopped.reason}. ` +
            `The message was not sent. Look with: dev-sessions status ${this.session.id} --explain`,
        );
      }
    }
    const unloadable = await this.#load(signal);
    // Only now: loading it may have begun a turn, of its goal or of its queue.
    const evidence = await this.thread.gatherOrFail("send to", { signal });
    if (unloadable !== null) return receipt(message, refusal(unloadable), null);
    const pending = pendingOf(evidence);
    if (pending !== null) {
      return receipt(message, refusal(`it waits for input (${pending.summary})`), null, pending);
    }
    if (evidence.thread?.status.type === "unknown") {
      return receipt(message, refusal("its thread is in a state that this version does not know"), null);
    }
    if (signal.aborted) throw interruptedBefore(intent);

    const anchor: CodexAnchor = {
      v: 1,
      clientId: message.receipt,
      afterTurn: evidence.turns.at(-1)?.id ?? null,
      at: this.deps.clock.now(),
      mode,
    };
    hooks.beforeTyping(anchor);
    const verdict = await this.#deliver(message, anchor, evidence, signal);
    const sent = receipt(message, verdict, anchor);
    hooks.finished(sent);
    return sent;
  }

  /** Why it can't be loaded; null when it is. */
  async #load(signal: AbortSignal): Promise<string | null> {
    const connection = await this.thread.link.connection(signal);
    try {
      await this.thread.subscribe(connection, { signal });
      return null;
    } catch (error) {
      signal.throwIfAborted();
      if (!isServersFault(error)) throw error;
      return `its thread can't be loaded: ${messageOf(error)}`;
    }
  }

  /** Looks for an earlier delivery in the records; null when they do not have it. */
  async find(message: Message, anchor: CodexAnchor): Promise<Receipt | null> {
    const evidence = await this.thread.gather({ wish: "start", since: anchor, settle: false });
    const verdict = judgeReceipt(evidence, anchor);
    return verdict === null ? null : receipt(message, verdict, anchor);
  }

  async #deliver(
    message: Message,
    anchor: CodexAnchor,
    first: CodexEvidence,
    signal: AbortSignal,
  ): Promise<Verdict> {
    let evidence = first;
    let why = TOO_FAST;
    for (let attempt = 1; attempt <= PLAN_ATTEMPTS; attempt++) {
      const plan = planDelivery(evidence, anchor.mode);
      if (plan === null) why = evidence.server === "up" ? TOO_FAST : UNTOLD;
      else {
        const handed = await this.#hand(plan, message);
        switch (handed.kind) {
          case "refused":
            return refusal(handed.reason);
          case "taken":
            return await this.#prove(anchor, plan, null, signal);
          case "unclear":
            return await this.#prove(anchor, plan, handed.reason, signal);
          case "again":
            why = handed.reason;
        }
      }
      await this.deps.clock.sleep(AGAIN_MS, signal);
      evidence = await this.thread.gather({ wish: "start" });
    }
    return refusal(why);
  }

  /** Asks once. The call is not given up with the command: what has left this process is to be accounted for. */
  async #hand(plan: DeliveryPlan, message: Message): Promise<Handed> {
    let step: HandingStep = "reach";
    try {
      const connection = await this.thread.link.connection();
      await this.thread.subscribe(connection);
      step = "message";
      await this.#ask(connection, plan, message);
      if (plan.way === "queue" && plan.held) {
        step = "start_queue";
        await connection.call("thread/queue/start", { threadId: this.thread.id });
      }
      return { kind: "taken" };
    } catch (error) {
      const handed = judgeFault(step, error);
      if (handed === null) throw error;
      return handed;
    }
  }

  async #ask(
    connection: Connection,
    plan: DeliveryPlan,
    { text, receipt: clientUserMessageId }: Message,
  ): Promise<void> {
    const input = [{ type: "text" as const, text, text_elements: [] }];
    const message = { threadId: this.thread.id, input, clientUserMessageId };
    switch (plan.way) {
      case "start":
        await connection.call("turn/start", { ...message, ...turnSettings(this.session) });
        return;
      case "steer":
        await connection.call("turn/steer", { ...message, expectedTurnId: plan.turnId });
        return;
      case "queue":
        await connection.call("thread/queue/add", message);
    }
  }

  /** `doubt`: why the server's own answer is missing. */
  async #prove(
    anchor: CodexAnchor,
    plan: DeliveryPlan,
    doubt: string | null,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + PROOF_TIMEOUT_MS;
    for (let look = 1;; look++) {
      const { heard } = this.thread.follower;
      // The first look comes when there is something to be seen.
      if (look === 1 && plan.way === "start") await this.#toldOf(anchor.clientId, signal);
      const evidence = await this.thread.gather({ wish: "start", since: anchor, settle: false });
      const verdict = judgeReceipt(evidence, anchor);
      if (verdict !== null) return verdict;
      if (plan.way === "steer" && doubt === null) {
        // It stands among the turn's items once the model has read it, which may take long.
        return { result: "queued", reason: null, evidence: "turn/steer: taken into the running turn" };
      }
      if (plan.way === "queue" && !plan.held && evidence.queued.length > 0) await this.#startIfHeld(evidence);
      if (signal.aborted || clock.monotonic() >= deadline) break;
      await napUntilHeard(this.thread.follower, heard, { ms: PROOF_POLL_MS, clock, signal });
    }
    const why = signal.aborted
      ? "the send was interrupted before it could be proven"
      : doubt === null
      ? `the server has taken it, but its record does not have it after ${PROOF_TIMEOUT_MS / 1000} s`
      : `the server did not answer (${doubt}), and its record does not have it`;
    return { result: "indeterminate", reason: why, evidence: null };
  }

  /** Resolves when the server tells of the message, or soon. */
  async #toldOf(clientId: string, signal: AbortSignal): Promise<void> {
    const { thread: { follower }, deps: { clock } } = this;
    const deadline = clock.monotonic() + PROOF_POLL_MS;
    while (!follower.knowsMessage(clientId) && !signal.aborted) {
      const ms = deadline - clock.monotonic();
      if (ms <= 0) return;
      await napUntilHeard(follower, follower.heard, { ms, clock, signal });
    }
  }

  /** The turn before it was interrupted meanwhile, by somebody else. */
  async #startIfHeld(evidence: CodexEvidence): Promise<void> {
    const isHeld = (plan: DeliveryPlan | null) => plan?.way === "queue" && plan.held;
    if (!isHeld(planDelivery(evidence, "queue"))) return;
    const connection = await this.thread.link.connection();
    await connection.call("thread/queue/start", { threadId: this.thread.id }).catch(() => {});
  }
}

/** What the session waits for; null when a message may go in. */
function pendingOf(evidence: CodexEvidence): PendingInput | null {
  const state = decideState(evidence);
  return state.state === "waiting_for_input" ? state.pending : null;
}

function receipt(
  message: Message,
  verdict: Verdict,
  anchor: CodexAnchor | null,
  pending: PendingInput | null = null,
): Receipt {
  return { receipt: message.receipt, ...verdict, pending, anchor };
}

function refusal(reason: string): Verdict {
  return { result: "refused", reason, evidence: null };
}
