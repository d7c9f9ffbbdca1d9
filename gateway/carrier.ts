/** What carries requests to a dev-sessions elsewhere, and how it says that one did not get through. */

import { AppError } from "../lib/errors.ts";
import { type Operation, OPERATIONS } from "../lib/wire.ts";
import type { Peer } from "../lib/wire/handshake.ts";
import { STOPPED, untilStopped } from "../lib/until_stopped.ts";

/** Beyond its own time limit, a `wait` elsewhere is answered within this, or not at all. */
export const WAIT_GRACE_MS = 5_000;

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The same for every attempt of one request; null for what needs none. */
  readonly key: string | null;
  /** An earlier attempt with this key may have arrived. */
  readonly again?: boolean;
}

/**
 * Both throw the `AppError` that the other end threw, as it was thrown; a `CarrierError` when none came. A stream
 * that ends was ended by the other end; one that breaks throws.
 */
export interface Carrier {
  call(operation: Operation, request: unknown, options: CallOptions): Promise<unknown>;
  stream(operation: Operation, request: unknown, options: CallOptions): AsyncIterable<unknown>;
  close(): Promise<void>;
  /** Who is at the other end, once it has said so. */
  peer(): Peer | null;
  /** Where the other end is, for people. */
  readonly where: string;
}

/**
 * The transport failed, and nobody knows more: `unsent` when the request surely has not arrived, `hopeless` when
 * another attempt would fail as well.
 */
export class CarrierError extends AppError {
  constructor(
    message: string,
    readonly told: { readonly unsent: boolean; readonly hopeless?: boolean },
    detail: string | null = null,
    options?: ErrorOptions,
  ) {
    super("transport", message, detail, options);
  }
}

/**
 * For a caller that has stopped waiting for an answer.
 *
 * @param asked whether the request may have arrived.
 */
export function interrupted(operation: Operation, asked: boolean): AppError {
  if (!asked || OPERATIONS[operation].repeatable) return new AppError("interrupted", "Interrupted");
  return new AppError(
    "unproven",
    `Interrupted: what became of ${operation} is not known. It may have been done; look before you do it again: ` +
      "dev-sessions list --all",
  );
}

/**
 * What others may be waiting for as well; whoever has stopped waiting is let go at once.
 *
 * @throws AppError (interrupted)
 */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const got = await untilStopped(work, signal);
  if (got === STOPPED) throw new AppError("interrupted", "Interrupted");
  return got;
}
