/** The closed set of errors a user can meet, and the one table that maps them to exit codes and HTTP statuses. */

export type ErrorCode =
  | "failure"
  | "usage"
  | "not_found"
  | "not_delivered"
  | "waiting_for_input"
  | "turn_failed"
  | "agent_gone"
  | "refused"
  | "unproven"
  | "timed_out"
  | "interrupted"
  | "transport";

/** Source: the exit-code table of `dev-sessions help exit-codes`. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  failure: 1,
  usage: 2,
  not_found: 3,
  not_delivered: 4,
  waiting_for_input: 5,
  turn_failed: 6,
  agent_gone: 7,
  refused: 8,
  unproven: 9,
  timed_out: 124,
  interrupted: 130,
  transport: 255,
};

/**
 * Of the results of several sessions the first of these makes the exit code: that a message may have been delivered
 * must never be hidden, what nobody foresaw comes before what is known, and what was not done before what goes on.
 */
export const WORST_FIRST: readonly number[] = [
  EXIT_CODES.unproven,
  EXIT_CODES.interrupted,
  EXIT_CODES.failure,
  EXIT_CODES.usage,
  EXIT_CODES.transport,
  EXIT_CODES.refused,
  EXIT_CODES.agent_gone,
  EXIT_CODES.not_found,
  EXIT_CODES.turn_failed,
  EXIT_CODES.waiting_for_input,
  EXIT_CODES.not_delivered,
  EXIT_CODES.timed_out,
  0,
];

/** For the gateway; 5xx is left for what nobody foresaw, and for what lies between. */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  failure: 422,
  usage: 400,
  not_found: 404,
  not_delivered: 409,
  waiting_for_input: 409,
  turn_failed: 200,
  agent_gone: 410,
  refused: 403,
  unproven: 504,
  timed_out: 200,
  interrupted: 499,
  transport: 502,
};

/**
 * An error meant for the user. Grammar of the message: what could not be done, to what, why, and the command
 * that helps, e.g. `Cannot send to "fizz-top": it waits for a permission. Answer it with: ...`.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Further lines for people, e.g. the agent's last screen. */
    readonly detail: string | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** @throws never; returns the error that every command answers with for an id that is not in the registry. */
export function sessionNotFound(id: string): AppError {
  return new AppError(
    "not_found",
    `Session not found: ${id}`,
    "List the sessions with: dev-sessions list --all",
  );
}

/** One line about any thrown value, without a stack trace. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
