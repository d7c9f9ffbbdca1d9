/** The real gateway as a process of a sandbox, and callers that speak HTTP to it as they like. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { RunSettings, Sandbox } from "./harness.ts";
import type { RunningCommand } from "./running_command.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

export interface Asked {
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

// deno-lint-ignore no-explicit-any
type Json = any;

export class TestGateway implements AsyncDisposable {
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

  constructor(readonly sandbox: Sandbox, readonly process: RunningCommand, readonly port: number) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
  get socketFolder(): string {
    return join(this.sandbox.home, ".dev-sessions", "gateway");
  }
  get socket(): string {
    return join(this.socketFolder, "gateway.sock");
  }
  get master(): string {
    return Deno.readTextFileSync(join(this.sandbox.home, ".dev-sessions", "gateway-token")).trim();
  }
  /** The lines of its log. */
  get log(): Json[] {
    return this.process.stderr.split("\n").filter((line) => line.startsWith("{")).map((line) =>
      JSON.parse(line)
    );
  }

  async fetch(path: string, init: RequestInit & { token?: string | null } = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const token = init.token === undefined ? this.master : init.token;
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
    return await fetch(this.url + path, { ...init, headers, client: this.#client });
  }

  /** `POST /v1/<operation>` to its end. */
  async ask(operation: string, body: unknown = {}, asked: Asked = {}): Promise<Answer> {
    const response = await this.fetch(`/v1/${operation}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...asked,
    });
    return await answerOf(response);
  }

  /** The result of a call. @throws AssertionError when there is none. */
  async result(operation: string, body: unknown = {}, asked: Asked = {}): Promise<Json> {
    const { status, json, text } = await this.ask(operation, body, asked);
    strictEqual(status, 200, text);
    strictEqual("error" in json, false, text);
    return json.result;
  }

  /** A stream under way, line by line. */
  async stream(operation: string, body: unknown, asked: Asked = {}): Promise<TestStream> {
    const response = await this.fetch(`/v1/${operation}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...asked,
    });
    return new TestStream(response);
  }

  /** Makes a token; its text and its id. */
  async token(...args: string[]): Promise<{ readonly token: string; readonly id: string }> {
    const made = await this.sandbox.run(["gateway", "token", "create", "--json", ...args]);
    strictEqual(made.code, 0, made.stderr);
    return JSON.parse(made.stdout);
  }

  /** Sends bytes as they are and returns all that comes back until the connection ends. */
  async raw(text: string | Uint8Array): Promise<string> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    return await exchange(connection, text);
  }

  async stop(): Promise<{ readonly code: number; readonly stderr: string }> {
    this.process.kill("SIGTERM");
    return await this.process.doneWithin(40_000, "the gateway's end");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.process.end();
  }
}

/** One answer that comes line by line. */
export class TestStream {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(readonly response: Response) {
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next line that holds something; null at the end. */
  async next(): Promise<Json> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        if (line.trim() === "") continue;
        return line.startsWith("{") ? JSON.parse(line) : line;
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.#text += value;
    }
  }

  async rest(): Promise<Json[]> {
    const lines: Json[] = [];
    for (let line = await this.next(); line !== null; line = await this.next()) lines.push(line);
    return lines;
  }

  async hangUp(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}

export async function exchange(connection: Deno.Conn, text: string | Uint8Array): Promise<string> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  try {
    for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
  } catch {
    // It has answered before it had everything.
  }
  const decoder = new TextDecoder();
  const block = new Uint8Array(64 * 1024);
  let answer = "";
  try {
    for (let count = await connection.read(block); count !== null; count = await connection.read(block)) {
      answer += decoder.decode(block.subarray(0, count), { stream: true });
    }
  } catch {
    // Cut off: what came until then counts.
  }
  return answer;
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  let json: Json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // No JSON: the caller looks at the text.
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** Starts it, without `--port` on a free one, and waits until it listens. @throws Error with what it said when it does not. */
export async function startGateway(
  sandbox: Sandbox,
  args: readonly string[] = [],
  settings: RunSettings = {},
): Promise<TestGateway> {
  const anyPort = args.includes("--port") ? [] : ["--port", "0"];
  const process = sandbox.start(["gateway", ...anyPort, ...args], settings);
  let ended = false;
  void process.child.status.then(() => ended = true);
  const port = await sandbox.eventually(() => {
    const found = /^Gateway listening on port (\d+)$/m.exec(process.stdout)?.[1];
    return found !== undefined ? Number(found) : ended ? -1 : 0;
  }, { what: "the gateway listens", timeoutMs: 30_000 });
  if (port === -1) throw new Error(`The gateway did not start: ${(await process.done()).stderr}`);
  return new TestGateway(sandbox, process, port);
}
