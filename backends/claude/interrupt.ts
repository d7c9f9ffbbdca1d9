/**
 * Stops Claude's running turn with one Escape and reports only what Claude's records say of it. The key is pressed
 * while the registry says busy, once for each turn, and never into a dialog.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { Interruption, Session } from "../../lib/session.ts";
import { type Intent, interruptedBefore, lockSession, unusableFolder } from "../session_lock.ts";
import { clearGivenBack } from "./clear_box.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import {
  type Activity,
  activityOf,
  type AfterEscape,
  areDifferent,
  hasMoved,
  isAsking,
  judgeEscape,
  queuedBehind,
  type TurnRef,
  vetoEscape,
} from "./interrupt_plan.ts";
import {
  cutShort,
  firstLine,
  type Left,
  refusalWhileWaiting,
  reportOf,
  type Step,
  type Stopped,
  touchedTurn,
} from "./interrupt_report.ts";
import { dropLeftCommands, type SessionFolder } from "./launch_files.ts";
import { lookAtBox } from "./look.ts";
import type { Observer } from "./observe.ts";
import type { Requests } from "./requests.ts";
import { awaitedInput } from "./pending.ts";
import type { Tmux } from "./tmux.ts";
import { watchRecords } from "./watch.ts";

/** As a sender's, behind other senders. */
const LOCK_TIMEOUT_MS = 120_000;
/** For records that lag behind each other before the key (measured: up to 0.35 s). */
const BETWEEN_TIMEOUT_MS = 2_000;
const BETWEEN_POLL_MS = 50;
/** For the proof (measured: 0.1 to 0.5 s), on a busy machine, too. */
const PROOF_TIMEOUT_MS = 10_000;
const PROOF_POLL_MS = 100;
/** Two Escapes in less than this, the second at rest, open a dialog or clear a draft (measured: 0.8 s). */
const ESCAPE_SPACING_MS = 1_200;
/** The turn changed under the look. */
const LOOK_LIMIT = 5;
/** What is queued together is one turn, so that more than two are rare. */
const TURN_LIMIT = 20;
/** From the end of a turn to the start of the queue's (measured: up to 0.2 s), on a busy machine. */
const QUEUE_LOOKS = 30;
const QUEUE_POLL_MS = 100;
/** Claude takes some milliseconds to leave vim's INSERT mode. */
const VIM_TIMEOUT_MS = 2_000;

/** What the model is told. */
const DENIAL = "The turn was interrupted";

const NO_TURN: TurnRef = { id: null, texts: [] };

export class Interrupter {
  readonly #pane: string;
  readonly #intent: Intent;

  constructor(
    private readonly deps: Deps,
    private readonly folder: SessionFolder,
    private readonly session: Session,
    private readonly observer: Observer,
    private readonly tmux: Tmux,
    private readonly requests: Requests,
  ) {
    this.#pane = observer.handle.pane ?? "";
    this.#intent = { verb: "interrupt", id: session.id, untouched: "Nothing was pressed" };
  }

  /** Stops the turn that runs at the call: one that begins while it waits for the lock is left alone. */
  async interrupt(options: { readonly allQueued: boolean }, signal: AbortSignal): Promise<Interruption> {
    const first = await this.#settled(signal);
    if (first.kind !== "turn" && !isAsking(first)) return this.#report([], this.#without(first));
    const lock = await lockSession(this.#intent, this.folder.sendLock, {
      timeoutMs: LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock === "held") {
      return this.#report([], { kind: "refused", reason: "other commands keep its lock", pending: null });
    }
    using _held = lock;
    this.#dropLeftCommands();
    return options.allQueued ? await this.#stopAll(signal) : await this.stopOne(signal, first.turn);
  }

  /** Under the session's lock. With `only`, another turn than this one is left alone. */
  async stopOne(signal: AbortSignal, only: TurnRef | null = null): Promise<Interruption> {
    const step = await this.#step(only, signal);
    return await this.#report(step.kind === "stopped" ? [step] : [], step);
  }

  async #stopAll(signal: AbortSignal): Promise<Interruption> {
    const stopped: Stopped[] = [];
    let ended: Extract<Step, { kind: "ended" }> | null = null;
    let looks = 0;
    const next = (): Promise<Step> =>
      this.#step(null, signal).catch((error) => cutShort(stopped, error) ?? Promise.reject(error));
    for (let turn = 0; turn < TURN_LIMIT; turn++) {
      let step = await next();
      const last = stopped.at(-1)?.after.turn ?? ended?.turn ?? null;
      // After the end of a turn it is at rest for a moment, while the queue's messages are on their way.
      while (step.kind === "rest" && last !== null && looks < QUEUE_LOOKS && await this.#hasQueue(last)) {
        looks++;
        await this.deps.clock.sleep(QUEUE_POLL_MS, signal);
        step = await next();
      }
      if (step.kind === "stopped") stopped.push(step);
      else if (step.kind === "ended") ended = step;
      else if (step.kind === "rest") return await this.#report(stopped, stopped.at(-1) ?? ended ?? step);
      else return await this.#report(stopped, step);
    }
    return await this.#report(stopped, {
      kind: "unproven",
      turn: stopped.at(-1)?.after.turn ?? NO_TURN,
      reason: `turn after turn begins; it gave up after ${TURN_LIMIT}`,
    });
  }

  async #step(only: TurnRef | null, signal: AbortSignal): Promise<Step> {
    for (let look = 0; look < LOOK_LIMIT; look++) {
      const anchor = this.observer.anchor("");
      const activity = await this.#settled(signal);
      if (activity.kind === "rest" && only !== null) {
        return { kind: "ended", turn: only, reason: "the turn ended before a key was pressed" };
      }
      if (activity.kind !== "turn" && !isAsking(activity)) return this.#without(activity);
      const { turn } = activity;
      if (only !== null && areDifferent(only, turn)) {
        return { kind: "ended", turn: only, reason: "the turn ended while others had the session's lock" };
      }
      if (activity.kind === "waiting") {
        const step = await this.#denyRequest(activity, anchor, signal);
        if (step === null) continue;
        return step;
      }
      const screen = await lookAtBox(this.tmux, this.#pane);
      if (screen === "unresponsive") {
        return { kind: "refused", reason: "tmux does not answer", pending: null };
      }
      if (screen === "no_pane") {
        return { kind: "refused", reason: "its tmux pane can't be found", pending: null };
      }
      const veto = vetoEscape(screen, this.observer.registry() !== null);
      if (veto !== null) return { kind: "refused", reason: veto, pending: null };
      const hasWaited = await this.#keepDistance(signal);
      if (signal.aborted) throw this.#aborted();
      if (hasWaited) continue;
      if (!this.#stillRuns(anchor)) continue;

      const pressedAt = this.deps.clock.now();
      if (!await this.#press()) return { kind: "refused", reason: "its tmux pane is gone", pending: null };
      if (screen.vimInsert && !await this.#pressPastVim(anchor, signal)) {
        return { kind: "unproven", turn, reason: "its input box did not leave vim's INSERT mode" };
      }
      return await this.#prove(turn, pressedAt, anchor, signal);
    }
    return { kind: "refused", reason: "its turns change faster than they can be looked at", pending: null };
  }

  /** A turn that asks is stopped through its request, without a key; null when that was answered in the meantime. */
  async #denyRequest(
    { turn, pending }: Extract<Activity, { kind: "waiting" }>,
    anchor: ReturnType<Observer["anchor"]>,
    signal: AbortSignal,
  ): Promise<Step | null> {
    const deniedAt = this.deps.clock.now();
    try {
      await this.requests.interrupt(pending, DENIAL, signal);
    } catch (error) {
      if (error instanceof AppError && error.code === "failure") return null;
      throw error;
    }
    return await this.#prove(turn, deniedAt, anchor, signal);
  }

  /** Immediately before the key. */
  #stillRuns(anchor: ReturnType<Observer["anchor"]>): boolean {
    if (hasMoved(this.observer.since(anchor))) return false;
    const registry = this.observer.registry();
    return registry === null || registry.status === "busy";
  }

  /** Copy mode is left first, as keys pressed there are commands of it; tmux carries out both or, once we left, none. */
  async #press(): Promise<boolean> {
    const { deliveries, lastEscape } = this.folder;
    const pane = this.#pane;
    const file = `${deliveries}/escape-${this.deps.randomUuid()}.tmux`;
    try {
      Deno.mkdirSync(deliveries, { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(lastEscape, String(this.deps.clock.now()), { mode: 0o600 });
      Deno.writeTextFileSync(
        file,
        `if-shell -F -t ${pane} '#{pane_in_mode}' 'send-keys -t ${pane} -X cancel'\n` +
          `send-keys -t ${pane} Escape\n`,
        { mode: 0o600, createNew: true },
      );
    } catch (error) {
      throw this.#unusable(error);
    }
    try {
      const pressed = await this.tmux.run(["source-file", file]);
      return !(pressed.kind === "failed" &&
        (pressed.reason === "no_server" || pressed.reason === "no_target"));
    } finally {
      removeIfThere(file);
    }
  }

  /** There the first Escape only leaves INSERT mode; the screen without it proves that the turn did not get the key. */
  async #pressPastVim(anchor: ReturnType<Observer["anchor"]>, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + VIM_TIMEOUT_MS;
    while (clock.monotonic() < deadline && !signal.aborted) {
      await clock.sleep(BETWEEN_POLL_MS, signal);
      const screen = await lookAtBox(this.tmux, this.#pane);
      if (typeof screen === "string" || screen.vimInsert) continue;
      if (this.#stillRuns(anchor)) await this.#press();
      return true;
    }
    return false;
  }

  async #prove(
    turn: TurnRef,
    pressedAt: number,
    anchor: ReturnType<Observer["anchor"]>,
    signal: AbortSignal,
  ): Promise<Step> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + PROOF_TIMEOUT_MS;
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    const places = () => ({
      events: this.folder.events,
      files: [anchor.transcript, ...this.#registryFile()],
    });
    let live: ClaudeEvidence | null = null;
    for await (const _ of watchRecords(places, PROOF_POLL_MS, clock, stop)) {
      live = await this.observer.evidence({ all: true });
      const after = judgeEscape(turn, pressedAt, this.observer.since(anchor), live);
      switch (after.kind) {
        case "stopped":
          return { kind: "stopped", after, note: await this.#tidied(after) };
        case "ended":
          return { kind: "ended", turn, reason: "the turn came to its own end" };
        case "open":
          break;
      }
      if (live.process === "dead") throw this.#gone();
      if (clock.monotonic() >= deadline) over.abort();
    }
    if (signal.aborted) {
      return { kind: "unproven", turn, reason: "it was stopped itself before the record could prove it" };
    }
    const pending = live === null ? null : awaitedInput(live);
    return {
      kind: "unproven",
      turn,
      reason: pending === null
        ? `it was asked to stop, and for ${PROOF_TIMEOUT_MS / 1000} s no record said what came of it`
        : `it was asked to stop, and meanwhile it asked for input (${pending.summary})`,
    };
  }

  async #tidied(after: Extract<AfterEscape, { kind: "stopped" }>): Promise<string | null> {
    if (after.how !== "rewound") return null;
    const cleared = await clearGivenBack(this.tmux, this.#pane, after.turn.texts.join("\n"), {
      clock: this.deps.clock,
      works: () => this.observer.registry()?.status === "busy",
    });
    switch (cleared) {
      case "cleared":
        return "nothing had been answered; its message was taken out of the input box";
      case "left":
        return "nothing had been answered; its message stands in the input box again";
      case "not_there":
        return null;
    }
  }

  /** The activity once the records agree, at the latest after `BETWEEN_TIMEOUT_MS`. */
  async #settled(signal: AbortSignal): Promise<Exclude<Activity, { kind: "between" }>> {
    const { clock } = this.deps;
    const deadline = clock.monotonic() + BETWEEN_TIMEOUT_MS;
    for (;;) {
      const activity = activityOf(await this.observer.evidence({ all: true }));
      if (activity.kind !== "between") return activity;
      if (signal.aborted) throw this.#aborted();
      if (clock.monotonic() >= deadline) return activity.otherwise;
      await clock.sleep(BETWEEN_POLL_MS, signal);
    }
  }

  /** True when it had to wait, so that everything must be looked at again. */
  async #keepDistance(signal: AbortSignal): Promise<boolean> {
    let last: number;
    try {
      last = Number(Deno.readTextFileSync(this.folder.lastEscape));
    } catch {
      return false;
    }
    const wait = last + ESCAPE_SPACING_MS - this.deps.clock.now();
    if (!(wait > 0 && wait <= ESCAPE_SPACING_MS)) return false;
    await this.deps.clock.sleep(wait, signal);
    return true;
  }

  #without(activity: Exclude<Activity, { kind: "turn" | "between" }>): Step {
    switch (activity.kind) {
      case "gone":
        throw this.#gone();
      case "waiting":
        return refusalWhileWaiting(activity.pending);
      case "unknown":
        return { kind: "refused", reason: activity.reason, pending: null };
      case "rest":
        return activity;
    }
  }

  async #report(stopped: readonly Stopped[], last: Step): Promise<Interruption> {
    const turn = touchedTurn(last);
    return reportOf(stopped, last, turn === null ? null : await this.#left(turn));
  }

  async #hasQueue(behind: TurnRef): Promise<boolean> {
    return (await this.#left(behind)).queued.length > 0;
  }

  /** What waits and what goes on, now. */
  async #left(turn: TurnRef): Promise<Left> {
    const evidence = await this.observer.evidence({ all: true });
    const activity = activityOf(evidence);
    return {
      queued: queuedBehind(evidence, turn).map(firstLine),
      background: activity.kind === "rest" ? activity.background : [],
    };
  }

  #dropLeftCommands(): void {
    try {
      dropLeftCommands(this.folder);
    } catch (error) {
      throw this.#unusable(error);
    }
  }

  #registryFile(): string[] {
    const file = this.observer.registryFile();
    return file === null ? [] : [file];
  }

  #gone(): AppError {
    return new AppError(
      "agent_gone",
      `Cannot interrupt "${this.session.id}": its agent is gone. ` +
        `Read what it said with: dev-sessions last-message ${this.session.id}`,
    );
  }

  #aborted(): AppError {
    return interruptedBefore(this.#intent);
  }

  #unusable(error: unknown): AppError {
    return unusableFolder(this.#intent, this.folder.root, error);
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
