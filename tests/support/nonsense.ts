/** Requests that nobody should send, by a seed: what a gateway must answer without a fault of its own. */

import { randomText, seededRandom } from "./random_text.ts";
import { REQUESTS } from "./wire_values.ts";

export class Nonsense {
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
