/**
 * Types a message into Claude's input box, once, and reports only what Claude's own record says of it. Never Ctrl-C,
 * never the body twice, and never Escape but to stop a turn when the caller says so.
 */

import type { SendHooks } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { Paths } from "../../lib/paths.ts";
import type { Interruption, Message, PendingInput, Receipt, Session } from "../../lib/session.ts";
import { type Intent, interruptedBefore, lockSession, unusableFolder } from "../session_lock.ts";
import { deliveryScript } from "./delivery_plan.ts";
import type { Anchor } from "./evidence.ts";
import { handleOf } from "./handle.ts";
import { dropLeftCommands, type SessionFolder, sessionFolder } from "./launch_files.ts";
import { type BoxLook, lookAtBox } from "./look.ts";
import type { Observer } from "./observe.ts";
import { awaitedInput } from "./pending.ts";
import {
  explainMode,
  isTakingIn,
  judgeReceipt,
  mayPressEnter,
  type Verdict,
  verdictWithoutProof,
  vetoTyping,
} from "./receipt.ts";
import type { InputBox } from "./screen.ts";
import { textKey } from "./text_match.ts";
import type { Tmux } from "./tmux.ts";
import { watchRecords } from "./watch.ts";

/** Behind other senders: a 1 MB message takes about 70 s to be taken in. */
const LOCK_TIMEOUT_MS = 120_000;
/** For the record of a short message (measured: 0.1 to 0.45 s), and for each paste on a busy machine. */
const PROOF_TIMEOUT_MS = 10_000;
const PROOF_TIMEOUT_PER_PASTE_MS = 15;
const PROOF_POLL_MS = 200;
/** More for a text that is still being taken in: on a machine under load 100 KB took 40 s. */
const TAKING_IN_MS = 10_000;
const TAKING_IN_LIMIT_MS = 300_000;
/** Before the screen is asked whether the Enter was swallowed, and between Enters. */
const ENTER_PATIENCE_MS = 1_200;
const ENTER_LIMIT = 3;

/** One delivery as a tmux command file. */
interface Commands {
  readonly file: string;
  readonly pastes: number;
}

export class Delivery {
  readonly #folder: SessionFolder;
  readonly #pane: string;
  readonly #intent: Intent;

  constructor(
    private readonly deps: Deps,
    private readonly paths: Paths,
    private readonly session: Session,
    private readonly observer: Observer,
    private readonly tmux: Tmux,
  ) {
    this.#folder = sessionFolder(paths.sessionFolder(session.token));
    this.#pane = observer.handle.pane ?? "";
    this.#intent = { verb: "send to", id: session.id, untouched: "Nothing was typed" };
  }

  async send(message: Message, hooks: SendHooks, signal: AbortSignal): Promise<Receipt> {
    const lock = await lockSession(this.#intent, this.#folder.sendLock, {
      timeoutMs: LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock === "held") {
      return this.#receipt(message, refusal("other senders keep its lock"), null, null);
    }
    using _held = lock;
    await this.#prepared(() => dropLeftCommands(this.#folder));
    const stopped = message.mode === "interrupt" ? await this.#interruptFirst(signal) : null;
    if (stopped?.result === "refused") {
      return this.#receipt(
        message,
        refusal(stopped.reason ?? "its turn can't be stopped"),
        null,
        stopped.pending,
      );
    }
    const veto = await this.#veto();
    if (veto !== null) {
      const before = stopped?.result === "interrupted" ? "its running turn was interrupted, but " : "";
      return this.#receipt(message, refusal(`${before}${veto.reason}`), null, veto.pending);
    }

    if (signal.aborted) throw interruptedBefore(this.#intent);

    const commands = await this.#prepared(() => this.#writeCommands(message));
    try {
      const anchor = this.observer.anchor(textKey(message.text));
      hooks.beforeTyping(anchor);
      const verdict = await this.#typeAndProve(message, commands, anchor, signal);
      const explained = explainMode(
        verdict,
        message.mode ?? "queue",
        stopped,
        this.observer.since(anchor),
        anchor.text,
      );
      const receipt = this.#receipt(message, explained, anchor, null);
      hooks.finished(receipt);
      return receipt;
    } finally {
      removeIfThere(commands.file);
    }
  }

  /** @throws AppError (unproven) when the turn may still run: then nothing is sent. */
  async #interruptFirst(signal: AbortSignal): Promise<Interruption> {
    const [{ Interrupter }, { Requests }] = await Promise.all([
      import("./interrupt.ts"),
      import("./requests.ts"),
    ]);
    const { deps, session, observer, tmux } = this;
    const requests = new Requests(deps, this.paths, session, observer, tmux);
    const interrupter = new Interrupter(deps, this.#folder, session, observer, tmux, requests);
    const stopped = await interrupter.stopOne(signal);
    if (signal.aborted) throw interruptedBefore(this.#intent);
    if (stopped.result !== "unproven") return stopped;
    throw new AppError(
      "unproven",
      `Cannot send to "${this.session.id}": its turn is not proven to be stopped: ${stopped.reason}. ` +
        `The message was not sent. Look with: dev-sessions status ${this.session.id} --explain`,
    );
  }

  /** What fails before the first key has delivered nothing. */
  async #prepared<T>(prepare: () => T | Promise<T>): Promise<T> {
    try {
      return await prepare();
    } catch (error) {
      throw unusableFolder(this.#intent, this.#folder.root, error);
    }
  }

  /** Looks for an earlier delivery in the records; null when they do not have it. */
  find(message: Message, anchor: Anchor): Receipt | null {
    const verdict = judgeReceipt(this.observer.since(anchor), anchor.text, this.#transcriptOf(anchor));
    return verdict === null ? null : this.#receipt(message, verdict, anchor, null);
  }

  async #veto(): Promise<{ reason: string; pending: PendingInput | null } | null> {
    // The records are read while tmux is at work.
    const [look, evidence] = await Promise.all([this.#look(), this.observer.evidence()]);
    if (evidence.process === "dead") throw agentGone(this.session);
    if (await this.observer.terminalIsGone()) return { reason: terminalGone(this.session), pending: null };
    const pending = awaitedInput(evidence);
    if (pending !== null) return vetoTyping({ kind: "empty" }, false, pending);
    if (look === "unresponsive") return { reason: "tmux does not answer", pending: null };
    if (look === "no_pane") {
      return { reason: "its tmux pane can't be found", pending: null };
    }
    const veto = vetoTyping(look.box, look.attached, null);
    if (veto === null && look.box.kind === "unrecognised" && evidence.registry === null) {
      // Nothing else would tell of an open dialog, and our Enter would answer it.
      return { reason: "its screen shows no input box, and no live registry says why", pending: null };
    }
    if (veto !== null) return veto;
    // A dialog may have opened while tmux was asked: the registry has the last word before the first key.
    const asked = awaitedInput(await this.observer.evidence());
    return asked === null ? null : vetoTyping(look.box, look.attached, asked);
  }

  async #typeAndProve(
    message: Message,
    commands: Commands,
    anchor: Anchor,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const typed = await this.tmux.run(["source-file", commands.file]);
    // What tmux did not carry out now it must not carry out later: then the file is gone.
    removeIfThere(commands.file);
    if (typed.kind === "failed" && (typed.reason === "no_server" || typed.reason === "no_target")) {
      return refusal("its tmux pane is gone");
    }
    const budget = PROOF_TIMEOUT_MS + commands.pastes * PROOF_TIMEOUT_PER_PASTE_MS;
    return await this.#prove(message, anchor, budget, signal);
  }

  /**
   * Writes the commands under a name of their own: the tmux call of a sender that was killed may still be under way,
   * and must find its own commands or, once another sender has the lock, none.
   */
  #writeCommands(message: Message): Commands {
    const prefix = `dev-sessions-${this.session.token.slice(0, 8)}`;
    const { script, pastes } = deliveryScript(this.#pane, message.text, prefix);
    const { deliveries } = this.#folder;
    const file = `${deliveries}/${message.receipt}.tmux`;
    Deno.mkdirSync(deliveries, { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(file, script, { mode: 0o600, createNew: true });
    return { file, pastes };
  }

  async #prove(message: Message, anchor: Anchor, budgetMs: number, signal: AbortSignal): Promise<Verdict> {
    const { clock } = this.deps;
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    const begin = clock.monotonic();
    const patience = ENTER_PATIENCE_MS + (budgetMs - PROOF_TIMEOUT_MS) / 2;
    let nextEnter = begin + patience;
    let enters = 0;
    let deadline = begin + budgetMs;
    let lastBox: InputBox | null = null;
    const places = () => ({ events: this.#folder.events, files: [this.observer.transcriptAt(anchor)] });
    for await (const _ of watchRecords(places, PROOF_POLL_MS, clock, stop)) {
      const since = this.observer.since(anchor);
      const verdict = judgeReceipt(since, anchor.text, this.#transcriptOf(anchor));
      if (verdict !== null) return verdict;
      const now = clock.monotonic();
      if (now >= deadline) {
        const look = await this.#look();
        const box = typeof look === "string" ? null : look.box;
        if (!isTakingIn(box, lastBox, message.text) || now - begin >= TAKING_IN_LIMIT_MS) break;
        lastBox = box;
        deadline = now + TAKING_IN_MS;
      }
      if (now < nextEnter || enters >= ENTER_LIMIT) continue;
      nextEnter = now + ENTER_PATIENCE_MS;
      if (await this.observer.liveness() === "dead") break;
      if (this.observer.registry()?.status === "waiting") continue;
      const look = await this.#look();
      if (typeof look === "string" || !mayPressEnter(look.box, message.text, since, anchor.text)) continue;
      await this.tmux.run(["send-keys", "-t", this.#pane, "Enter"]);
      enters++;
    }
    over.abort();
    if (signal.aborted) {
      return {
        result: "indeterminate",
        reason: "the send was interrupted before it could be proven",
        evidence: null,
      };
    }
    const look = await this.#look();
    const since = this.observer.since(anchor);
    return judgeReceipt(since, anchor.text, this.#transcriptOf(anchor)) ??
      verdictWithoutProof(
        typeof look === "string" ? null : look.box,
        message.text,
        since,
        anchor.text,
        await this.observer.liveness(),
      );
  }

  #look(): Promise<BoxLook | "unresponsive" | "no_pane"> {
    return lookAtBox(this.tmux, this.#pane);
  }

  #transcriptOf(anchor: Anchor): "present" | "missing" {
    try {
      Deno.statSync(this.observer.transcriptAt(anchor));
      return "present";
    } catch {
      return "missing";
    }
  }

  #receipt(message: Message, verdict: Verdict, anchor: Anchor | null, pending: PendingInput | null): Receipt {
    return { receipt: message.receipt, ...verdict, pending, anchor };
  }
}

function refusal(reason: string): Verdict {
  return { result: "refused", reason, evidence: null };
}

function agentGone(session: Session): AppError {
  return new AppError(
    "agent_gone",
    `Cannot send to "${session.id}": its agent is gone. ` +
      `Bring it back with: dev-sessions resume ${session.id}`,
  );
}

export function terminalGone(session: Session): string {
  const { id } = session;
  if (handleOf(session).container?.by === "clauded") {
    return "its wrapper has ended, though its Claude may go on in a container. " +
      `See: dev-sessions status ${id} --explain`;
  }
  return "its container's terminal is gone, though its agent goes on. " +
    `Start it anew with: dev-sessions kill ${id}, then: dev-sessions resume ${id}`;
}

/** What can't be removed now must not hide what became of the message; the next sender removes it. */
function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Nothing is typed before it is gone, see `dropLeftCommands()`.
  }
}
