/** Waits for the end of a message's turn, and reads what the agent said in it. */

import { AppError } from "../errors.ts";
import type { SessionId } from "../session.ts";
import type { MessageOptions } from "./deliver.ts";
import { outcomeFailure } from "./outcome.ts";
import type { Result } from "./output.ts";
import type { CliContext } from "./verb.ts";

export interface AskMessageOptions extends MessageOptions {
  readonly timeoutMs: number;
}

/** Waits for the end of that message's turn. @throws AppError (interrupted) that says how to wait again. */
export async function reply(
  id: SessionId,
  receipt: string,
  timeoutMs: number,
  context: CliContext,
): Promise<Result> {
  const service = await context.service();
  const stopped = () =>
    new AppError(
      "interrupted",
      `Interrupted: still waiting for ${id}. Wait again with: dev-sessions wait ${id} --message ${receipt}`,
    );
  const request = { ids: [id], any: false, timeoutMs, pollMs: null, receipt, background: false };
  try {
    for await (const { outcome } of service.wait(request, context.signal)) {
      const failure = outcomeFailure(id, outcome, timedOut(id, timeoutMs));
      const reply = failure ? null : (await service.lastMessages(id, 1, receipt)).at(-1) ?? null;
      return { text: reply, json: { id, receipt, outcome: outcome.outcome, reply }, failure };
    }
  } catch (error) {
    throw context.signal.aborted ? stopped() : error;
  }
  if (context.signal.aborted) throw stopped();
  throw new Error(`the wait for ${id} ended without an outcome`);
}

function timedOut(id: SessionId, timeoutMs: number): string {
  return `Timed out waiting for ${id} after ${timeoutMs / 1000}s ` +
    `(the agent keeps working; use 'wait ${id}' then 'last-message ${id}' to pick up the reply)`;
}
