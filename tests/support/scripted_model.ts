/** An Anthropic Messages API on loopback whose answers follow the `SCRIPT:<verb> <args>` in the newest prompt. */

/** One request as the model received it. */
export interface RecordedRequest {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly path: string;
  readonly model: string | null;
  readonly stream: boolean;
  /** Names of the offered tools; a request without tools is an auxiliary one (titles, summaries). */
  readonly tools: readonly string[];
  /** The newest user text with system-reminder blocks removed, byte for byte; null when there is none. */
  readonly prompt: string | null;
  /** How many tool results came after that text. */
  readonly rounds: number;
  /** The last message of the request as it was sent. */
  readonly lastMessage: unknown;
  readonly messages: readonly unknown[];
  readonly system: unknown;
}

export interface ScriptedModel extends AsyncDisposable {
  readonly url: string;
  requests(): readonly RecordedRequest[];
  /** The newest prompt of a person (no subagent's, no task notification); null before the first. */
  lastPromptText(): string | null;
  /** The distinct consecutive prompts of people, oldest first. */
  prompts(): readonly string[];
  /** Lets the replies held at this gate go on, also those that reach it later. */
  open(name: string): void;
  /** Resolves when a reply is held at this gate (at once when one has been). */
  reached(name: string): Promise<void>;
  close(): Promise<void>;
}

type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown };

interface Reply {
  readonly blocks: readonly Block[];
  readonly stop: string;
  /** Held here before the headers. */
  readonly gate?: string;
  /** Held here after the first half of the text. */
  readonly streamGate?: string;
  readonly headerDelayMs?: number;
  readonly streamMs?: number;
  readonly status?: number;
  readonly streamError?: boolean;
}

interface Body {
  readonly model?: string;
  readonly stream?: boolean;
  readonly system?: unknown;
  readonly tools?: readonly { readonly name?: string }[];
  readonly messages?: readonly Incoming[];
}
interface Incoming {
  readonly role: string;
  readonly content: string | readonly { readonly type: string; readonly text?: string }[];
}

const STREAM_CHUNKS = 20;
const PROMPT_START_CHARS = 200;
const TEXT_CHUNK_CHARS = 4000;
const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};
const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>\n?/g;
const ONE_QUESTION = {
  question: "Which colour?",
  header: "Colour",
  multiSelect: false,
  options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
};
const TWO_QUESTIONS = [ONE_QUESTION, {
  question: "Which toppings?",
  header: "Toppings",
  multiSelect: true,
  options: ["Ham", "Olives", "Corn"].map((label) => ({ label, description: label.toLowerCase() })),
}];

let counter = 0;
function newId(prefix: string): string {
  counter++;
  return `${prefix}_${String(counter).padStart(6, "0")}${
    crypto.randomUUID().replaceAll("-", "").slice(0, 16)
  }`;
}

/** The text a person wrote in this message, or null when it holds only reminders and tool results. */
function personText(message: Incoming): string | null {
  if (message.role !== "user") return null;
  const texts = typeof message.content === "string"
    ? [message.content]
    : message.content.flatMap((block) => block.type === "text" ? [block.text ?? ""] : []);
  const kept = texts.flatMap((text) => {
    const rest = text.replace(REMINDER, "");
    return rest !== text && rest.trim() === "" ? [] : [rest];
  });
  return kept.length === 0 ? null : kept.join("\n");
}

/** The newest prompt and how many tool rounds were answered since. */
export function newestPrompt(messages: readonly Incoming[]): { text: string | null; rounds: number } {
  let rounds = 0;
  for (const message of [...messages].reverse()) {
    if (message.role !== "user") continue;
    const hasResult = typeof message.content !== "string" &&
      message.content.some((block) => block.type === "tool_result");
    const text = personText(message);
    if (hasResult) rounds++;
    if (text !== null && (!hasResult || /SCRIPT:\w/.test(text))) {
      return { text, rounds: hasResult ? 0 : rounds };
    }
  }
  return { text: null, rounds };
}

function directiveOf(text: string): { verb: string; args: string } {
  const found = [...text.matchAll(/SCRIPT:(\w+)(?: ([^\n]*))?/g)].at(-1);
  return { verb: found?.[1] ?? "", args: found?.[2] ?? "" };
}

const say = (text: string, stop = "end_turn"): Reply => ({ blocks: [{ type: "text", text }], stop });
const use = (name: string, input: unknown, before?: string): Reply => ({
  blocks: [
    ...(before === undefined ? [] : [{ type: "text" as const, text: before }]),
    { type: "tool_use", id: newId("toolu"), name, input },
  ],
  stop: "tool_use",
});
const bash = (command: string, extra: Record<string, unknown> = {}) => ({
  command,
  description: "Run a scripted command",
  ...extra,
});

/** What the script answers. `rounds` counts the tool results since the prompt; pure but for fresh ids. */
function replyTo(prompt: string, rounds: number, toolNames: readonly string[], lastMessage: unknown): Reply {
  const { verb, args } = directiveOf(prompt);
  const [first = "", ...others] = args.split(" ");
  const rest = others.join(" ");
  const seconds = Number(first) || 0;
  const agentTool = toolNames.includes("Agent") ? "Agent" : "Task";
  const delegate = (background: boolean) =>
    use(agentTool, {
      description: "scripted task",
      prompt: (args || "plain hello").replace(/^(\w+)/, "SCRIPT:$1"),
      subagent_type: "general-purpose",
      run_in_background: background,
    });
  const afterTool = say(`DONE after tool: ${JSON.stringify(lastMessage).slice(0, PROMPT_START_CHARS)}`);
  const errorStatus = /^err(\d{3})$/.exec(verb)?.[1];
  if (errorStatus !== undefined) return { ...say(""), status: Number(errorStatus) };
  if (verb === "multi") {
    return rounds < seconds
      ? use("Bash", bash(`sleep ${rest || 0}; echo round ${rounds + 1}`), `round ${rounds + 1}`)
      : say(`REPLY: ${rounds} rounds done`);
  }
  if (verb === "toolgate") {
    return rounds === 0
      ? use("Bash", bash(rest || "true"), "A command first.")
      : { ...say(`REPLY: gate ${first} opened after the tool`), gate: first };
  }
  if (verb === "gatetool") {
    return rounds === 0 ? { ...use("Bash", bash(rest || "true")), gate: first } : afterTool;
  }
  if (rounds > 0 && verb !== "plain" && verb !== "") return afterTool;
  switch (verb) {
    case "plain":
      return say(`REPLY: ${args} [length ${prompt.length}]`);
    case "slow":
      return {
        ...say(Array.from({ length: STREAM_CHUNKS }, (_, i) => `slow${i} `).join("")),
        streamMs: seconds * 1000,
      };
    case "hang":
      return { ...say("REPLY: after the hang"), headerDelayMs: seconds * 1000 };
    case "gate":
      return { ...say(`REPLY: gate ${first} opened`), gate: first };
    case "streamgate":
      return { ...say(`REPLY: before gate ${first}; after gate ${first}`), streamGate: first };
    case "bash":
      return use("Bash", bash(args), "I run a command.");
    case "bgbash":
      return use("Bash", bash(args, { run_in_background: true }));
    case "write":
      return use("Write", { file_path: args.trim(), content: "written by the script\n" });
    case "ask":
      return use("AskUserQuestion", { questions: [ONE_QUESTION] });
    case "ask2":
      return use("AskUserQuestion", { questions: TWO_QUESTIONS });
    case "plan":
      return use("ExitPlanMode", { plan: "# Plan\n1. first\n2. second\n" });
    case "agent":
      return delegate(false);
    case "bgagent":
      return delegate(true);
    case "tool":
      return use(first, JSON.parse(rest || "{}"));
    case "long":
      return say(`REPLY: ${Array.from({ length: seconds || 20_000 }, (_, i) => `word${i}`).join(" ")}`);
    case "maxtok":
      return say("REPLY: cut off", "max_tokens");
    case "refuse":
      return say("REPLY: no", "refusal");
    case "sseerr":
      return { ...say(""), streamError: true };
    default:
      return say(`REPLY: ${prompt.trim().slice(0, PROMPT_START_CHARS)} [length ${prompt.length}]`);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

class Gates {
  readonly #gates = new Map<
    string,
    { reached: PromiseWithResolvers<void>; opened: PromiseWithResolvers<void> }
  >();
  of(name: string) {
    let gate = this.#gates.get(name);
    if (gate === undefined) {
      gate = { reached: Promise.withResolvers<void>(), opened: Promise.withResolvers<void>() };
      this.#gates.set(name, gate);
    }
    return gate;
  }
  async pass(name: string, signal: AbortSignal): Promise<void> {
    const gate = this.of(name);
    gate.reached.resolve();
    if (signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    const abort = () => aborted.resolve();
    signal.addEventListener("abort", abort);
    await Promise.race([gate.opened.promise, aborted.promise]);
    signal.removeEventListener("abort", abort);
  }
}

async function* events(
  reply: Reply,
  body: Body,
  usage: unknown,
  gates: Gates,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const event = (type: string, rest: Record<string, unknown>) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  yield event("message_start", { message: { ...envelope(body, usage), content: [], stop_reason: null } });
  if (reply.streamError) {
    yield event("error", { error: { type: "overloaded_error", message: "Overloaded" } });
    return;
  }
  for (const [index, block] of reply.blocks.entries()) {
    if (block.type === "tool_use") {
      yield event("content_block_start", { index, content_block: { ...block, input: {} } });
      const delta = { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
      yield event("content_block_delta", { index, delta });
    } else {
      yield event("content_block_start", { index, content_block: { type: "text", text: "" } });
      const parts = reply.streamMs !== undefined ? STREAM_CHUNKS : reply.streamGate !== undefined ? 2 : 0;
      const step = parts === 0 ? TEXT_CHUNK_CHARS : Math.max(1, Math.ceil(block.text.length / parts));
      for (let at = 0; at < block.text.length; at += step) {
        if (at > 0 && reply.streamGate !== undefined) await gates.pass(reply.streamGate, signal);
        const delta = { type: "text_delta", text: block.text.slice(at, at + step) };
        yield event("content_block_delta", { index, delta });
        if (reply.streamMs !== undefined) await sleep(reply.streamMs / STREAM_CHUNKS, signal);
        if (signal.aborted) return;
      }
    }
    yield event("content_block_stop", { index });
  }
  const delta = { stop_reason: reply.stop, stop_sequence: null };
  yield event("message_delta", { delta, usage: { output_tokens: 42 } });
  yield event("message_stop", {});
}

function envelope(body: Body, usage: unknown): Record<string, unknown> {
  return {
    id: newId("msg"),
    type: "message",
    role: "assistant",
    model: body.model ?? null,
    stop_sequence: null,
    usage,
  };
}

/**
 * Starts the model in this process. `log` is a file that gets each request as one JSON line.
 * `POST <url>/control/open/<gate>`, `GET <url>/control/requests` and `GET <url>/control/prompt` do over HTTP what the
 * methods do.
 */
export function startScriptedModel(
  options: { readonly port?: number; readonly log?: string } = {},
): Promise<ScriptedModel> {
  const recorded: RecordedRequest[] = [];
  const delegated = new Set<string>();
  const gates = new Gates();
  const closing = new AbortController();

  const prompts = (): string[] => {
    const found = recorded.flatMap((request) => {
      const prompt = request.prompt;
      if (prompt === null || request.tools.length === 0 || delegated.has(prompt)) return [];
      return prompt.startsWith("<task-notification>") ? [] : [{ prompt, rounds: request.rounds }];
    });
    return found.filter((entry, i) => entry.rounds === 0 || entry.prompt !== found[i - 1]?.prompt)
      .map((entry) => entry.prompt);
  };

  const control = (path: string): Response => {
    const [, verb = "", name = ""] = /^\/control\/(\w+)(?:\/(.*))?$/.exec(path) ?? [];
    if (verb === "open") gates.of(decodeURIComponent(name)).opened.resolve();
    else if (verb === "requests") return Response.json(recorded);
    else if (verb === "prompt") return Response.json(prompts().at(-1) ?? null);
    else return new Response("no such control\n", { status: 404 });
    return new Response("ok\n");
  };

  const handle = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname;
    if (path.startsWith("/control/")) return control(path);
    const failure = (status: number) => {
      const type = ERROR_TYPES[status] ?? "api_error";
      const body = { type: "error", error: { type, message: `scripted ${type}` } };
      return Response.json(body, { status, headers: { "request-id": newId("req") } });
    };
    const raw = await request.text();
    if (path.endsWith("/count_tokens")) return Response.json({ input_tokens: Math.ceil(raw.length / 4) });
    if (!path.startsWith("/v1/messages")) return failure(404);
    const body = JSON.parse(raw) as Body;
    const messages = body.messages ?? [];
    const tools = (body.tools ?? []).map((tool) => tool.name ?? "");
    const { text, rounds } = newestPrompt(messages);
    const entry: RecordedRequest = {
      at: new Date().toISOString(),
      path,
      model: body.model ?? null,
      stream: body.stream === true,
      tools,
      prompt: text,
      rounds,
      lastMessage: messages.at(-1) ?? null,
      messages,
      system: body.system ?? null,
    };
    recorded.push(entry);
    if (options.log !== undefined) {
      await Deno.writeTextFile(options.log, JSON.stringify(entry) + "\n", { append: true });
    }
    const reply = tools.length === 0
      ? say(
        /title/i.test(JSON.stringify(body.system ?? "")) ? '{"title":"Scripted title"}' : "scripted aside",
      )
      : replyTo(text ?? "", rounds, tools, entry.lastMessage);
    for (const block of reply.blocks) {
      if (block.type === "tool_use" && (block.name === "Agent" || block.name === "Task")) {
        delegated.add((block.input as { prompt: string }).prompt);
      }
    }
    if (reply.status !== undefined) return failure(reply.status);
    const gone = new AbortController();
    const signal = AbortSignal.any([closing.signal, gone.signal]);
    if (reply.headerDelayMs !== undefined) await sleep(reply.headerDelayMs, signal);
    if (reply.gate !== undefined) await gates.pass(reply.gate, signal);
    const usage = {
      input_tokens: Math.ceil(raw.length / 4),
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 5,
    };
    const headers = { "request-id": newId("req") };
    if (!entry.stream) {
      const message = { ...envelope(body, usage), content: reply.blocks, stop_reason: reply.stop };
      return Response.json(message, { headers });
    }
    const source = events(reply, body, usage, gates, signal);
    const encoder = new TextEncoder();
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await source.next();
        if (gone.signal.aborted) return;
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      cancel: () => gone.abort(),
    });
    return new Response(stream, { headers: { ...headers, "content-type": "text/event-stream" } });
  };

  const started = Promise.withResolvers<string>();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    onListen: ({ port }) => started.resolve(`http://127.0.0.1:${port}`),
  }, handle);
  const close = async () => {
    closing.abort();
    await server.shutdown();
  };
  return started.promise.then((url) => ({
    url,
    requests: () => recorded,
    lastPromptText: () => prompts().at(-1) ?? null,
    prompts,
    open: (name) => gates.of(name).opened.resolve(),
    reached: (name) => gates.of(name).reached.promise,
    close,
    [Symbol.asyncDispose]: close,
  }));
}

if (import.meta.main) {
  const [port, log] = Deno.args;
  const model = await startScriptedModel({
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(log === undefined ? {} : { log }),
  });
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ url: model.url }) + "\n"));
}
