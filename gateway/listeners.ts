/** The gateway's sockets: bounded in connections and in the time that a header may take, closed without cutting answers. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { AppError, messageOf } from "../lib/errors.ts";
import type { Deps } from "../lib/deps.ts";
import { shownAddress } from "./bind.ts";
import { httpError } from "./http_answers.ts";
import { closeOnExec } from "./close_on_exec.ts";
import { portHolder } from "./port_holder.ts";
import type { RequestLine } from "./log.ts";
import { openSocketToAll, removeStaleSocket } from "./socket_folder.ts";

const MAX_CONNECTIONS = 1_024;
const MAX_HEADER_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
/** Until the body, too, has come. */
const REQUEST_TIMEOUT_MS = 120_000;
const CHECK_INTERVAL_MS = 1_000;
const IDLE_CONNECTION_MS = 65_000;

export type Handle = (
  via: RequestLine["via"],
  request: IncomingMessage,
  response: ServerResponse,
  goOn: () => void,
) => Promise<void>;

/** Nothing is taken in before `open()`, and nothing new after `close()`. */
export class Listeners {
  readonly #servers: Server[] = [];

  constructor(private readonly deps: Deps, private readonly handle: Handle) {}

  /**
   * @param port 0: any that is free.
   * @returns the port, the same at each address.
   * @throws AppError that says who has it.
   */
  async openTcp(addresses: readonly string[], port: number): Promise<number> {
    for (const address of addresses) {
      const server = this.#server("tcp");
      try {
        port = await listen(server, { host: address, port, ipv6Only: address.includes(":") });
      } catch (error) {
        throw await this.#cannotListen(address, port, error);
      }
    }
    return port;
  }

  async openUnix(socket: string): Promise<void> {
    await removeStaleSocket(socket);
    try {
      const server = this.#server("unix");
      await listen(server, { path: socket });
      closeOnExec(server);
      openSocketToAll(socket);
    } catch (error) {
      throw new AppError("failure", `Cannot listen on "${socket}": ${messageOf(error)}`);
    }
  }

  /** No more connections; those that are idle end. */
  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeIdleConnections();
    }
  }

  /** Also ends what is left. */
  close(): void {
    this.stop();
    for (const server of this.#servers) server.closeAllConnections();
  }

  #server(via: RequestLine["via"]): Server {
    const server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      // We look at it ourselves, and say why.
      requireHostHeader: false,
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on("request", (request, response) => void this.handle(via, request, response, () => {}));
    server.on(
      "checkContinue",
      (request, response) => void this.handle(via, request, response, () => response.writeContinue()),
    );
    server.on(
      "checkExpectation",
      (request, response) =>
        void this.handle(via, request, response, () => {
          throw httpError(417, "usage", "Cannot do what the request expects", { connection: "close" });
        }),
    );
    // A proxy is what the gateway is not, and without a word the connection would be closed.
    server.on("connect", (_request, socket) => socket.end(notUnderstood(new Error("CONNECT"))));
    server.on("clientError", (error, socket) => {
      if (socket.writable) socket.end(notUnderstood(error));
      else socket.destroy();
    });
    this.#servers.push(server);
    return server;
  }

  async #cannotListen(address: string, port: number, error: unknown): Promise<AppError> {
    const cannot = (why: string) =>
      new AppError("failure", `Cannot listen on ${shownAddress(address, port)}: ${why}`, null, {
        cause: error,
      });
    switch (codeOf(error)) {
      case "EADDRINUSE": {
        const holder = await portHolder(this.deps, address, port) ?? "another program has the port";
        return cannot(`${holder}. Stop it, or choose another port with: dev-sessions gateway --port <n>`);
      }
      case "EACCES":
        return cannot(
          `this user may not use the port. Choose another one with: dev-sessions gateway --port <n>`,
        );
      case "EADDRNOTAVAIL":
      // What Deno says of it.
      case "EINVAL":
        return cannot("this machine does not have the address (now). See its addresses with: ip addr");
      default:
        return cannot(messageOf(error));
    }
  }
}

async function listen(
  server: Server,
  where: { readonly host: string; readonly port: number; readonly ipv6Only: boolean } | {
    readonly path: string;
  },
): Promise<number> {
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(where, () => listening.resolve());
  await listening.promise;
  server.off("error", listening.reject);
  server.on("error", () => {});
  const at = server.address();
  return typeof at === "object" && at !== null ? at.port : 0;
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/** The answer to what is no request, or none in time. */
function notUnderstood(error: Error): string {
  const [status, why] = reasonOf(error);
  const message = `Cannot understand the request: ${why}`;
  const body = `${JSON.stringify({ error: { code: "usage", message, detail: null } })}\n`;
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  return `${head}\r\nConnection: close\r\n\r\n${body}`;
}

function reasonOf(error: Error): readonly [status: string, why: string] {
  switch (codeOf(error)) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return ["408 Request Timeout", "it did not come in time"];
    case "HPE_HEADER_OVERFLOW":
      return ["431 Request Header Fields Too Large", `its headers have more than ${MAX_HEADER_BYTES} bytes`];
    default:
      return ["400 Bad Request", "it is not valid HTTP"];
  }
}
