/** What the row of a Codex session in docker mode holds of its container. */

import * as v from "valibot";
import { containerName, enginePlace } from "../docker/names.ts";
import type { Deps } from "../../lib/deps.ts";
import type { Session } from "../../lib/session.ts";

/** Where Codex's things are in the container. */
export const AT = {
  codexHome: "/run/dev-sessions/codex",
  /**
   * Wherever it is to listen, Codex puts its socket there under a name of its own and a link to it at that place
   * (measured with 0.169.0); with both in one folder, the folder can be mounted.
   */
  socketFolder: (uid: number) => `/tmp/codex-daemon-${uid}`,
  link: "dev-sessions.sock",
} as const;

export const ContainerSchema = v.looseObject({
  /** Which engine, as environment variables. */
  engine: v.record(v.string(), v.string()),
  name: v.string(),
  /** Of the session: what it is found by. */
  token: v.string(),
  sessionId: v.string(),
  /** On this machine, as the two below. */
  workspace: v.string(),
  /** Its server alone writes there. */
  codexHome: v.string(),
  socketFolder: v.string(),
  /** Codex in the image. */
  program: v.string(),
  /** As whom it runs in there. */
  uid: v.number(),
});
export type CodexContainer = v.InferOutput<typeof ContainerSchema>;

/** @param at the session's own folder, and Codex in the image. */
export function plannedContainer(
  deps: Deps,
  session: Pick<Session, "id" | "token" | "path">,
  at: { readonly folder: string; readonly program: string },
): CodexContainer {
  return {
    engine: enginePlace(deps.env),
    name: containerName(session.id, session.token),
    token: session.token,
    sessionId: session.id,
    workspace: session.path,
    codexHome: `${at.folder}/codex`,
    socketFolder: `${at.folder}/socket`,
    program: at.program,
    uid: Deno.uid() ?? 0,
  };
}

/** The server's word for a file of its own, as a path on this machine; null for anything else. Pure. */
export function hostPathOf(container: CodexContainer, path: string | null): string | null {
  if (path === null || !path.startsWith(`${AT.codexHome}/`)) return null;
  const rest = path.slice(AT.codexHome.length);
  return rest.split("/").slice(1).every((part) => part !== "" && part !== "." && part !== "..")
    ? `${container.codexHome}${rest}`
    : null;
}
