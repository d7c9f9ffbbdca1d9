/** What a Claude session's row remembers, so that any later command finds the agent without its own environment. */

import * as v from "valibot";
import { AppError } from "../../lib/errors.ts";
import type { Session } from "../../lib/session.ts";

const ContainerSchema = v.variant("by", [
  /** One of ours; `configFolder` is what is mounted as Claude's. */
  v.looseObject({
    by: v.literal("docker"),
    /** Which engine, as environment variables. */
    engine: v.record(v.string(), v.string()),
    name: v.string(),
    /** Where the live registry of its Claude alone is, on this side. */
    registry: v.string(),
    /** With its start, which process of the engine is meant; null until it is made. */
    id: v.nullable(v.string()),
    startedAt: v.nullable(v.string()),
    /** Claude's pid in there; null where no live registry has named it. */
    agentPid: v.nullable(v.number()),
  }),
  /** The user's own wrapper, of which nothing is known but that it runs Claude at a terminal. */
  v.looseObject({ by: v.literal("clauded"), wrapper: v.string() }),
]);
export type ClaudeContainer = v.InferOutput<typeof ContainerSchema>;

export const HandleSchema = v.looseObject({
  /** tmux server socket; absolute. */
  socket: v.string(),
  tmuxSession: v.string(),
  /** `%12`; null until tmux has answered. */
  pane: v.nullable(v.string()),
  /** Claude's configuration folder; absolute. */
  configFolder: v.string(),
  /** Whether `CLAUDE_CONFIG_DIR` named it; Claude keeps its state elsewhere then, even for the usual folder. */
  configGiven: v.optional(v.boolean()),
  /** Real path of the workspace, which names the transcript's folder. */
  realPath: v.string(),
  /** In docker mode: how its container is reached. */
  container: v.optional(ContainerSchema),
});
export type ClaudeHandle = v.InferOutput<typeof HandleSchema>;

/** @throws AppError when the row holds no usable handle. */
export function handleOf(session: Pick<Session, "id" | "handle">): ClaudeHandle {
  const parsed = v.safeParse(HandleSchema, session.handle);
  if (parsed.success) return parsed.output;
  throw new AppError(
    "failure",
    `Cannot reach "${session.id}": its record does not say where its agent runs. ` +
      `See it with: dev-sessions inspect ${session.id}`,
  );
}

/** 0.4.4 named its tmux sessions so, and people attach by that name. */
export function tmuxSessionName(id: string): string {
  return `dev-${id}`;
}
