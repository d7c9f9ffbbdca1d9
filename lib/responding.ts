/** Answers one open request of a session: which one is meant, whether the answer fits, then the backend, once. */

import type { Backend } from "../backends/backend.ts";
import { fitAnswer } from "./answers.ts";
import { AppError } from "./errors.ts";
import type { RespondRequest, RespondResult } from "./service.ts";
import type { PendingInput, Session, TurnState } from "./session.ts";
import { unforeseen } from "./unforeseen.ts";

/** @throws AppError; nothing was answered unless its code is `unproven`. */
export async function respond(
  session: Session,
  backend: Backend,
  request: RespondRequest,
  signal: AbortSignal,
): Promise<RespondResult> {
  const { id } = session;
  const pending = chosen(id, await backend.state(session, { explain: false }), request.request);
  const answer = fitAnswer(id, pending, request.answer);
  if (pending.answerable === "terminal") {
    throw new AppError(
      "failure",
      `Cannot answer "${id}": it waits for what only its terminal can answer (${pending.summary}). ` +
        `Answer it there: dev-sessions attach ${id}`,
    );
  }
  const proof = await backend.respond(session, pending, answer, signal).catch((error) => {
    throw unforeseen("answer", id, error, signal);
  });
  return { id, pending, answer, ...proof };
}

/** The request that is meant; pure. */
export function chosen(id: string, state: TurnState, requestId: string | null): PendingInput {
  if (state.state === "gone") {
    throw new AppError(
      "agent_gone",
      `Cannot answer "${id}": its agent is gone (${state.reason}). ` +
        `Read what it said with: dev-sessions last-message ${id}`,
    );
  }
  if (state.state !== "waiting_for_input") {
    throw new AppError(
      "failure",
      `Cannot answer "${id}": nothing is pending, it is ${state.state}. ` +
        `See what it does with: dev-sessions status ${id} --explain`,
    );
  }
  const open = [state.pending, ...state.others];
  const list = open.map((one) => `${one.requestId ?? "(no id)"}  ${one.summary}`).join("\n");
  if (requestId === null) {
    if (open.length === 1) return state.pending;
    throw new AppError(
      "usage",
      `Cannot answer "${id}": ${open.length} requests are pending. Say which one is meant with --request`,
      list,
    );
  }
  const found = open.find((one) => one.requestId === requestId);
  if (found !== undefined) return found;
  throw new AppError(
    "failure",
    `Cannot answer "${id}": the request "${requestId}" is not pending (any more). ` +
      `See what is with: dev-sessions status ${id}`,
    list,
  );
}
