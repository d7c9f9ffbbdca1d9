/** An OpenAI Responses API on loopback whose answers follow the `SCRIPT:<verb> <args>` in the newest prompt. */

import { type Body, newestPrompt, type Output, type Reply, replyTo, toolNames } from "./codex_replies.ts";
import { aborted, event, Gates, type Place, Reading, serveModel, sleep } from "./model_server.ts";

/** One request as the model received it. */
export interface RecordedRequest {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly model: string | null;
  /** Codex's thread id; null when the request names none. */
  readonly thread: string | null;
  /** The newest text of a person, byte for byte, or a goal's objective. */
  readonly prompt: string;
  readonly isGoal: boolean;
  /** Results of tools since that text. */
  readonly results: readonly string[];
  readonly tools: readonly string[];
  readonly input: readonly unknown[];
}

export interface CodexModel extends AsyncDisposable {
  /** With `/v1`. */
  readonly url: string;
  requests(): readonly RecordedRequest[];
  /** Every prompt of a person, once per turn that it started or went into, in the order of arrival. */
  prompts(thread?: string): readonly string[];
  /** Lets the replies held at this gate go on, also those that reach it later. */
  open(name: string): void;
  /** Resolves when a reply is held at this gate (at once when one has been). */
  reached(name: string): Promise<void>;
  close(): Promise<void>;
}

const TEXT_CHUNK_CHARS = 4000;
const STREAM_PARTS = 20;
const USAGE = {
  input_tokens: 20,
  input_tokens_details: { cached_tokens: 5 },
  output_tokens: 10,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 30,
};

async function* spoken(
  text: string,
  id: string,
  index: number,
  reply: Reply,
  gates: Gates,
  signal: AbortSignal,
) {
  const item = { type: "message", role: "assistant", id };
  yield event("response.output_item.added", { output_index: index, item: { ...item, content: [] } });
  const parts = reply.streamMs !== undefined ? STREAM_PARTS : reply.streamGate !== undefined ? 2 : 0;
  const step = parts === 0 ? TEXT_CHUNK_CHARS : Math.max(1, Math.ceil(text.length / parts));
  for (let at = 0; at < text.length; at += step) {
    if (at > 0 && reply.streamGate !== undefined) await gates.pass(reply.streamGate, signal);
    if (signal.aborted) return;
    const delta = text.slice(at, at + step);
    yield event("response.output_text.delta", { item_id: id, output_index: index, content_index: 0, delta });
    if (reply.streamMs !== undefined) await sleep(reply.streamMs / STREAM_PARTS, signal);
  }
  if (reply.cut) return;
  const content = [{ type: "output_text", text }];
  yield event("response.output_item.done", { output_index: index, item: { ...item, content } });
}

function called(output: Exclude<Output, { type: "say" }>, id: string, index: number): string {
  const call = { id: `item_${id}`, call_id: `call_${id}`, name: output.name };
  const [item, open] = output.type === "call"
    ? [{ type: "function_call", ...call, arguments: JSON.stringify(output.arguments) }, { arguments: "" }]
    : [
      {
        type: "custom_tool_call",
        ...call,
        ...(output.name === "exec" ? { namespace: "functions" } : {}),
        input: output.input,
        status: "completed",
      },
      { input: "" },
    ];
  return event("response.output_item.added", { output_index: index, item: { ...item, ...open } }) +
    event("response.output_item.done", { output_index: index, item });
}

async function* events(reply: Reply, number: number, gates: Gates, signal: AbortSignal) {
  const response = `resp_${number}`;
  yield event("response.created", { response: { id: response } });
  if (reply.failed !== undefined) {
    const error = { code: reply.failed, message: `scripted ${reply.failed}` };
    yield event("response.failed", { response: { id: response, status: "failed", error } });
    return;
  }
  for (const [index, output] of reply.outputs.entries()) {
    if (output.type === "say") yield* spoken(output.text, `msg_${number}`, index, reply, gates, signal);
    else yield called(output, `${number}_${index}`, index);
  }
  if (!reply.cut) yield event("response.completed", { response: { id: response, usage: USAGE } });
}

/**
 * Starts the model in this process. `POST <url>/control/open/<gate>` and `GET <url>/control/requests` (without `/v1`)
 * do over HTTP what the methods do.
 */
export async function startCodexModel(options: Place = {}): Promise<CodexModel> {
  const recorded: RecordedRequest[] = [];
  const gates = new Gates();
  /** Per thread and prompt: how many requests came that no tool result belongs to. */
  const rounds = new Map<string, number>();

  const answer = async (request: Request, path: string, closing: AbortSignal): Promise<Response> => {
    const text = await request.text();
    if (path.endsWith("/models")) return Response.json({ object: "list", data: [] });
    if (!path.endsWith("/responses")) return Response.json({ error: { message: "no" } }, { status: 404 });
    const body = JSON.parse(text) as Body;
    const newest = newestPrompt(body.input ?? []);
    const thread = body.prompt_cache_key ?? null;
    recorded.push({
      at: new Date().toISOString(),
      model: body.model ?? null,
      thread,
      ...newest,
      tools: toolNames(body),
      input: body.input ?? [],
    });
    const number = recorded.length;
    const key = JSON.stringify([thread, newest.prompt]);
    const round = (rounds.get(key) ?? 0) + (newest.results.length === 0 ? 1 : 0);
    rounds.set(key, round);
    const reply = replyTo(newest, toolNames(body), round);
    if (reply.failure !== undefined && !(reply.once && round > 1)) {
      return Response.json({ error: reply.failure.error }, { status: reply.failure.status });
    }
    const reading = new Reading(closing);
    const { signal } = reading;
    if (reply.hang) await aborted(signal);
    if (reply.gate !== undefined) await gates.pass(reply.gate, signal);
    const shown = reply.failure === undefined
      ? reply
      : { outputs: [{ type: "say" as const, text: "REPLY: at last" }] };
    return reading.stream(events(shown, number, gates, signal), { cut: reply.cut ?? false });
  };

  const server = await serveModel(options, gates, { requests: () => recorded }, answer);
  const prompts = (thread?: string) =>
    recorded.filter((request) =>
      !request.isGoal && request.results.length === 0 && (thread === undefined || request.thread === thread)
    ).map(({ prompt }) => prompt);
  return {
    url: `${server.url}/v1`,
    requests: () => recorded,
    prompts,
    open: (name) => gates.open(name),
    reached: (name) => gates.reached(name),
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  };
}

if (import.meta.main) {
  const [port] = Deno.args;
  const model = await startCodexModel(port === undefined ? {} : { port: Number(port) });
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ url: model.url }) + "\n"));
}
