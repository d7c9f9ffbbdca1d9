/** A server of releases on the loopback address, with the paths of GitHub's, that can be told to misbehave. */

/** What goes wrong with the executable: `short` ends cleanly, `cut` in the middle of the connection, `held` waits. */
export type Fault = "none" | "short" | "cut" | "held";

const SUMS = "SHA256SUMS";
const VERSION = "VERSION";

export class ReleaseServer implements AsyncDisposable {
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #held = Promise.withResolvers<void>();
  /** Paths in the order in which they were asked for. */
  readonly requests: string[] = [];
  fault: Fault = "none";

  private constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      this.requests.push(path);
      const file = this.#files.get(path);
      if (file === undefined) return new Response("Not Found", { status: 404 });
      return [SUMS, VERSION].some((name) => path.endsWith(`/${name}`))
        ? new Response(file)
        : this.#answer(file);
    });
  }

  static start(): ReleaseServer {
    return new ReleaseServer();
  }

  /** What DEV_SESSIONS_BASE_URL is set to. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/releases`;
  }

  /** Serves a file as it is, at a path such as `latest/download/SHA256SUMS`. */
  put(path: string, content: string | Uint8Array<ArrayBuffer>): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.#files.set(`/releases/${path}`, bytes);
  }

  remove(path: string): void {
    this.#files.delete(`/releases/${path}`);
  }

  /** Releases an executable for this platform as this version, and as the latest. */
  async publish(version: string, executable: string): Promise<void> {
    const asset = `dev-sessions-${Deno.build.target}`;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(executable));
    // A release lists all its assets; ours is not the first.
    const sums = `${"0".repeat(64)}  dev-sessions-other\n${new Uint8Array(digest).toHex()}  ${asset}\n`;
    for (const folder of ["latest/download", `download/v${version}`]) {
      this.put(`${folder}/${asset}`, executable);
      this.put(`${folder}/${SUMS}`, sums);
      this.put(`${folder}/${VERSION}`, `${version}\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held.resolve();
    await this.#server.shutdown();
  }

  #answer(file: Uint8Array<ArrayBuffer>): Response {
    const { fault } = this;
    if (fault === "none") return new Response(file);
    const half = file.slice(0, file.length / 2);
    if (fault === "short") return new Response(half);
    // It promises the whole file, and ends behind the half.
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(half),
      pull: async (controller) => {
        if (fault === "held") await this.#held.promise;
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-length": String(file.length) } });
  }
}
