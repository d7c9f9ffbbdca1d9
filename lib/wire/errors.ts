/** Errors between two dev-sessions: they arrive with the code, the message and the detail that they were thrown with. */

import * as v from "valibot";
import { AppError, type ErrorCode, EXIT_CODES, messageOf } from "../errors.ts";
import { orNull } from "./nouns.ts";

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: string | null;
}

/** A newer peer may know codes that this version does not. */
export const wireError = v.object({
  code: v.string(),
  message: v.string(),
  detail: orNull(v.string()),
});

/** What a thrown value is on the wire; of what nobody foresaw only its message, never a stack. */
export function encodeError(error: unknown): WireError {
  if (error instanceof AppError) {
    const { code, message, detail } = error;
    return { code, message, detail };
  }
  return { code: "failure", message: `dev-sessions failed unexpectedly: ${messageOf(error)}`, detail: null };
}

/** The error as the peer threw it; an unknown code becomes a failure with its message. */
export function decodeError({ code, message, detail }: v.InferOutput<typeof wireError>): AppError {
  return new AppError(isErrorCode(code) ? code : "failure", message, detail);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(EXIT_CODES, code);
}
