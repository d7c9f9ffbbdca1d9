/**
 * Deliveries and repeated requests: what is typed is in the registry before the first keystroke, and a request with a
 * `--key` is carried out once, whoever repeats it and whenever its first sender died.
 */

import type { Backend } from "../backends/backend.ts";
import type { Deps } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";
import type { InHand } from "./in_hand.ts";
import type { CreateRequest, CreateResult, SendOutcome, SendRequest } from "./service.ts";
import type { Message, Receipt, Session } from "./session.ts";
import { sha256 } from "./sha256.ts";
import type { KeyClaim, KeyRef, Store } from "./store.ts";

/** For a first sender that is still at work with the same key. */
const OWNER_TIMEOUT_MS = 180_000;
const OWNER_POLL_MS = 50;
const NO_RECORD = "its first sender was killed, and the agent's record does not have the message";

type OpenClaim = Extract<KeyClaim, { state: "open" }>;
export type Settled<T> = { readonly ref: KeyRef | null } | { readonly repeated: T };

export class Deliveries {
  constructor(
    private readonly deps: Deps,
    private readonly store: Store,
    private readonly inHand: InHand,
  ) {}

  /** Claims the request's key; a request that was carried out before gives its session. */
  async claimCreate(request: CreateRequest, signal: AbortSignal): Promise<Settled<CreateResult>> {
    const { key, readyTimeoutMs: _, worktree, repeatOnly = false, ...essence } = request;
    if (key === null) {
      if (repeatOnly) throw nothingRepeated();
      return { ref: null };
    }
    // Without a worktree the hash is that of earlier versions.
    const requestHash = await hash(worktree === null ? essence : { ...essence, worktree });
    const settled = await this.settle<CreateResult>(
      { verb: "create", key, requestHash, sessionId: null },
      signal,
      {
        done: (_, sessionId) => ({ session: this.#created(sessionId), readyProven: true, repeated: true }),
        open: (claim) => {
          // Killed after the session was live: then this is it. Before that, the rollback has removed what there was.
          const session = claim.sessionId === null ? null : this.store.find(claim.sessionId);
          if (session === null) return Promise.resolve("nothing was done");
          if (session.lifecycle === "creating") throw stillUnderway("create", key);
          this.store.finishKey(claim.ref, JSON.stringify({ id: session.id }));
          return Promise.resolve({ session, readyProven: true, repeated: true });
        },
      },
    );
    if (!repeatOnly || !("ref" in settled) || settled.ref === null) return settled;
    this.store.dropKey(settled.ref);
    this.release(settled.ref);
    throw nothingRepeated();
  }

  /**
   * Sends once and stores what became of it. A repetition gets that, whatever has become of the session since.
   *
   * @param prepare gives what the model is to receive; asked only when it is to be sent now.
   * @throws what `check` throws, before anything is sent now; what `prepare` and the backend throw.
   */
  async send(
    session: Session,
    backend: Backend,
    { check, prepare }: { readonly check: () => void; readonly prepare: () => Promise<string> },
    request: SendRequest,
    signal: AbortSignal,
  ): Promise<SendOutcome> {
    const claimed = await this.#claimSend(session, backend, prepare, request, signal);
    if ("repeated" in claimed) return { id: session.id, receipt: claimed.repeated, repeated: true };
    const { ref } = claimed;
    const receiptId = newReceipt(this.deps);
    // Of what was typed, if anything was.
    const anchors: unknown[] = [];
    try {
      check();
      const message: Message = {
        receipt: receiptId,
        text: await prepare(),
        mode: request.mode ?? "queue",
      };
      const receipt = await backend.send(session, message, {
        beforeTyping: (anchor) => {
          const at = new Date(this.deps.clock.now()).toISOString();
          this.store.beginSend(session, { receipt: message.receipt, at, anchor, key: ref });
          anchors.push(anchor);
        },
        finished: (receipt) => this.#finish(receipt, ref),
      }, signal);
      if (ref !== null && receipt.result === "refused" && anchors.length === 0) this.store.dropKey(ref);
      return { id: session.id, receipt, repeated: false };
    } catch (error) {
      if (anchors.length === 0) {
        if (ref !== null) this.store.dropKey(ref);
        throw error;
      }
      const reason = `the delivery was broken off: ${messageOf(error)}`;
      const receipt = indeterminate(receiptId, reason, anchors[0]);
      this.#finish(receipt, ref);
      return { id: session.id, receipt, repeated: false };
    } finally {
      this.release(ref);
    }
  }

  /** The session is there: where the registry can't take the result now, a repetition finds it by its claim. */
  created(ref: KeyRef | null, id: string): void {
    if (ref === null) return;
    try {
      this.store.finishKey(ref, JSON.stringify({ id }));
    } catch (error) {
      this.deps.terminal.writeErr(
        `[dev-sessions] that key "${ref.key}" has made ${id} could not be recorded: ${messageOf(error)}\n`,
      );
    }
  }

  /** Once nothing is done for the claim any more. */
  release(ref: KeyRef | null): void {
    if (ref !== null) this.inHand.letGo(ref.claim);
  }

  /** Where a wait begins: at this delivery, else at the last one; null when there was none. */
  anchor(session: Session, receipt: string | null): unknown {
    if (receipt === null) return session.lastSend?.anchor ?? null;
    const send = this.store.findSend(receipt);
    if (send?.sessionToken === session.token) return send.anchor;
    throw new AppError(
      "usage",
      `Cannot wait for message "${receipt}": "${session.id}" has no such delivery. ` +
        "Use the receipt that send --json printed for this session",
    );
  }

  async #claimSend(
    session: Session,
    backend: Backend,
    prepare: () => Promise<string>,
    request: SendRequest,
    signal: AbortSignal,
  ): Promise<Settled<Receipt>> {
    const { key, render, text: template, mode = "queue" } = request;
    if (key === null) return { ref: null };
    // A template is the same request whatever it renders to now.
    const text = render === null ? await prepare() : template;
    // Each session has its own claim, so that one key serves a whole group, and a repetition sends what is missing.
    const essence = {
      token: session.token,
      ...(render === null ? { text } : { template, vars: render.vars }),
      ...(mode === "queue" ? {} : { mode }),
    };
    return await this.settle(
      { verb: `send to ${session.id}`, key, requestHash: await hash(essence), sessionId: session.id },
      signal,
      {
        done: (resultJson) => JSON.parse(resultJson) as Receipt,
        open: async (claim) => {
          const send = claim.receipt === null ? null : this.store.findSend(claim.receipt);
          if (send === null) return "nothing was done";
          const message = { receipt: send.receipt, text };
          const found = await backend.findReceipt(session, message, send.anchor);
          if (found !== null) this.#finish(found, claim.ref);
          return found ?? send.details ?? indeterminate(send.receipt, NO_RECORD, send.anchor);
        },
      },
    );
  }

  /** Waits for the key's owner while it lives; then what it left decides. */
  async settle<T>(
    request: { verb: string; key: string; requestHash: string; sessionId: string | null },
    signal: AbortSignal,
    resolve: {
      done: (resultJson: string, sessionId: string | null) => T;
      open: (claim: OpenClaim) => Promise<T | "nothing was done">;
    },
  ): Promise<Settled<T>> {
    const owner = await this.deps.identify(Deno.pid);
    const deadline = this.deps.clock.monotonic() + OWNER_TIMEOUT_MS;
    while (!signal.aborted) {
      const claim = this.store.claimKey({ ...request, owner });
      if (claim.state === "new") {
        this.inHand.take(claim.ref.claim);
        return { ref: claim.ref };
      }
      if (claim.state === "done") return { repeated: resolve.done(claim.resultJson, claim.sessionId) };
      if (await this.#isDead(claim)) {
        const left = await resolve.open(claim);
        if (left !== "nothing was done") return { repeated: left };
        this.store.dropKey(claim.ref);
        continue;
      }
      if (this.deps.clock.monotonic() >= deadline) throw stillUnderway(request.verb, request.key);
      await this.deps.clock.sleep(OWNER_POLL_MS, signal);
    }
    throw new AppError("interrupted", `Cannot ${request.verb} with key "${request.key}": interrupted`);
  }

  async #isDead(claim: OpenClaim): Promise<boolean> {
    if (claim.owner === null) return false;
    const work = { name: claim.ref.claim, worker: claim.owner };
    return (await this.inHand.abandoned([work], this.deps))[0] ?? false;
  }

  /** What is not proven stays open under its key, so that a repetition looks into the agent's record again. */
  #finish(receipt: Receipt, ref: KeyRef | null): void {
    try {
      this.store.finishSend(receipt);
      if (ref === null) return;
      switch (receipt.result) {
        case "submitted":
        case "queued":
          this.store.finishKey(ref, JSON.stringify(receipt));
          break;
        case "refused":
          this.store.dropKey(ref);
          break;
        case "typed_not_submitted":
        case "indeterminate":
          break;
      }
    } catch (error) {
      // The message is on its way; that the registry can't say so must not make it look undelivered.
      this.deps.terminal.writeErr(
        `[dev-sessions] the delivery ${receipt.receipt} could not be recorded: ${messageOf(error)}\n`,
      );
    }
  }

  #created(id: string | null): Session {
    const session = id === null ? null : this.store.find(id);
    if (session !== null) return session;
    throw new AppError(
      "failure",
      `Cannot repeat create: its session ${
        id === null ? "" : `"${id}" `
      }is no longer in the registry. Use another key`,
    );
  }
}

function nothingRepeated(): AppError {
  return new AppError("not_found", "Cannot repeat create: no session was made with this key. Create one");
}

function stillUnderway(verb: string, key: string): AppError {
  return new AppError(
    "failure",
    `Cannot ${verb} with key "${key}": the first command with this key is still at work. Repeat the command later`,
  );
}

function indeterminate(receipt: string, reason: string, anchor: unknown): Receipt {
  return { receipt, result: "indeterminate", reason, evidence: null, pending: null, anchor };
}

function newReceipt(deps: Deps): string {
  return `r-${deps.randomUuid().replaceAll("-", "").slice(0, 16)}`;
}

export async function hash(value: unknown): Promise<string> {
  return await sha256(JSON.stringify(value));
}
