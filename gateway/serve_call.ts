/** One request at a server, whoever carries it: checked, kept from being done twice, begun. */

import type { SessionService } from "../lib/service.ts";
import { OPERATIONS } from "../lib/wire.ts";
import { begin, type CheckedRequest, type Dispatched } from "./dispatch.ts";
import type { Repeats } from "./repeats.ts";

export interface Attempt {
  /** Whose idempotency keys these are: a token's id, a connection's user. */
  readonly caller: string;
  /** The idempotency key. */
  readonly key: string | null;
  readonly again: boolean;
  readonly signal: AbortSignal;
}

/** As `dispatch()`, with what the server's memory keeps from being done twice. */
export function serveCall(
  service: SessionService,
  checked: CheckedRequest,
  { caller, key, again, signal }: Attempt,
  repeats: Repeats,
): Dispatched {
  const { operation, request } = checked;
  if (OPERATIONS[operation].keptBy !== "memory" || key === null) return begin(service, checked, signal);
  const start = (own: AbortSignal) => {
    const begun = begin(service, checked, own);
    return begun.kind === "call" ? begun.result : Promise.reject(new Error("a stream is not kept"));
  };
  return {
    kind: "call",
    result: repeats.run({ caller, key, again, operation, request }, start, signal),
  };
}
