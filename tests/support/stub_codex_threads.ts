/**
 * The threads of the stub app-server: what the real one says and does for the methods that the backend uses, driven by
 * `STUB:<verb> <args>` in the text of a turn. Survives a restart, as the real one's threads do.
 *
 * `hold <gate>`: runs until the gate is opened. `approve <command>`: asks for approval. `fail <word>`: fails with that
 * codexErrorInfo. `retry <gate>`: says again and again that it tries again, else as `hold`. `flicker <gate>`: idle already, completed
 * only at the gate. `drop <gate>`: breaks all connections, then as `hold`. `exit`: the server dies at once.
 * `long <n>`: a reply of n characters. Anything else comes back as `REPLY: ...`.
 *
 * Long, because every method works on the same few maps.
 */

import { type Emit, RpcFault, type StubClient } from "./stub_codex_wire.ts";

interface StubTurn {
  id: string;
  rootTurnId: string;
  status: "inProgress" | "completed" | "interrupted" | "failed";
  items: Record<string, unknown>[];
  itemsView: string;
  error: unknown;
  startedAt: number | null;
  completedAt: number | null;
  durationMs: number | null;
}
interface Input {
  readonly type: string;
  readonly text?: string;
}
type UserMessage = {
  readonly type: "userMessage";
  readonly id: string;
  readonly clientId: unknown;
  readonly content: readonly Input[];
};
interface Queued {
  id: string;
  input: readonly Input[];
  clientUserMessageId: string | null;
  responsesapiClientMetadata: null;
}
interface Goal {
  threadId: string;
  objective: string;
  status: string;
  tokenBudget: number | null;
  tokensUsed: number;
  timeUsedSeconds: number;
  createdAt: number;
  updatedAt: number;
}
interface Stored {
  id: string;
  cwd: string;
  name: string | null;
  archived: boolean;
  createdAt: number;
  turns: StubTurn[];
  queue: Queued[];
  goal: Goal | null;
  model: string;
  approvalPolicy: unknown;
  sandbox: Record<string, unknown>;
  /** What it was loaded with last. */
  config: unknown;
}
interface Loaded {
  readonly subscribers: Set<StubClient>;
  flags: string[];
  /** Ends the running turn. */
  interrupt: (() => void) | null;
  failed: boolean;
  queueHeld: boolean;
}
type Params = Record<string, unknown>;

/** The real one says so every few seconds. */
const RETRY_MS = 200;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => Math.floor(Date.now() / 1000);
let lastIdMs = 0;
/** UUID v7, as the real one's: later ones are greater. */
function timeOrderedId(): string {
  lastIdMs = Math.max(Date.now(), lastIdMs + 1);
  const hex = lastIdMs.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
const textOf = (input: readonly Input[]) => input.map(({ text = "" }) => text).join("\n");

export class StubThreads {
  readonly #threads = new Map<string, Stored>();
  readonly #due = new Map<string, "unloaded" | "closing">();
  readonly #loaded = new Map<string, Loaded>();
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();
  readonly #requests = new Map<
    number,
    { thread: string; frame: unknown; answered: PromiseWithResolvers<unknown> }
  >();
  #lastRequest = 0;

  constructor(
    readonly file: string,
    readonly clients: ReadonlySet<StubClient>,
    readonly dropConnections: () => void,
    /** Between the answer to `turn/start` and the turn's being told as running. */
    readonly lagMs: number,
  ) {
    for (const stored of readThreads(file)) {
      for (const turn of stored.turns) if (turn.status === "inProgress") turn.status = "interrupted";
      this.#threads.set(stored.id, stored);
    }
  }

  /** As if its minute were over when the next resume comes, or its unloading were just going on. */
  unloadAtResume(id: string, how: "unloaded" | "closing"): void {
    this.#due.set(id, how);
  }

  open(gate: string): void {
    this.#gate(gate).resolve();
  }

  opened(gate: string): Promise<void> {
    return this.#gate(gate).promise;
  }

  /** An answer of any client to a request of ours; the first one counts. */
  answer(id: unknown, result: unknown): void {
    if (typeof id === "number") this.#requests.get(id)?.answered.resolve(result);
  }

  forget(client: StubClient): void {
    for (const { subscribers } of this.#loaded.values()) subscribers.delete(client);
  }

  /** @throws RpcFault as the real server answers. */
  call(method: string, params: Params, client: StubClient): unknown {
    const id = String(params["threadId"] ?? "");
    switch (method) {
      case "thread/start":
        return this.#start(params, client);
      case "thread/loaded/list":
        return { data: [...this.#loaded.keys()], nextCursor: null };
      case "thread/list": {
        const wanted = params["archived"] === true;
        const data = [...this.#threads.values()].filter(({ archived }) => archived === wanted)
          .map((stored) => this.#show(stored)).reverse();
        return { data, nextCursor: null, backwardsCursor: null };
      }
      case "thread/resume":
        return this.#resume(this.#stored(id), client, params);
      case "thread/read":
        return { thread: this.#show(this.#known(id)), readState: null };
      case "thread/turns/list": {
        const { turns } = this.#known(id);
        const ordered = params["sortDirection"] === "asc" ? turns : [...turns].reverse();
        const limit = Number(params["limit"] ?? ordered.length);
        const from = Number(params["cursor"] ?? 0);
        const nextCursor = from + limit < ordered.length ? String(from + limit) : null;
        return { data: ordered.slice(from, from + limit), nextCursor, backwardsCursor: null };
      }
      case "thread/items/list": {
        const wanted = params["turnId"];
        const turns = this.#known(id).turns.filter((turn) => !wanted || turn.id === wanted);
        const data = turns.flatMap((turn) =>
          turn.items.map((item) => ({ turnId: turn.id, item, startedAtMs: null, completedAtMs: null }))
        );
        return { data, nextCursor: null, backwardsCursor: null };
      }
      case "thread/archive": {
        const stored = this.#stored(id);
        this.#loaded.get(id)?.interrupt?.();
        stored.archived = true;
        this.#unload(id);
        this.#toAll("thread/archived", { threadId: id });
        return {};
      }
      case "thread/unarchive": {
        const stored = this.#stored(id, true);
        stored.archived = false;
        this.#save();
        return { thread: this.#show(stored) };
      }
      case "thread/unsubscribe": {
        const loaded = this.#loaded.get(id);
        if (loaded === undefined) return { status: "notLoaded" };
        return { status: loaded.subscribers.delete(client) ? "unsubscribed" : "notSubscribed" };
      }
      case "thread/name/set": {
        const stored = this.#stored(id);
        stored.name = String(params["name"]);
        this.#save();
        this.#toAll("thread/name/updated", { threadId: id, threadName: stored.name });
        return {};
      }
      case "thread/settings/update":
        this.#settings(this.#stored(id), params);
        return {};
      case "thread/backgroundTerminals/clean":
        return {};
      case "thread/goal/get":
        return { goal: this.#stored(id).goal };
      case "thread/goal/set":
        return this.#setGoal(this.#stored(id), params);
      case "thread/goal/clear": {
        const stored = this.#stored(id);
        const cleared = stored.goal !== null;
        stored.goal = null;
        this.#save();
        if (cleared) this.#toSubscribers(id, "thread/goal/cleared", { threadId: id });
        return { cleared };
      }
      case "turn/start":
        return { turn: this.#turn(this.#stored(id), params, true) };
      case "turn/steer": {
        const running = this.#running(id);
        if (running === null) throw new RpcFault(-32600, "no active turn to steer");
        if (running.id !== params["expectedTurnId"]) {
          const expected = String(params["expectedTurnId"]);
          throw new RpcFault(-32600, `expected active turn id \`${expected}\` but found \`${running.id}\``);
        }
        this.#turn(this.#stored(id), params, true);
        return { turnId: running.id };
      }
      case "turn/interrupt": {
        const running = this.#running(id);
        const loaded = this.#loaded.get(id)!;
        if (params["turnId"] !== "" && (params["turnId"] !== running?.id || loaded.interrupt === null)) {
          throw new RpcFault(-32600, "no active turn to interrupt");
        }
        if (loaded.interrupt !== null) loaded.queueHeld = true;
        loaded.interrupt?.();
        return {};
      }
      case "thread/queue/add": {
        const stored = this.#stored(id);
        const queued: Queued = {
          id: crypto.randomUUID(),
          input: params["input"] as Input[],
          clientUserMessageId: params["clientUserMessageId"] as string ?? null,
          responsesapiClientMetadata: null,
        };
        stored.queue.push(queued);
        this.#queueChanged(id);
        this.#drain(stored);
        return { queuedSubmission: queued };
      }
      case "thread/queue/list":
        return { data: this.#stored(id).queue, nextCursor: null };
      case "thread/queue/delete": {
        const stored = this.#stored(id);
        const before = stored.queue.length;
        stored.queue = stored.queue.filter((queued) => queued.id !== params["queuedSubmissionId"]);
        this.#queueChanged(id);
        return { deleted: stored.queue.length < before };
      }
      case "thread/queue/start": {
        const stored = this.#stored(id);
        const loaded = this.#loadedOr(id);
        const next = stored.queue[0];
        if (next === undefined) throw new RpcFault(-32600, "queue is empty");
        loaded.queueHeld = false;
        this.#drain(stored);
        return { turn: this.#running(id) ?? stored.turns.at(-1) };
      }
    }
    throw new RpcFault(-32600, `Invalid request: unknown variant \`${method}\``);
  }

  #gate(name: string): PromiseWithResolvers<void> {
    let gate = this.#gates.get(name);
    if (gate === undefined) this.#gates.set(name, gate = Promise.withResolvers());
    return gate;
  }

  /** Archived ones can be read, too. */
  #known(id: string): Stored {
    const stored = this.#threads.get(id);
    if (stored === undefined) throw new RpcFault(-32600, `thread not loaded: ${id}`);
    return stored;
  }

  #stored(id: string, archived = false): Stored {
    const stored = this.#threads.get(id);
    if (stored === undefined) throw new RpcFault(-32600, `no rollout found for thread id ${id}`);
    if (stored.archived && !archived) throw new RpcFault(-32600, `session ${id} is archived`);
    return stored;
  }

  #loadedOr(id: string): Loaded {
    const loaded = this.#loaded.get(id);
    if (loaded === undefined) throw new RpcFault(-32600, `thread not found: ${id}`);
    return loaded;
  }

  #running(id: string): StubTurn | null {
    this.#loadedOr(id);
    const last = this.#threads.get(id)?.turns.at(-1);
    return last?.status === "inProgress" ? last : null;
  }

  #load(id: string, client: StubClient): Loaded {
    let loaded = this.#loaded.get(id);
    if (loaded === undefined) {
      loaded = { subscribers: new Set(), flags: [], interrupt: null, failed: false, queueHeld: false };
      this.#loaded.set(id, loaded);
    }
    loaded.subscribers.add(client);
    return loaded;
  }

  #unload(id: string): void {
    this.#loaded.delete(id);
    this.#save();
    this.#toAll("thread/status/changed", { threadId: id, status: { type: "notLoaded" } });
  }

  #start(params: Params, client: StubClient): unknown {
    const id = crypto.randomUUID();
    const stored: Stored = {
      id,
      cwd: String(params["cwd"] ?? "/"),
      name: null,
      archived: false,
      createdAt: now(),
      turns: [],
      queue: [],
      goal: null,
      model: String(params["model"] ?? "stub-model"),
      approvalPolicy: "on-request",
      sandbox: { type: "readOnly", networkAccess: false },
      config: params["config"] ?? null,
    };
    this.#settings(stored, params);
    this.#threads.set(id, stored);
    this.#load(id, client);
    this.#save();
    this.#toAll("thread/started", { thread: this.#show(stored) });
    return this.#opened(stored);
  }

  #resume(stored: Stored, client: StubClient, params: Params): unknown {
    // As the real one: settings of its own are worth another loading.
    const loaded = this.#loaded.get(stored.id);
    const isFree = loaded !== undefined && loaded.interrupt === null && loaded.subscribers.size === 0;
    const due = this.#due.get(stored.id);
    this.#due.delete(stored.id);
    if (isFree && (params["config"] || due)) this.#unload(stored.id);
    if (due === "closing") {
      const why = `thread ${stored.id} is closing; retry thread/resume after the thread is closed`;
      throw new RpcFault(-32600, why);
    }
    if (!this.#loaded.has(stored.id)) stored.config = params["config"] ?? null;
    this.#load(stored.id, client);
    const data = stored.turns.slice(-1);
    const initialTurnsPage = params["initialTurnsPage"] ? { data, nextCursor: null } : null;
    // A request that nobody has answered comes again, under its id.
    for (const { thread, frame } of this.#requests.values()) if (thread === stored.id) client.send(frame);
    return { ...this.#opened(stored) as object, collaborationMode: null, initialTurnsPage };
  }

  #settings(stored: Stored, params: Params): void {
    if (params["approvalPolicy"]) stored.approvalPolicy = params["approvalPolicy"];
    const full = params["sandbox"] === "danger-full-access" ||
      params["permissions"] === ":danger-full-access";
    if (full) stored.sandbox = { type: "dangerFullAccess" };
    if (params["permissions"] === ":workspace") {
      stored.sandbox = { type: "workspaceWrite", writableRoots: [] };
    }
    if (params["sandboxPolicy"]) stored.sandbox = params["sandboxPolicy"] as Record<string, unknown>;
    if (params["model"]) stored.model = String(params["model"]);
  }

  #opened(stored: Stored): unknown {
    const { cwd, model, approvalPolicy, sandbox } = stored;
    return { thread: this.#show(stored), model, cwd, approvalPolicy, sandbox, activePermissionProfile: null };
  }

  #show(stored: Stored): unknown {
    const { id, cwd, name, createdAt, model, turns } = stored;
    const [first] = turns[0]?.items ?? [];
    const preview = first === undefined ? "" : textOf(first["content"] as Input[]);
    const status = this.#status(id);
    return {
      id,
      cwd,
      name,
      createdAt,
      updatedAt: createdAt,
      model,
      preview,
      path: `/stub/${stored.archived ? "archived_sessions" : "sessions"}/rollout-${id}.jsonl`,
      status,
      source: "vscode",
      turns: [],
    };
  }

  #status(id: string): unknown {
    const loaded = this.#loaded.get(id);
    if (loaded === undefined) return { type: "notLoaded" };
    if (loaded.interrupt !== null) return { type: "active", activeFlags: loaded.flags };
    return { type: loaded.failed ? "systemError" : "idle" };
  }

  #setGoal(stored: Stored, params: Params): unknown {
    const goal = stored.goal ?? {
      threadId: stored.id,
      objective: "",
      status: "active",
      tokenBudget: null,
      tokensUsed: 0,
      timeUsedSeconds: 0,
      createdAt: now(),
      updatedAt: now(),
    };
    if (params["objective"] !== undefined) goal.objective = String(params["objective"]);
    if (params["tokenBudget"] !== undefined) goal.tokenBudget = params["tokenBudget"] as number | null;
    goal.status = String(params["status"] ?? "active");
    stored.goal = goal;
    this.#save();
    this.#toSubscribers(stored.id, "thread/goal/updated", { threadId: stored.id, turnId: null, goal });
    if (goal.status === "active" && this.#loaded.has(stored.id) && this.#running(stored.id) === null) {
      this.#turn(stored, { input: [] }, false);
    }
    return { goal };
  }

  #drain(stored: Stored): void {
    const loaded = this.#loaded.get(stored.id);
    if (loaded === undefined || loaded.queueHeld || this.#running(stored.id) !== null) return;
    const next = stored.queue.shift();
    if (next === undefined) return;
    this.#queueChanged(stored.id);
    this.#turn(stored, { ...next }, true);
  }

  #queueChanged(id: string): void {
    this.#save();
    this.#toSubscribers(id, "thread/queue/changed", { threadId: id });
  }

  #turn(stored: Stored, params: Params, isFromPerson: boolean): StubTurn {
    const loaded = this.#loadedOr(stored.id);
    this.#settings(stored, params);
    const input = params["input"] as Input[];
    const message: UserMessage = {
      type: "userMessage",
      id: crypto.randomUUID(),
      clientId: params["clientUserMessageId"] ?? null,
      content: input,
    };
    const running = this.#running(stored.id);
    if (running !== null) {
      this.#item(stored.id, running, message);
      return running;
    }
    const id = timeOrderedId();
    const turn: StubTurn = {
      id,
      rootTurnId: id,
      status: "inProgress",
      items: [],
      itemsView: "full",
      error: null,
      startedAt: now(),
      completedAt: null,
      durationMs: null,
    };
    stored.turns.push(turn);
    loaded.failed = false;
    loaded.queueHeld = false;
    void this.#play(stored, turn, isFromPerson ? message : null);
    return { ...turn, items: [] };
  }

  async #play(stored: Stored, turn: StubTurn, message: UserMessage | null): Promise<void> {
    const { id } = stored;
    const loaded = this.#loaded.get(id)!;
    // The answer to whoever started it goes first; the real one then takes some ms, too.
    await (this.lagMs === 0 ? Promise.resolve() : sleep(this.lagMs));
    const interruption = Promise.withResolvers<"interrupted">();
    const interrupted = interruption.promise;
    loaded.interrupt = () => interruption.resolve("interrupted");
    this.#statusChanged(id);
    this.#toSubscribers(id, "turn/started", { threadId: id, turn: { ...turn, items: [] } });
    if (message !== null) this.#item(id, turn, message);
    const text = message === null ? stored.goal?.objective ?? "" : textOf(message.content);
    const [, verb = "", args = ""] = /STUB:(\w+)(?: ([^\n]*))?/.exec(text) ?? [];
    const [first = "", rest = ""] = args.split(" ", 2);
    const error = (word: string, willRetry: boolean) => {
      const said = { message: `stub: ${word}`, codexErrorInfo: word, additionalDetails: null };
      this.#toSubscribers(id, "error", { threadId: id, turnId: turn.id, error: said, willRetry });
      return said;
    };
    let reply = verb === "long" ? "x".repeat(Number(first)) : `REPLY: ${text}`;
    let outcome: "completed" | "interrupted" | "failed" = "completed";
    const held = async (gate: string) => {
      outcome = await Promise.race([this.#gate(gate).promise.then(() => "completed" as const), interrupted]);
    };
    switch (verb) {
      case "hold":
        await held(first);
        break;
      case "drop":
        this.dropConnections();
        await held(first);
        break;
      case "retry": {
        error(rest || "serverOverloaded", true);
        const again = setInterval(() => error(rest || "serverOverloaded", true), RETRY_MS);
        await held(first);
        clearInterval(again);
        break;
      }
      case "fail":
        turn.error = error(first, false);
        outcome = "failed";
        break;
      case "exit":
        Deno.exit(9);
        break;
      case "approve": {
        const decision = await this.#approval(id, turn.id, args, interrupted);
        reply = `REPLY: ${decision}`;
        if (decision === "cancel" || decision === "interrupted") outcome = "interrupted";
      }
    }
    if (outcome === "completed") {
      this.#item(id, turn, { type: "agentMessage", id: crypto.randomUUID(), text: reply });
    }
    if (!this.#loaded.has(id) && outcome !== "interrupted") return;
    loaded.interrupt = null;
    loaded.failed = outcome === "failed";
    this.#statusChanged(id);
    if (verb === "flicker") await this.#gate(first).promise;
    turn.status = outcome;
    turn.completedAt = now();
    this.#save();
    const items = turn.items.filter(({ type }) => type === "agentMessage").slice(-1);
    const shown = { ...turn, items: outcome === "interrupted" ? [] : items, itemsView: "summary" };
    this.#toSubscribers(id, "turn/completed", { threadId: id, turn: shown });
    if (outcome === "interrupted") return;
    this.#drain(stored);
    this.#continueGoal(stored, turn, outcome);
  }

  /** `STUB:goal n`: complete in its nth turn. Others use up their budget. */
  #continueGoal(stored: Stored, turn: StubTurn, outcome: "completed" | "failed"): void {
    const { goal } = stored;
    if (goal === null || goal.status !== "active" || this.#running(stored.id) !== null) return;
    goal.tokensUsed += 25;
    const turns = Number(/STUB:goal (\d+)/.exec(goal.objective)?.[1] ?? Infinity);
    if (outcome === "failed") goal.status = "blocked";
    else if (goal.tokensUsed >= turns * 25) goal.status = "complete";
    else if (goal.tokenBudget !== null && goal.tokensUsed >= goal.tokenBudget) goal.status = "budgetLimited";
    this.#save();
    this.#toSubscribers(stored.id, "thread/goal/updated", { threadId: stored.id, turnId: turn.id, goal });
    if (goal.status === "active") this.#turn(stored, { input: [] }, false);
  }

  async #approval(
    id: string,
    turnId: string,
    command: string,
    interrupted: Promise<"interrupted">,
  ): Promise<string> {
    const loaded = this.#loaded.get(id)!;
    const number = this.#lastRequest++;
    const item = { type: "commandExecution", id: `call_${number}`, command, status: "inProgress" };
    this.#toSubscribers(id, "item/started", { threadId: id, turnId, item });
    const params = {
      kind: "command",
      threadId: id,
      turnId,
      itemId: item.id,
      startedAtMs: Date.now(),
      environmentId: "local",
      reason: "stub",
      command,
      cwd: this.#threads.get(id)!.cwd,
      availableDecisions: ["accept", "cancel"],
    };
    const frame = { method: "item/commandExecution/requestApproval", id: number, params };
    const answered = Promise.withResolvers<unknown>();
    this.#requests.set(number, { thread: id, frame, answered });
    loaded.flags = ["waitingOnApproval"];
    this.#statusChanged(id);
    for (const client of loaded.subscribers) client.send(frame);
    const answer = await Promise.race([answered.promise, interrupted]);
    this.#requests.delete(number);
    loaded.flags = [];
    this.#toSubscribers(id, "serverRequest/resolved", { threadId: id, requestId: number });
    this.#statusChanged(id);
    return answer === "interrupted" ? answer : String((answer as { decision?: unknown } | null)?.decision);
  }

  #item(id: string, turn: StubTurn, item: Record<string, unknown>): void {
    turn.items.push(item);
    this.#save();
    for (const method of ["item/started", "item/completed"]) {
      this.#toSubscribers(id, method, { threadId: id, turnId: turn.id, item });
    }
  }

  #statusChanged(id: string): void {
    this.#toAll("thread/status/changed", { threadId: id, status: this.#status(id) });
  }

  readonly #toAll: Emit = (method, params) => {
    for (const client of this.clients) client.notify(method, params);
  };

  #toSubscribers(id: string, method: string, params: unknown): void {
    for (const client of this.#loaded.get(id)?.subscribers ?? []) client.notify(method, params);
  }

  #save(): void {
    const text = JSON.stringify([...this.#threads.values()]);
    Deno.writeTextFileSync(`${this.file}.partial`, text);
    Deno.renameSync(`${this.file}.partial`, this.file);
  }
}

function readThreads(file: string): Stored[] {
  try {
    return JSON.parse(Deno.readTextFileSync(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
