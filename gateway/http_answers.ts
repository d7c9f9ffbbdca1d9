/** Answers of the gateway over HTTP: what both calls and errors look like, and bodies that are read within bounds. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, HTTP_STATUS } from "../lib/errors.ts";
import { encodeError } from "../lib/wire/errors.ts";
import { US } from "../lib/wire/handshake.ts";
import { HEADER, MAX_BODY_BYTES } from "../lib/wire/http.ts";

/** An error that has an HTTP status of its own. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  constructor(
    readonly status: number,
    readonly error: AppError,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(error.message);
  }
}

/** @throws HttpError */
export function httpError(
  status: number,
  code: AppError["code"],
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpError {
  return new HttpError(status, new AppError(code, message), headers);
}

/** Of every answer. */
export function setUsualHeaders(response: ServerResponse): void {
  response.setHeader(HEADER.protocol, String(US.protocol));
  response.setHeader(HEADER.version, US.version);
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
}

export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(body)}\n`);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(status, { "content-type": "application/json", "content-length": String(bytes.length) });
  response.end(bytes);
}

/** @returns the status and the code that were answered. */
export function answerError(
  response: ServerResponse,
  thrown: unknown,
): { readonly status: number; readonly error: AppError["code"] } {
  const [status, error, headers] = thrown instanceof HttpError
    ? [thrown.status, thrown.error, thrown.headers]
    : [thrown instanceof AppError ? HTTP_STATUS[thrown.code] : 500, thrown, {}];
  const encoded = encodeError(error);
  answerJson(response, status, { error: encoded }, headers);
  return { status, error: encoded.code };
}

/**
 * The request's body as JSON. One that is too large is not read on.
 *
 * @throws HttpError (413, 400)
 */
export async function readJson(
  request: IncomingMessage,
  /** Tells a client that asked whether to send its body that it may. */
  goOn: () => void,
  /** Told of each part as it comes; what it throws ends the reading. */
  onBytes: (count: number) => void = () => {},
): Promise<unknown> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  goOn();
  const text = await readText(request, onBytes);
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw httpError(400, "usage", "Cannot understand the request: its body is not valid JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw httpError(400, "usage", "Cannot understand the request: its body is no JSON object");
}

async function readText(request: IncomingMessage, onBytes: (count: number) => void): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const done = Promise.withResolvers<void>();
  const take = (chunk: Uint8Array) => {
    length += chunk.length;
    try {
      if (length > MAX_BODY_BYTES) throw tooLarge();
      onBytes(chunk.length);
      chunks.push(chunk);
    } catch (refusal) {
      request.off("data", take);
      request.pause();
      done.reject(refusal);
    }
  };
  request.on("data", take);
  request.on("end", done.resolve);
  const brokeOff = () => done.reject(httpError(400, "usage", "Cannot understand the request: it broke off"));
  request.on("error", brokeOff);
  request.on("close", brokeOff);
  await done.promise;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw httpError(400, "usage", "Cannot understand the request: its body is not valid UTF-8");
  }
}

function tooLarge(): HttpError {
  const most = `${MAX_BODY_BYTES / 1024 / 1024} MB`;
  return httpError(413, "usage", `Cannot take the request: its body is larger than ${most}. Send less`, {
    connection: "close",
  });
}
