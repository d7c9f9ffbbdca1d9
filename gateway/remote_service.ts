/**
 * SessionService over a carrier: what is asked goes out with a key where it must not be done twice, what is answered is
 * checked before anybody sees it.
 */

import type { EventRecord } from "../lib/events.ts";
import type { Expanded, ExpandRequest } from "../lib/groups.ts";
import type {
  CreateRequest,
  CreateResult,
  EventsRequest,
  GoalRequest,
  GoalResult,
  InterruptOutcome,
  InterruptRequest,
  KillResult,
  KillSelector,
  ListedSession,
  PruneResult,
  PruneSelector,
  RespondRequest,
  RespondResult,
  ResumeRequest,
  ResumeResult,
  SendOutcome,
  SendRequest,
  SessionService,
  SessionUsage,
  TerminalCommand,
  WaitRequest,
  WaitResult,
} from "../lib/service.ts";
import type { LogEntry, Session, SessionId, TurnState } from "../lib/session.ts";
import { decodeResult, type Operation, OPERATIONS, type Requests, type Results } from "../lib/wire.ts";
import { US } from "../lib/wire/handshake.ts";
import type { Carrier } from "./carrier.ts";

export interface RemoteOptions {
  readonly randomUuid: () => string;
  /** Instead of the other end's command, which is of use there only. */
  readonly attachCommand?: (id: SessionId) => Promise<TerminalCommand>;
}

export class RemoteService implements SessionService {
  constructor(private readonly carrier: Carrier, private readonly options: RemoteOptions) {}

  async close(): Promise<void> {
    await this.carrier.close();
  }

  expand(request: ExpandRequest): Promise<Expanded> {
    return this.#call("expand", request);
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    const { result, ownKey } = await this.#keyed("create", request, signal);
    return ownKey ? { ...result, repeated: false } : result;
  }

  async send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome> {
    const { result, ownKey } = await this.#keyed("send", request, signal);
    return ownKey ? { ...result, repeated: false } : result;
  }

  interrupt(request: InterruptRequest, signal: AbortSignal): Promise<InterruptOutcome> {
    return this.#call("interrupt", request, signal);
  }

  wait(request: WaitRequest, signal: AbortSignal): AsyncIterable<WaitResult> {
    return this.#stream("wait", request, signal);
  }

  status(id: SessionId, { explain } = { explain: false }): Promise<TurnState> {
    return this.#call("status", { id, explain });
  }

  async lastMessages(id: SessionId, count: number, receipt: string | null = null): Promise<string[]> {
    return [...await this.#call("lastMessages", { id, count, receipt })];
  }

  logs(id: SessionId, { follow } = { follow: false }, signal?: AbortSignal): AsyncIterable<LogEntry> {
    return this.#stream("logs", { id, follow }, signal);
  }

  events(request: EventsRequest, signal: AbortSignal): AsyncIterable<EventRecord> {
    return this.#stream("events", request, signal);
  }

  async list(options: { readonly all: boolean; readonly group: string | null }): Promise<ListedSession[]> {
    return [...await this.#call("list", options)];
  }

  inspect(id: SessionId, signal?: AbortSignal): Promise<Session> {
    return this.#call("inspect", { id }, signal);
  }

  respond(request: RespondRequest, signal: AbortSignal): Promise<RespondResult> {
    return this.#call("respond", request, signal);
  }

  goal(request: GoalRequest, signal: AbortSignal): Promise<GoalResult> {
    return this.#call("goal", request, signal);
  }

  async usage(ids: readonly SessionId[] | null): Promise<SessionUsage[]> {
    return [...await this.#call("usage", { ids })];
  }

  kill(selector: KillSelector): Promise<KillResult> {
    return this.#call("kill", selector);
  }

  resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    return this.#call("resume", request, signal);
  }

  prune(selector: PruneSelector): Promise<PruneResult> {
    return this.#call("prune", selector);
  }

  attachCommand(id: SessionId): Promise<TerminalCommand> {
    return this.options.attachCommand?.(id) ?? this.#call("attachCommand", { id });
  }

  /** The registry there keeps it from being done twice, also when its process is another one by then. */
  async #keyed<Op extends "create" | "send">(
    operation: Op,
    request: Requests[Op],
    signal: AbortSignal,
  ): Promise<{ result: Results[Op]; ownKey: boolean }> {
    const ownKey = request.key === null;
    const key = request.key ?? this.#newKey();
    const value = await this.carrier.call(operation, { ...request, key }, { signal, key });
    return { result: this.#decode(operation, value), ownKey };
  }

  async #call<Op extends Operation>(
    operation: Op,
    request: Requests[Op],
    signal?: AbortSignal,
  ): Promise<Results[Op]> {
    const key = OPERATIONS[operation].keptBy === "memory" ? this.#newKey() : null;
    const value = await this.carrier.call(operation, request, { key, ...(signal ? { signal } : {}) });
    return this.#decode(operation, value);
  }

  async *#stream<Op extends "wait" | "logs" | "events">(
    operation: Op,
    request: Requests[Op],
    signal?: AbortSignal,
  ): AsyncGenerator<Results[Op]> {
    const items = this.carrier.stream(operation, request, { key: null, ...(signal ? { signal } : {}) });
    try {
      for await (const item of items) yield this.#decode(operation, item);
    } catch (error) {
      // Whoever stops a stream knows that it has ended.
      if (!signal?.aborted) throw error;
    }
  }

  #decode<Op extends Operation>(operation: Op, value: unknown): Results[Op] {
    return decodeResult(operation, value, {
      us: US,
      them: this.carrier.peer(),
      where: this.carrier.where,
    });
  }

  #newKey(): string {
    return `auto-${this.options.randomUuid()}`;
  }
}
