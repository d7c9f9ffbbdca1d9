/** The least HTTP server of the wire, on a service of the test's choice; it can be cut off in the middle of an answer. */

import { type ErrorCode, HTTP_STATUS } from "../../lib/errors.ts";
import { realClock } from "../../lib/real_deps.ts";
import type { SessionService } from "../../lib/service.ts";
import { encodeError } from "../../lib/wire/errors.ts";
import { type Peer, US } from "../../lib/wire/handshake.ts";
import { CANCEL_PATH, HEADER, HEALTH_PATH, OPERATION_PATH, STREAM_TYPE } from "../../lib/wire/http.ts";
import { Calls } from "../../gateway/calls.ts";
import { checkRequest } from "../../gateway/dispatch.ts";

export interface WireServerOptions {
  readonly service: SessionService;
  /** A port that was used before, or a unix socket; else a free port. */
  readonly port?: number;
  readonly path?: string;
  readonly token?: string;
  readonly us?: Peer;
  /** Answers that are lost: the request is carried out, then the connection breaks. */
  readonly loses?: (operation: string, count: number) => boolean;
  /** Of an earlier life: what it remembers of keys. */
  readonly calls?: Calls;
}

export interface WireServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Operations in the order in which they came. */
  readonly asked: { readonly operation: string; readonly key: string | null; readonly again: boolean }[];
  /** Cuts every connection and stops listening. */
  cut(): Promise<void>;
}

const encoder = new TextEncoder();

export function startWireServer(options: WireServerOptions): WireServer {
  const { service, us = US, calls = new Calls(realClock) } = options;
  const stop = new AbortController();
  const asked: { operation: string; key: string | null; again: boolean }[] = [];
  const running = new Set<Promise<unknown>>();

  const json = (status: number, body: unknown) => Response.json(body, { status });
  const failed = (error: unknown, status?: number) => {
    const encoded = encodeError(error);
    return json(status ?? HTTP_STATUS[encoded.code as ErrorCode], { error: encoded });
  };
  const lost = () =>
    new Response(
      new ReadableStream({
        start: (controller) => {
          controller.enqueue(encoder.encode("{"));
          controller.error(new Error("lost"));
        },
      }),
      { headers: { "content-type": "application/json" } },
    );

  async function handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === HEALTH_PATH) return json(200, { status: "healthy", ...us });
    const bearer = request.headers.get("authorization");
    if (options.token !== undefined && bearer !== `Bearer ${options.token}`) {
      return json(401, { error: { code: "refused", message: "the token is not known", detail: null } });
    }
    const key = request.headers.get(HEADER.key);
    const again = request.headers.get(HEADER.again) === "1";
    if (pathname === CANCEL_PATH) {
      return json(200, { result: { stopped: calls.cancel("test", decodeURIComponent(key ?? "")) } });
    }
    const operation = pathname.slice(OPERATION_PATH.length);
    asked.push({ operation, key, again });
    const signal = AbortSignal.any([request.signal, stop.signal]);
    try {
      const checked = checkRequest(operation, await request.json());
      const attempt = { caller: "test", key: key === null ? null : decodeURIComponent(key), again, signal };
      const begun = calls.serve(service, checked, attempt);
      if (begun.kind === "call") {
        const result = await begun.result;
        const count = asked.filter((one) => one.operation === operation).length;
        return options.loses?.(operation, count) ? lost() : json(200, { result });
      }
      return new Response(stream(begun.items), { headers: { "content-type": STREAM_TYPE } });
    } catch (error) {
      return failed(error);
    }
  }

  function stream(items: AsyncIterable<unknown>): ReadableStream<Uint8Array> {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const say = (line: unknown) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
    const pump = async () => {
      try {
        await writer.write(encoder.encode("\n"));
        for await (const item of items) await say({ item });
        if (stop.signal.aborted) return await writer.abort(new Error("cut"));
        await say({ end: true });
        await writer.close();
      } catch (error) {
        await say({ error: encodeError(error) }).then(() => writer.close()).catch(() => {});
      }
    };
    const pumping = pump().catch(() => {}).finally(() => running.delete(pumping));
    running.add(pumping);
    return readable;
  }

  const common = { onListen: () => {}, signal: stop.signal };
  const server = options.path === undefined
    ? Deno.serve({ ...common, hostname: "127.0.0.1", port: options.port ?? 0 }, handle)
    : Deno.serve({ ...common, path: options.path }, handle);
  const port = server.addr.transport === "tcp" ? (server.addr as Deno.NetAddr).port : 0;
  const cut = async () => {
    stop.abort();
    await Promise.allSettled([server.finished, ...running]);
  };
  return {
    port,
    url: options.path === undefined ? `http://127.0.0.1:${port}` : `unix://${options.path}`,
    asked,
    cut,
    [Symbol.asyncDispose]: cut,
  };
}
