/** The gateway under load, and fed with nonsense: nothing is lost, nothing piles up, and every answer is one. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { exchange, startGateway, type TestGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { randomText, seededRandom } from "../support/random_text.ts";
import { created, rows } from "../support/sandbox_state.ts";
import { REQUESTS } from "../support/wire_values.ts";

const MB = 1024 * 1024;
const WAITS = 200;
const SESSIONS = 4;
const FOLLOWERS = 5;
const PER_SECOND = 50;
const SECONDS = 60;
/** What may have grown between a warm gateway and its last second; it has answered thousands of requests meanwhile. */
const MAX_GROWTH_BYTES = 64 * MB;

const NONSENSE = 10_000;
const SEED = 20_261_122;
const AT_ONCE = 96;
const SLOW = 40;
/** Longer than the gateway waits for headers. */
const ANSWER_TIMEOUT_MS = 30_000;
/** Before half a request breaks off; whole ones are answered long before. */
const PATIENCE_MS = 2_000;

function residentBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) * 1024;
}

function descriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test(`${WAITS} waits at once and ${PER_SECOND} requests a second for a minute`, onLinux, async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const { pid } = gateway.process;
  const ids: string[] = [];
  for (let i = 0; i < SESSIONS; i++) ids.push(await created(sandbox));
  const gates = ids.map((id) => `${sandbox.root}/${id}.gate`);
  const receipts: string[] = [];
  for (const [index, id] of ids.entries()) {
    const sent = await gateway.result("send", { id, text: `SCRIPT:gate ${gates[index]}` });
    receipts.push(sent.receipt.receipt);
  }
  const quiet = descriptors(pid);
  const waits = await Promise.all(
    Array.from({ length: WAITS }, (_, index) => {
      const which = index % SESSIONS;
      const body = { ids: [ids[which]], receipt: receipts[which], timeoutMs: 600_000 };
      return gateway.stream("wait", body);
    }),
  );
  const followers = await Promise.all(
    Array.from({ length: FOLLOWERS }, () => gateway.stream("events", { ids: null, follow: true })),
  );
  const ended = waits.map((wait) => wait.rest());
  let over = 0;
  for (const end of ended) void end.then(() => over++);

  const answers = new Map<number, number>();
  const asked: Promise<void>[] = [];
  const ask = async (index: number) => {
    const id = ids[index % SESSIONS];
    const [operation, body] = [
      ["status", { id }],
      ["list", {}],
      ["lastMessages", { id }],
      ["inspect", { id }],
      ["status", { id, explain: true }],
    ][index % 5] as [string, unknown];
    const { status, json } = await gateway.ask(operation, body);
    ok("result" in json, JSON.stringify(json));
    answers.set(status, (answers.get(status) ?? 0) + 1);
  };
  let warm = 0;
  for (let second = 0; second < SECONDS; second++) {
    const begin = performance.now();
    for (let i = 0; i < PER_SECOND; i++) {
      asked.push(ask(second * PER_SECOND + i));
      const due = begin + (i + 1) * (1000 / PER_SECOND);
      const left = due - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
    if (second === SECONDS / 4) warm = residentBytes(pid);
  }
  await Promise.all(asked);
  const last = residentBytes(pid);
  deepStrictEqual([...answers], [[200, SECONDS * PER_SECOND]], "every request has its answer");
  strictEqual(over, 0, "no wait has ended before its turn has");
  ok(last - warm < MAX_GROWTH_BYTES, `${warm / MB} MB, then ${last / MB} MB`);

  for (const gate of gates) await Deno.writeTextFile(gate, "");
  for (const [index, lines] of (await Promise.all(ended)).entries()) {
    strictEqual(lines.length, 2, JSON.stringify(lines));
    deepStrictEqual(
      [lines[0].item.id, lines[0].item.outcome.outcome, lines[1]],
      [ids[index % SESSIONS], "completed", { end: true }],
    );
  }
  for (const follower of followers) {
    const completed = new Set<string>();
    while (completed.size < SESSIONS) {
      const line = await follower.next();
      ok(line !== null, "events have ended");
      if (line.item.body.type === "turn_completed") {
        ok(!completed.has(line.item.id), "told once");
        completed.add(line.item.id);
      }
    }
    await follower.hangUp();
  }
  await sandbox.eventually(() => descriptors(pid) <= quiet + 8, {
    what: `what the waits held is let go of: ${quiet} descriptors before`,
    timeoutMs: 30_000,
  });
  const complaints = gateway.log.filter(({ level }) => level === "error" || level === "warning");
  deepStrictEqual(complaints, []);
});

/** What came back, up to the end of the connection. */
interface Answered {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function parsedAnswer(text: string): Answered | null {
  if (text === "") return null;
  // After what says that the body may come.
  const answer = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  const end = answer.indexOf("\r\n\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(answer)?.[1]);
  ok(end !== -1 && status >= 200, `no answer: ${JSON.stringify(answer.slice(0, 200))}`);
  const head = answer.slice(0, end);
  const raw = answer.slice(end + 4);
  const isChunked = /^transfer-encoding: chunked$/im.test(head);
  return {
    status,
    type: /^content-type: ([^\r\n;]+)/im.exec(head)?.[1] ?? "",
    body: isChunked ? unchunked(raw) : raw,
  };
}

/** Chunks are counted in bytes. */
function unchunked(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  let body = "";
  for (let at = 0;;) {
    const [line, size] = /^([0-9a-f]+)\r\n/i.exec(decoder.decode(bytes.slice(at, at + 20))) ?? [];
    const length = Number.parseInt(size ?? "0", 16);
    if (line === undefined || length === 0) return body;
    at += line.length;
    body += decoder.decode(bytes.slice(at, at + length));
    at += length + 2;
  }
}

class Nonsense {
  readonly #random: () => number;
  constructor(
    seed: number,
    private readonly ids: readonly string[],
    private readonly tokens: readonly string[],
  ) {
    this.#random = seededRandom(seed);
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
  #one<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!;
  }
  #bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#below(256));
  }

  /** Bytes of a request, or of something like one. */
  next(): Uint8Array {
    const kind = this.#below(10);
    if (kind < 5) return this.#request(this.#headers(), this.#body());
    switch (kind) {
      case 5:
        return this.#request(this.#wildHeaders(), this.#body());
      case 6:
        return this.#chunked();
      case 7:
        return this.#cutOff();
      case 8:
        return this.#garbled();
      default:
        return this.#wildTarget();
    }
  }

  #value(depth = 0): unknown {
    switch (this.#below(depth > 3 ? 9 : 11)) {
      case 0:
        return null;
      case 1:
        return this.#one([true, false]);
      case 2:
        return this.#one([0, -1, 1, 0.5, 1e308, -1e308, 2 ** 53, 4_294_967_296, 1e-9]);
      case 3:
        return randomText(this.#random, this.#below(40));
      case 4:
        return this.#one([
          "--all",
          "../../etc/passwd",
          "fizz-top\0",
          "@team",
          "",
          " ",
          "/",
          "\u0000",
          "__proto__",
          "-",
        ]);
      case 5:
        return this.#one(this.ids);
      case 6:
        return this.#one([
          "/",
          "/etc",
          "/nowhere/at/all",
          "/a/../b",
          "relative",
          "/\0",
          "/" + "x".repeat(5_000),
        ]);
      case 7:
        return "x".repeat(this.#below(20_000));
      case 8:
        return this.#one(["approve", "options", "session", "group", "interrupt", "now", "goal", "docker"]);
      case 9:
        return Array.from({ length: this.#below(6) }, () => this.#value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: this.#below(6) }, () => [
            this.#one(["id", "ids", "path", "text", "kind", "__proto__", "constructor", "toString", ""]),
            this.#value(depth + 1),
          ]),
        );
    }
  }

  /** An operation's own request with some values replaced, taken away or added. */
  #mutated(operation: keyof typeof REQUESTS): unknown {
    const known = structuredClone(this.#one<unknown>(REQUESTS[operation])) as Record<string, unknown>;
    const names = Object.keys(known);
    for (let i = this.#below(3); i >= 0; i--) {
      const name = this.#one([...names, "extra"]);
      if (this.#below(4) === 0) delete known[name];
      else known[name] = this.#value();
    }
    if ("id" in known && this.#below(2) === 0) known["id"] = this.#one(this.ids);
    // A stream that never ends is no answer to look at.
    if ("follow" in known) known["follow"] = false;
    if ("timeoutMs" in known && typeof known["timeoutMs"] === "number") known["timeoutMs"] = 50;
    // Agents are not what is tried here.
    if (operation === "create" && this.#below(4) !== 0) known["path"] = "/nowhere/at/all";
    return known;
  }

  #body(): Uint8Array {
    const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value) ?? "");
    switch (this.#below(10)) {
      case 0:
        return this.#bytes(this.#below(300));
      case 1:
        return text(this.#value());
      case 2: {
        const whole = text(this.#value());
        return whole.slice(0, this.#below(whole.length + 1));
      }
      case 3:
        return new TextEncoder().encode("[".repeat(this.#below(20_000)));
      case 4:
        // Not UTF-8, in the middle of a string.
        return new Uint8Array([...text({ id: "a" }).slice(0, 7), 0xc3, 0x28, 0xff, ...text("b")]);
      default:
        return text(this.#mutated(this.#operation));
    }
  }

  #operation: keyof typeof REQUESTS = "status";

  #headers(): string[] {
    const names = Object.keys(REQUESTS) as (keyof typeof REQUESTS)[];
    this.#operation = this.#one(names);
    return ["Host: localhost", `Authorization: Bearer ${this.#one(this.tokens)}`];
  }

  #wildHeaders(): string[] {
    const headers = this.#headers();
    const token = headers[1]!;
    const wild = [
      "Host: ",
      "Host: localhost\r\nHost: evil",
      "Origin: null",
      token,
      "Authorization: Bearer",
      `Authorization: ${"x".repeat(this.#below(30_000))}`,
      `X-${"y".repeat(this.#below(200))}: ${"z".repeat(this.#below(20_000))}`,
      "Content-Length: 5\r\nContent-Length: 6",
      "Content-Length: -1",
      "Content-Length: 99999999999999999999",
      "Transfer-Encoding: chunked\r\nContent-Length: 4",
      "Transfer-Encoding: gzip, chunked",
      "Transfer-Encoding: identity",
      "Expect: 100-continue",
      "Expect: miracles",
      "Upgrade: websocket\r\nConnection: Upgrade",
      "Connection: keep-alive, close, upgrade",
      "dev-sessions-protocol: 999",
      "dev-sessions-protocol: x",
      "dev-sessions-key: %zz",
      `dev-sessions-key: ${"k".repeat(this.#below(600))}`,
      "Last-Event-ID: nonsense",
      "Content-Encoding: gzip",
      " folded: header",
      "no colon at all",
      "Bad\0Name: x",
      "Name: v\0alue",
      "Näme: ü",
      ": empty",
      ...Array.from({ length: 3 }, () => Array.from({ length: 150 }, (_, i) => `A${i}: b`).join("\r\n")),
    ];
    for (let i = this.#below(3); i >= 0; i--) {
      headers.splice(this.#below(headers.length + 1), 0, this.#one(wild));
    }
    if (this.#below(5) === 0) headers.splice(headers.indexOf("Host: localhost"), 1);
    return headers;
  }

  #request(headers: readonly string[], body: Uint8Array, line?: string): Uint8Array {
    const first = line ??
      `${this.#one([..."PPPPPPP"].map(() => "POST").concat("GET", "PUT"))} /v1/${this.#operation} HTTP/1.1`;
    const head = [first, ...headers, `Content-Length: ${body.length}`, "Connection: close", "", ""];
    return joined(new TextEncoder().encode(head.join("\r\n")), body);
  }

  #chunked(): Uint8Array {
    const headers = this.#headers();
    const head = [
      `POST /v1/${this.#operation} HTTP/1.1`,
      ...headers,
      "Transfer-Encoding: chunked",
      "Connection: close",
    ];
    const chunks = this.#one([
      "zz\r\n{}\r\n0\r\n\r\n",
      "-1\r\n{}\r\n0\r\n\r\n",
      "ffffffffffffffff\r\n{}\r\n0\r\n\r\n",
      "2\r\n{}0\r\n\r\n",
      "2;ext=1\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
      "2\r\n{}\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n",
      `${"0".repeat(this.#below(20_000))}2\r\n{}\r\n0\r\n\r\n`,
      "2\n{}\n0\n\n",
    ]);
    return new TextEncoder().encode([...head, "", chunks].join("\r\n"));
  }

  /** Ends before it is whole. */
  #cutOff(): Uint8Array {
    const whole = this.#request(this.#headers(), this.#body());
    return whole.slice(0, this.#below(whole.length));
  }

  /** With some bytes changed. */
  #garbled(): Uint8Array {
    const whole = this.#request(this.#headers(), this.#body());
    for (let i = this.#below(20); i >= 0; i--) whole[this.#below(whole.length)] = this.#below(256);
    return whole;
  }

  #wildTarget(): Uint8Array {
    const headers = this.#headers();
    const target = this.#one([
      "*",
      "",
      "//",
      "http://localhost/v1/status",
      "http://evil/v1/status",
      "https://localhost/v1/status",
      "localhost:443",
      "/v1/%73tatus",
      "/v1/../health",
      "/v1/toString",
      "/v1/constructor",
      "/v1/__proto__",
      "/health/",
      "/health?x=%",
      "/create",
      "/v1/events?since=%ff&ids=,,,&follow=maybe",
      "/v1/events?follow=false&ids=--all",
      `/${"x".repeat(this.#below(20_000))}`,
      "/\u00e9",
      "/v1/status#x",
      "/v1/status?token=dst_00000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    const method = this.#one([
      "GET",
      "POST",
      "HEAD",
      "OPTIONS",
      "CONNECT",
      "TRACE",
      "PATCH",
      "BREW",
      "get",
      "G ET",
    ]);
    const version = this.#one(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "RTSP/1.0"]);
    return this.#request(headers, this.#body(), `${method} ${target} ${version}`);
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Sends it and returns what comes back. When nothing does for a while, it says that no more will come.
 *
 * @throws Error when the connection stays open.
 */
async function answered(gateway: TestGateway, bytes: Uint8Array): Promise<{ text: string; given: boolean }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), ANSWER_TIMEOUT_MS);
  let given = true;
  const patience = setTimeout(() => {
    given = false;
    connection.closeWrite().catch(() => {});
  }, PATIENCE_MS);
  try {
    const text = await Promise.race([exchange(connection, bytes), late.promise]);
    if (text === null) throw new Error("no end within its time");
    return { text, given };
  } finally {
    clearTimeout(timer);
    clearTimeout(patience);
  }
}

Deno.test(
  `${NONSENSE} requests of nonsense: each has an answer that is none of the gateway's faults`,
  onLinux,
  async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    await using gateway = await startGateway(sandbox);
    const { pid } = gateway.process;
    const id = await created(sandbox);
    const scoped = await gateway.token("--root", sandbox.workspace, "--mode", "yolo", "--max-sessions", "1");
    const tokens = [gateway.master, scoped.token, scoped.token, "nonsense"];
    const nonsense = new Nonsense(SEED, [id, "fizz-top", "nobody-mid"], tokens);
    const statuses = new Map<number, number>();
    let warm = 0;
    let next = 0;

    const one = async () => {
      while (next < NONSENSE) {
        const number = next++;
        const bytes = nonsense.next();
        const shown = () =>
          `request ${number}: ${JSON.stringify(new TextDecoder().decode(bytes.slice(0, 1_500)))}`;
        let got: Awaited<ReturnType<typeof answered>>;
        try {
          got = await answered(gateway, bytes);
        } catch (error) {
          throw new Error(shown(), { cause: error });
        }
        try {
          check(got, new TextDecoder().decode(bytes.slice(0, 5)) === "HEAD ", statuses);
        } catch (error) {
          throw new Error(`${shown()}\n${JSON.stringify(got.text.slice(0, 1_500))}`, { cause: error });
        }
        if (number === NONSENSE / 4) warm = residentBytes(pid);
      }
    };
    // Those who open a connection and say little, all the while.
    const slow = Array.from({ length: SLOW }, async (_, index) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
      const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nX: ${index}`;
      await connection.write(new TextEncoder().encode(head.slice(0, 5 + index)));
      return await exchange(connection, "");
    });
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    for (const text of await Promise.all(slow)) strictEqual(parsedAnswer(text)?.status, 408);

    ok((statuses.get(200) ?? 0) > 100, "some of it made sense");
    ok((statuses.get(400) ?? 0) > 1_000, "much of it did not");
    strictEqual(gateway.process.child.pid, pid);
    strictEqual((await gateway.fetch("/health", { token: null }).then((it) => it.json())).status, "healthy");
    strictEqual((await sandbox.run(["list"])).code, 0);
    const last = residentBytes(pid);
    ok(last - warm < MAX_GROWTH_BYTES, `${warm / MB} MB, then ${last / MB} MB`);
    deepStrictEqual(gateway.log.filter(({ level }) => level === "error"), []);
    ok(rows(sandbox).length < 50);
  },
);

function check(
  { text, given }: { text: string; given: boolean },
  isHead: boolean,
  statuses: Map<number, number>,
): void {
  // Half a request that breaks off has no answer.
  if (!given && /^(HTTP\/1\.1 100 Continue\r\n\r\n)?$/.test(text)) return;
  const answer = parsedAnswer(text);
  const status = answer?.status ?? 0;
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  ok(answer !== null, "the connection was closed without a word");
  ok(status < 500, `${status}`);
  if (isHead && answer.body === "") return;
  switch (answer.type) {
    case "application/json":
      JSON.parse(answer.body);
      return;
    case "application/x-ndjson":
      for (const line of answer.body.split("\n").filter((one) => one !== "")) JSON.parse(line);
      return;
    case "text/event-stream":
      ok(answer.body.startsWith("retry: "));
      return;
    default:
      throw new Error(`a body of type "${answer.type}"`);
  }
}
