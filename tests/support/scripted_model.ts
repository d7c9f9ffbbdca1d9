/** An Anthropic Messages API on loopback whose answers follow the `SCRIPT:<verb> <args>` in the newest prompt. */

import { event, Gates, type Place, Reading, serveModel, sleep } from "./model_server.ts";
import {
  type Body,
  type Newest,
  newestTexts,
  newId,
  type Reply,
  replyTo,
  say,
  STREAM_CHUNKS,
} from "./scripted_replies.ts";

/** One request as the model received it. */
export interface RecordedRequest {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly path: string;
  readonly model: string | null;
  readonly stream: boolean;
  /** Names of the offered tools; a request without tools is an auxiliary one (titles, summaries). */
  readonly tools: readonly string[];
  /** Claude Code's session id; null when the request names none. */
  readonly session: string | null;
  /** The newest user text with system-reminder blocks removed, byte for byte; null when there is none. */
  readonly prompt: string | null;
  /** All texts of people in that message: several when they were queued or an earlier one was interrupted. */
  readonly texts: readonly string[];
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
  lastPromptText(session?: string): string | null;
  /** Every prompt of a person once, in the order of arrival, also those absorbed into a running turn. */
  prompts(session?: string): readonly string[];
  /** Lets the replies held at this gate go on, also those that reach it later. */
  open(name: string): void;
  /** Resolves when a reply is held at this gate (at once when one has been). */
  reached(name: string): Promise<void>;
  close(): Promise<void>;
}

const TEXT_CHUNK_CHARS = 4000;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

async function* events(
  reply: Reply,
  body: Body,
  usage: unknown,
  gates: Gates,
  signal: AbortSignal,
): AsyncGenerator<string> {
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
export async function startScriptedModel(
  options: Place & { readonly log?: string } = {},
): Promise<ScriptedModel> {
  const recorded: RecordedRequest[] = [];
  const heard: { readonly session: string | null; readonly text: string }[] = [];
  const seen = new Set<string>();
  const delegated = new Set<string>();
  const gates = new Gates();

  const prompts = (session?: string): string[] =>
    heard.filter((entry) => session === undefined || entry.session === session).map((entry) => entry.text);

  const listen = (session: string | null, { texts, index }: Newest) => {
    for (const [position, text] of texts.entries()) {
      if (text.startsWith("<task-notification>") || delegated.has(text)) continue;
      const key = JSON.stringify([session, index, position, text]);
      if (seen.has(key)) continue;
      seen.add(key);
      heard.push({ session, text });
    }
  };

  const answer = async (request: Request, path: string, closing: AbortSignal): Promise<Response> => {
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
    const newest = newestTexts(messages);
    const { texts, rounds } = newest;
    const text = texts.at(-1) ?? null;
    const session = body.metadata?.user_id?.match(UUID)?.at(-1) ?? null;
    if (tools.length > 0) listen(session, newest);
    const entry: RecordedRequest = {
      at: new Date().toISOString(),
      path,
      model: body.model ?? null,
      stream: body.stream === true,
      tools,
      session,
      prompt: text,
      texts,
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
    const reading = new Reading(closing);
    const { signal } = reading;
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
    return reading.stream(events(reply, body, usage, gates, signal), { headers });
  };

  const tells = { requests: () => recorded, prompt: () => prompts().at(-1) ?? null };
  const server = await serveModel(options, gates, tells, answer);
  return {
    url: server.url,
    requests: () => recorded,
    lastPromptText: (session) => prompts(session).at(-1) ?? null,
    prompts,
    open: (name) => gates.open(name),
    reached: (name) => gates.reached(name),
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  };
}

if (import.meta.main) {
  const [port, log] = Deno.args;
  const model = await startScriptedModel({
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(log === undefined ? {} : { log }),
  });
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ url: model.url }) + "\n"));
}
