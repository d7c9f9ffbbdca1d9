/** Turns through a connection, from the first word to the end. */

import { ok } from "node:assert/strict";
import type { Notification, Params, ServerRequest, Turn } from "../../backends/codex/frames.ts";
import type { Connection, Incoming, Listener } from "../../backends/codex/rpc.ts";

export const textInput = (text: string) => [{ type: "text" as const, text, text_elements: [] }];

export async function startThread(connection: Connection, params: Params<"thread/start">): Promise<string> {
  return (await connection.call("thread/start", params)).thread.id;
}

const HEAR_TIMEOUT_MS = 30_000;

/** What comes in until something fits, that included. @throws Error after 30 s. */
export async function hearUntil(
  listener: Listener,
  fits: (incoming: Incoming) => boolean,
): Promise<Incoming[]> {
  const heard: Incoming[] = [];
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    listener[Symbol.dispose]();
  }, HEAR_TIMEOUT_MS);
  try {
    for (;;) {
      const { done, value } = await listener.next();
      ok(!done, `${late ? "too late" : "the connection was closed"} after ${JSON.stringify(heard)}`);
      heard.push(value);
      if (fits(value)) return heard;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The method of a notification or request. */
export const methodOf = (incoming: Incoming): string =>
  incoming.kind === "notification" ? incoming.notification.method : incoming.request.method;

/** Waits for a request of the server. */
export async function requestOf(listener: Listener): Promise<ServerRequest> {
  const last = (await hearUntil(listener, ({ kind }) => kind === "request")).at(-1);
  ok(last?.kind === "request");
  return last.request;
}

export interface Ended {
  readonly turn: Turn;
  readonly heard: readonly Notification[];
}

/** Waits for the end of the thread's running turn. */
export async function endOfTurn(listener: Listener, threadId: string): Promise<Ended> {
  const heard = await hearUntil(
    listener,
    (incoming) =>
      incoming.kind === "notification" && incoming.notification.method === "turn/completed" &&
      incoming.notification.params.threadId === threadId,
  );
  const notifications = heard.flatMap((incoming) =>
    incoming.kind === "notification" ? [incoming.notification] : []
  );
  const last = notifications.at(-1);
  ok(last?.method === "turn/completed");
  return { turn: last.params.turn, heard: notifications };
}

/** One whole turn. */
export async function turnOf(
  connection: Connection,
  threadId: string,
  text: string,
  params: Partial<Params<"turn/start">> = {},
): Promise<Ended> {
  using listener = connection.listen();
  await connection.call("turn/start", { threadId, input: textInput(text), ...params });
  return await endOfTurn(listener, threadId);
}

/** What the agent said last in a turn. */
export function replyOf(turn: Turn | undefined): string | undefined {
  return turn?.items.flatMap((item) => item.type === "agentMessage" ? [item.text] : []).at(-1);
}
