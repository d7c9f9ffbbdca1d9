/** What every scripted model does over HTTP: gates that hold replies, streams that end with their reader, and control. */

/** Resolves early when the signal is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
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

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** How a reply ends that is not to come to its end. */
const CUT = new Error("scripted cut");

export class Gates {
  readonly #gates = new Map<
    string,
    { reached: PromiseWithResolvers<void>; opened: PromiseWithResolvers<void> }
  >();

  /** Lets the replies held at this gate go on, also those that reach it later. */
  open(name: string): void {
    this.#of(name).opened.resolve();
  }

  /** Resolves when a reply is held at this gate (at once when one has been). */
  reached(name: string): Promise<void> {
    return this.#of(name).reached.promise;
  }

  async pass(name: string, signal: AbortSignal): Promise<void> {
    const gate = this.#of(name);
    gate.reached.resolve();
    await Promise.race([gate.opened.promise, aborted(signal)]);
  }

  #of(name: string) {
    let gate = this.#gates.get(name);
    if (gate === undefined) {
      gate = { reached: Promise.withResolvers<void>(), opened: Promise.withResolvers<void>() };
      this.#gates.set(name, gate);
    }
    return gate;
  }
}

/** One server-sent event, with its type in its data, as both APIs have it. */
export function event(type: string, rest: Record<string, unknown>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
}

/** The end of one reply: that of the server, or of the one who reads it. */
export class Reading {
  readonly #gone = new AbortController();
  readonly signal: AbortSignal;

  constructor(closing: AbortSignal) {
    this.signal = AbortSignal.any([closing, this.#gone.signal]);
  }

  /** @param options.cut breaks the connection at the end. */
  stream(
    source: AsyncGenerator<string>,
    options: { readonly headers?: Record<string, string>; readonly cut?: boolean } = {},
  ): Response {
    const encoder = new TextEncoder();
    const gone = this.#gone;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await source.next();
        if (gone.signal.aborted) return;
        if (!done) return controller.enqueue(encoder.encode(value));
        if (options.cut) controller.error(CUT);
        else controller.close();
      },
      cancel: () => gone.abort(),
    });
    return new Response(body, { headers: { ...options.headers, "content-type": "text/event-stream" } });
  }
}

export interface Place {
  readonly port?: number;
  /** Loopback when there is none. */
  readonly hostname?: string;
}

export interface ModelServer {
  /** `http://<host>:<port>` */
  readonly url: string;
  readonly close: () => Promise<void>;
}

/**
 * `POST <url>/control/open/<gate>` opens a gate, `GET <url>/control/<name>` tells what `tells` has.
 * @param answer answers all else; the signal is aborted when the server is closed.
 */
export async function serveModel(
  { port = 0, hostname = "127.0.0.1" }: Place,
  gates: Gates,
  tells: Readonly<Record<string, () => unknown>>,
  answer: (request: Request, path: string, closing: AbortSignal) => Promise<Response>,
): Promise<ModelServer> {
  const closing = new AbortController();
  const control = (path: string): Response => {
    const [, verb = "", name = ""] = /^\/control\/(\w+)(?:\/(.*))?$/.exec(path) ?? [];
    const tell = tells[verb];
    if (tell !== undefined) return Response.json(tell());
    if (verb !== "open") return new Response("no such control\n", { status: 404 });
    gates.open(decodeURIComponent(name));
    return new Response("ok\n");
  };
  const started = Promise.withResolvers<string>();
  const server = Deno.serve({
    hostname,
    port,
    onError: (error) => {
      // Who has gone in the middle of its request is no error of ours.
      const isOurs = error !== CUT && !(error instanceof Deno.errors.BadResource);
      if (isOurs) Deno.stderr.writeSync(new TextEncoder().encode(`${Deno.inspect(error)}\n`));
      return new Response(null, { status: 500 });
    },
    onListen: (address) => started.resolve(`http://${hostname}:${address.port}`),
  }, async (request) => {
    const path = new URL(request.url).pathname;
    return path.startsWith("/control/") ? control(path) : await answer(request, path, closing.signal);
  });
  const close = async () => {
    closing.abort();
    await server.shutdown();
  };
  return { url: await started.promise, close };
}
