/** A proxy on the loopback address that takes connections and never answers, as where a firewall swallows packets. */

const REFUSAL = new TextEncoder().encode("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");

export class SilentProxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #held: Deno.TcpConn[] = [];
  readonly #serving: Promise<void>;

  /** The first `refusals` connections are answered, with a refusal. */
  constructor(private refusals = 0) {
    this.#serving = this.#serve();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }
  /** Connections without an answer so far. */
  get held(): number {
    return this.#held.length;
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      if (this.refusals === 0) {
        this.#held.push(connection);
        continue;
      }
      this.refusals--;
      await connection.read(new Uint8Array(4096));
      await connection.write(REFUSAL);
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    for (const connection of this.#held) connection.close();
  }
}
