/**
 * Answers Claude's open requests: read again under the session's lock, answered once, and told only when Claude's own
 * record proves it. Never a key where a hook waits.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import type { Paths } from "../../lib/paths.ts";
import type { AnswerProof, FittingAnswer, PendingInput, Session } from "../../lib/session.ts";
import { lockSession } from "../session_lock.ts";
import { type CallDecision, CallRecords } from "./call_records.ts";
import { type Decision, decisionOf, hookOutput } from "./decision.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import type { HookEvent } from "./hook_log.ts";
import { type SessionFolder, sessionFolder } from "./launch_files.ts";
import { reachReader } from "../docker/shared_files.ts";
import type { Observer } from "./observe.ts";
import { openInputs } from "./pending.ts";
import type { Tmux } from "./tmux.ts";
import { isInsideProjects } from "./transcript_path.ts";
import { watchRecords } from "./watch.ts";

/** Behind senders: a 1 MB message takes about 70 s to be taken in. */
const LOCK_TIMEOUT_MS = 120_000;
/** For the hook to take its answer (measured: 3 ms), on a machine under load. */
const TAKING_TIMEOUT_MS = 10_000;
const TAKING_POLL_MS = 10;
/** From there to the record (measured: 0.1 to 0.2 s). */
const PROOF_TIMEOUT_MS = 15_000;
/** From the decision's record to the live registry's word (measured: 0.1 s). */
const SETTLING_MS = 2_000;
const POLL_MS = 100;

/** An answer on its way to its hook. */
interface GivenAnswer {
  readonly id: string;
  readonly file: string;
  /** When it was given, milliseconds since the epoch. */
  readonly at: number;
}

export class Requests {
  readonly #folder: SessionFolder;

  constructor(
    private readonly deps: Deps,
    paths: Paths,
    private readonly session: Session,
    private readonly observer: Observer,
    private readonly tmux: Tmux,
  ) {
    this.#folder = sessionFolder(paths.sessionFolder(session.token));
  }

  /** What is open now, the one that the screen shows first. */
  async open(): Promise<PendingInput[]> {
    return openInputs(await this.observer.evidence());
  }

  /** @throws AppError (see `Backend.respond`). */
  async answer(request: PendingInput, answer: FittingAnswer, signal: AbortSignal): Promise<AnswerProof> {
    using _lock = await this.#lock(signal);
    const evidence = await this.#stillOpen(request);
    const event = evidence.held.find((held) => held.name === `${request.requestId}.json`);
    if (event !== undefined) {
      return await this.#decide(request, event, decisionOf(answer, event.body), signal);
    }
    const { pressAnswer } = await import("./answer_keys.ts");
    const proof = await pressAnswer(
      { deps: this.deps, session: this.session, observer: this.observer, tmux: this.tmux },
      request,
      answer,
      signal,
    );
    return proof;
  }

  /**
   * Under the session's lock: has a request whose hook waits denied, upon which Claude ends the turn, as after Escape;
   * the model does not get the message (measured). Returns when the hook has taken the denial; that the turn has ended is
   * for the caller to prove.
   *
   * @throws AppError (failure) when the request is gone, and as `answer` for a folder that can't be used.
   */
  async interrupt(request: PendingInput, message: string, signal: AbortSignal): Promise<void> {
    const evidence = await this.#stillOpen(request);
    const event = evidence.held.find((held) => held.name === `${request.requestId}.json`);
    if (event === undefined) throw this.#cannot("failure", "no hook waits for its answer");
    const { clock } = this.deps;
    const id = event.name.replace(/\.json$/, "");
    const file = await this.#handOver(request, id, { behavior: "deny", message, interrupt: true });
    const deadline = clock.monotonic() + TAKING_TIMEOUT_MS;
    while (!this.#isTaken(id, file)) {
      const over = clock.monotonic() >= deadline || signal.aborted || await this.#hookIsGone(id);
      if (over && this.#withdraw(id, file)) throw this.#gone(request);
      if (signal.aborted || clock.monotonic() >= deadline) return;
      await clock.sleep(TAKING_POLL_MS, signal);
    }
  }

  async #lock(signal: AbortSignal): Promise<Disposable> {
    const intent = { verb: "answer", id: this.session.id, untouched: "Nothing was answered" };
    const lock = await lockSession(intent, this.#folder.sendLock, {
      timeoutMs: LOCK_TIMEOUT_MS,
      clock: this.deps.clock,
      signal,
    });
    if (lock !== "held") return lock;
    throw this.#cannot("not_delivered", "other commands keep its lock. Nothing was answered");
  }

  /** The evidence in which the very request is open. */
  async #stillOpen(request: PendingInput): Promise<ClaudeEvidence> {
    const evidence = await this.observer.evidence();
    if (evidence.process === "dead") throw this.#cannot("agent_gone", "its agent is gone");
    const found = openInputs(evidence).find((one) => identityOf(one) === identityOf(request));
    if (found === undefined) throw this.#gone(request);
    return evidence;
  }

  async #decide(
    request: PendingInput,
    event: HookEvent,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<AnswerProof> {
    const records = new CallRecords(this.#transcriptOf(event), {
      tool: request.tool ?? "",
      input: request.input,
    });
    if (records.isOverSince(event.at)) throw this.#gone(request);
    const id = event.name.replace(/\.json$/, "");
    const at = this.deps.clock.now();
    const file = await this.#handOver(request, id, decision);
    const evidence = await this.#prove(request, { id, file, at }, records, signal);
    // Whoever can only read it can't take it away.
    if (this.#contained) {
      withdrawn(file);
      withdrawn(`${this.#folder.requests}/${id}.given`);
    }
    return { by: "direct", evidence, note: null };
  }

  /** Where the answer lies until the hook takes it. */
  async #handOver(request: PendingInput, id: string, decision: Decision): Promise<string> {
    const file = `${this.#folder.answers}/${id}.json`;
    this.#write(file, hookOutput(decision));
    try {
      if (!await this.#wake(id) && this.#withdraw(id, file)) throw this.#gone(request);
    } catch (error) {
      // Left there, it would be given to a hook that looks by itself.
      if (error instanceof AppError) throw error;
      if (this.#withdraw(id, file)) {
        throw this.#cannot(
          "not_delivered",
          `its hook can't be reached: ${messageOf(error)}. Nothing was answered`,
        );
      }
    }
    return file;
  }

  #write(file: string, text: string): void {
    const part = `${file}.${this.deps.randomUuid()}.part`;
    try {
      Deno.writeTextFileSync(part, text, { mode: 0o600, createNew: true });
      Deno.renameSync(part, file);
    } catch (error) {
      throw this.#cannot(
        "not_delivered",
        `its folder "${this.#folder.root}" can't be written: ${messageOf(error)}. Nothing was answered`,
      );
    }
  }

  /** False when the hook is gone. Opened for both ends, which never waits. */
  async #wake(id: string): Promise<boolean> {
    if (this.#contained) return reachReader(`${this.#folder.requests}/${id}`, "answer\n");
    try {
      using fifo = await Deno.open(`${this.#folder.requests}/${id}`, { read: true, write: true });
      await fifo.write(new TextEncoder().encode("answer\n"));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Returns what proves it. An answer that the hook does not take is withdrawn, so that it can't be given later. */
  async #prove(
    request: PendingInput,
    { id, file, at }: GivenAnswer,
    records: CallRecords,
    signal: AbortSignal,
  ): Promise<string> {
    const { clock } = this.deps;
    const begin = clock.monotonic();
    const places = () => ({
      events: this.#folder.answers,
      files: [
        records.path,
        ...[this.observer.registryFile()].filter((path) => path !== null),
      ],
    });
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    let decision: CallDecision | null = null;
    let decidedAt: number | null = null;
    for await (const _ of watchRecords(places, POLL_MS, clock, stop)) {
      const waited = clock.monotonic() - begin;
      decision ??= records.news();
      const taken = this.#isTaken(id, file);
      if (decision !== null) {
        if (decision.by !== "hook") {
          this.#withdraw(id, file);
          throw this.#someoneElse(request);
        }
        decidedAt ??= waited;
        // A status after this must not tell of the request; another dialog may keep the registry waiting, though.
        const settled = this.#hasMovedOn(request, at) || waited - decidedAt >= SETTLING_MS;
        if (taken && settled) return decision.evidence;
      } else if (taken && !exists(records.path) && this.#hasLeftWaiting(at)) {
        return "the live registry";
      }
      if (!taken && (waited >= TAKING_TIMEOUT_MS || await this.#hookIsGone(id)) && this.#withdraw(id, file)) {
        throw this.#gone(request);
      }
      if (waited >= PROOF_TIMEOUT_MS) break;
    }
    over.abort();
    if (this.#withdraw(id, file)) {
      throw signal.aborted
        ? this.#cannot("interrupted", "interrupted. Nothing was answered")
        : this.#cannot("not_delivered", "its hook did not take the answer");
    }
    if (!signal.aborted && decision === null && this.#hasLeftWaiting(at)) return "the live registry";
    if (!signal.aborted && decision !== null) return decision.evidence;
    throw this.#cannot(
      "unproven",
      `the answer was handed over, but ${
        signal.aborted ? "the command was interrupted before its record proved it" : "no record proves it"
      }. Look before you answer again: dev-sessions status ${this.session.id} --explain`,
    );
  }

  async #hookIsGone(id: string): Promise<boolean> {
    return !await this.observer.hookWaits(id);
  }

  /** In a container the hook can only read answers, see `hookScript`. */
  get #contained(): boolean {
    return this.observer.handle.container !== undefined;
  }

  #isTaken(id: string, file: string): boolean {
    return this.#contained ? exists(`${this.#folder.requests}/${id}.given`) : !exists(file);
  }

  /** True when the hook had not taken it, and now never will. */
  #withdraw(id: string, file: string): boolean {
    if (!this.#contained) return withdrawn(file);
    const fifo = `${this.#folder.requests}/${id}`;
    if (exists(fifo)) {
      withdrawn(file);
      return exists(fifo);
    }
    // While it looks for an answer, nobody knows. The mark comes before the end of the look.
    return !exists(`${fifo}.taken`) && !exists(`${fifo}.given`);
  }

  #hasMovedOn(request: PendingInput, at: number): boolean {
    const registry = this.observer.registry();
    return request.subagent !== null || registry?.status !== "waiting" || registry.statusUpdatedAt > at;
  }

  #hasLeftWaiting(at: number): boolean {
    const registry = this.observer.registry();
    return registry !== null && registry.status !== "waiting" && registry.statusUpdatedAt >= at;
  }

  /** Of whoever made the call; a path that a hook names is used only inside of Claude's own folder. */
  #transcriptOf({ body }: HookEvent): string {
    const { configFolder } = this.observer.handle;
    const named = body.transcript_path;
    const main = named !== undefined && isInsideProjects(configFolder, named)
      ? named
      : this.observer.transcript();
    const { agent_id } = body;
    if (agent_id === undefined || !/^[\w-]+$/.test(agent_id)) return main;
    return `${main.replace(/\.jsonl$/, "")}/subagents/agent-${agent_id}.jsonl`;
  }

  #gone(request: PendingInput): AppError {
    return this.#cannot(
      "failure",
      `the request (${request.summary}) is not pending any more; it was answered elsewhere or given up. ` +
        `Nothing was answered. See what is with: dev-sessions status ${this.session.id}`,
    );
  }

  #someoneElse(request: PendingInput): AppError {
    return this.#cannot(
      "failure",
      `somebody else answered first (${request.summary}), and this answer counts for nothing. ` +
        `See what it does with: dev-sessions status ${this.session.id}`,
    );
  }

  #cannot(code: ConstructorParameters<typeof AppError>[0], why: string): AppError {
    return new AppError(code, `Cannot answer "${this.session.id}": ${why}`);
  }
}

/** Two looks at one request agree in this, and no two requests do. */
function identityOf(request: PendingInput): string {
  return JSON.stringify([request.answerable, request.requestId, request.tool, request.input, request.since]);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** True when the hook had not taken it, and now never will: it takes it by the same renaming. */
function withdrawn(file: string): boolean {
  const aside = `${file}.withdrawn`;
  try {
    Deno.renameSync(file, aside);
    Deno.removeSync(aside);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
