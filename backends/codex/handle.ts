/** What a Codex session's row remembers, so that any later command finds its thread without its own environment. */

import * as v from "valibot";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { Session } from "../../lib/session.ts";
import { ContainerSchema } from "./container_handle.ts";
import { TOKEN_NAME, URL_NAME } from "./endpoint.ts";

const handle = v.looseObject({
  /** Absolute. */
  codexHome: v.string(),
  /** The user's own server; null: the one on the default socket of that CODEX_HOME. */
  url: v.nullable(v.string()),
  /** Path of the file with that server's token. */
  tokenFile: v.nullable(v.string()),
  /** Null until the server has answered. */
  threadId: v.nullable(v.string()),
  /** Of the thread's records at its start; the archive keeps their name. Null where the server runs elsewhere. */
  rollout: v.optional(v.nullable(v.string()), null),
  /** In docker mode: where its own server is. */
  container: v.optional(ContainerSchema),
});
export type CodexHandle = v.InferOutput<typeof handle>;

/** Null for a row of another form. */
export function parseHandle(stored: unknown): CodexHandle | null {
  const parsed = v.safeParse(handle, stored);
  return parsed.success ? parsed.output : null;
}

/** @throws AppError when the row holds no usable handle. */
export function handleOf(session: Pick<Session, "id" | "handle">): CodexHandle {
  const parsed = parseHandle(session.handle);
  if (parsed !== null) return parsed;
  throw new AppError(
    "failure",
    `Cannot reach "${session.id}": its record does not say where its thread is. ` +
      `See it with: dev-sessions inspect ${session.id}`,
  );
}

/** @throws AppError when the session has no thread (yet). */
export function threadOf(session: Pick<Session, "id" | "handle">): string {
  const { threadId } = handleOf(session);
  if (threadId !== null) return threadId;
  throw new AppError("failure", `Cannot reach "${session.id}": its thread was never started`);
}

/** The outside world as it was for the session's `create`: its server, not that of whoever runs this command. */
export function depsOf(deps: Deps, { url, tokenFile }: Pick<CodexHandle, "url" | "tokenFile">): Deps {
  const { [URL_NAME]: _, [TOKEN_NAME]: __, ...env } = deps.env;
  return {
    ...deps,
    env: {
      ...env,
      ...(url === null ? {} : { [URL_NAME]: url }),
      ...(tokenFile === null ? {} : { [TOKEN_NAME]: tokenFile }),
    },
  };
}
