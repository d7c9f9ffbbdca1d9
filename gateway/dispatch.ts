/** The server's side of the wire, whoever carries it: a name and a body come in, a call or a stream of a service comes out. */

import { AppError } from "../lib/errors.ts";
import type { SessionService } from "../lib/service.ts";
import { VERSION } from "../lib/version.ts";
import { decodeRequest, isOperation, type Operation, type Requests } from "../lib/wire.ts";

export type Dispatched =
  | { readonly kind: "call"; readonly result: Promise<unknown> }
  | { readonly kind: "stream"; readonly items: AsyncIterable<unknown> };

/** An operation with its checked request. */
export type CheckedRequest = {
  [Op in Operation]: { readonly operation: Op; readonly request: Requests[Op] };
}[Operation];

/**
 * Checks what was asked, and does nothing yet.
 *
 * @throws AppError (usage) for an operation that this version does not have, and for a request that is not understood.
 */
export function checkRequest(operation: string, body: unknown): CheckedRequest {
  if (!isOperation(operation)) throw unknownOperation(operation);
  return { operation, request: decodeRequest(operation, body) } as CheckedRequest;
}

/**
 * Begins what was checked; what the service throws comes with the result or the items. The results are plain data,
 * ready to be written as JSON.
 */
export function begin(service: SessionService, checked: CheckedRequest, signal: AbortSignal): Dispatched {
  const call = (result: Promise<unknown>): Dispatched => ({ kind: "call", result });
  const stream = (items: AsyncIterable<unknown>): Dispatched => ({ kind: "stream", items });
  const { operation, request } = checked;
  switch (operation) {
    case "expand":
      return call(service.expand(request));
    case "create":
      return call(service.create(request, signal));
    case "send":
      return call(service.send(request, signal));
    case "interrupt":
      return call(service.interrupt(request, signal));
    case "wait":
      return stream(service.wait(request, signal));
    case "status":
      return call(service.status(request.id, { explain: request.explain }));
    case "lastMessages":
      return call(service.lastMessages(request.id, request.count, request.receipt));
    case "logs":
      return stream(service.logs(request.id, { follow: request.follow }, signal));
    case "events":
      return stream(service.events(request, signal));
    case "list":
      return call(service.list(request));
    case "inspect":
      return call(service.inspect(request.id));
    case "respond":
      return call(service.respond(request, signal));
    case "goal":
      return call(service.goal(request, signal));
    case "usage":
      return call(service.usage(request.ids));
    case "kill":
      return call(service.kill(request));
    case "resume":
      return call(service.resume(request, signal));
    case "prune":
      return call(service.prune(request));
    case "attachCommand":
      return call(service.attachCommand(request.id));
  }
}

function unknownOperation(name: string): AppError {
  const shown = /^[A-Za-z]{1,40}$/.test(name) ? `"${name}"` : "what was asked";
  return new AppError(
    "usage",
    `Cannot do ${shown}: dev-sessions ${VERSION} has no such operation. ` +
      `If the caller is newer, upgrade this one with: dev-sessions upgrade`,
  );
}
