/** Names of what belongs to a session's container, and which engine has it. Pure. */

import { PLACE_NAMES } from "../../lib/engine_place.ts";
import { baseName } from "../../lib/posix_path.ts";

/** Where things are in a container. */
export const INSIDE = {
  workspace: "/workspace",
  home: "/run/dev-sessions/home",
  gateway: "/run/dev-sessions/gateway",
} as const;

/** Three that nobody types by accident: Docker's own, Ctrl-P Ctrl-Q, would keep Ctrl-P from the agent. */
export const DETACH_KEYS = "--detach-keys=ctrl-@,ctrl-@,ctrl-@";

/** Which engine; kept with the session, so that later commands ask the same one. */
export type EnginePlace = Readonly<Record<string, string>>;

/** The engine that this environment names. */
export function enginePlace(env: Readonly<Record<string, string>>): EnginePlace {
  return Object.fromEntries(PLACE_NAMES.flatMap((name) => env[name] ? [[name, env[name]]] : []));
}

/** A name that says whose it is and that no other session ever has. */
export function containerName(id: string, token: string): string {
  return `dev-${id}-${token.slice(0, 8)}`;
}

/**
 * The folder name of what agents keep for a workspace: readable, and another one for every path (FNV-1a, 64 bits: the
 * paths are the user's own).
 */
export function projectKey(workspace: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(workspace)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  const readable = baseName(workspace).replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[.-]+/, "").slice(0, 40);
  return `${readable || "root"}-${hash.toString(16).padStart(16, "0")}`;
}
