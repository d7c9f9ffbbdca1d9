/** The workspace has one path on the host and another one in the container: requests say the host's, answers the container's. Pure. */

import type { PathMap } from "../lib/client_settings.ts";
import { AppError } from "../lib/errors.ts";
import type { Session } from "../lib/session.ts";
import type { Results } from "../lib/wire.ts";

/**
 * A path in the container as the host has it; outside of the workspace it is the host's already.
 *
 * @throws AppError (usage) for a path in the workspace when it is not known where the host has that.
 */
export function toHost(path: string, { host, container }: PathMap): string {
  const rest = below(path, container);
  if (rest === null) return path;
  if (host !== null) return under(host, rest);
  throw new AppError(
    "usage",
    `HOST_PATH is required when running in sandbox mode with ${container} paths (received ${path})`,
    "Set HOST_PATH to the folder of the host that is mounted there, and CONTAINER_WORKSPACE if it is mounted elsewhere",
  );
}

/** A path of the host as the container has it; what the container does not have stays as it is. */
export function toContainer(path: string, { host, container }: PathMap): string {
  const rest = host === null ? null : below(path, host);
  return rest === null ? path : under(container, rest);
}

/** What follows the folder in a path: empty for the folder itself, else with a slash in front; null outside of it. */
function below(path: string, folder: string): string | null {
  if (path === folder) return "";
  if (folder === "/") return path;
  return path.startsWith(`${folder}/`) ? path.slice(folder.length) : null;
}

function under(folder: string, rest: string): string {
  if (folder === "/") return rest === "" ? "/" : rest;
  return folder + rest;
}

/** A session with the paths of the container. */
export function sessionInContainer(session: Session, map: PathMap): Session {
  // Another host's paths are no paths of this one.
  if (session.host !== undefined) return session;
  const shown = (path: string) => toContainer(path, map);
  const { worktree } = session;
  return {
    ...session,
    path: shown(session.path),
    worktree: worktree === null
      ? null
      : { ...worktree, path: shown(worktree.path), repository: shown(worktree.repository) },
  };
}

export function listInContainer(listed: Results["list"], map: PathMap): Results["list"] {
  return listed.map((one) =>
    one.session.host !== undefined
      ? one
      : { ...one, session: { ...one.session, path: toContainer(one.session.path, map) } }
  );
}

export function killInContainer(result: Results["kill"], map: PathMap): Results["kill"] {
  if (result.worktrees === undefined) return result;
  return {
    ...result,
    worktrees: result.worktrees.map((one) => ({ ...one, path: toContainer(one.path, map) })),
  };
}

export function pruneInContainer(result: Results["prune"], map: PathMap): Results["prune"] {
  return {
    ...result,
    forgotten: result.forgotten.map((one) => ({
      ...one,
      worktree: one.worktree === null ? null : toContainer(one.worktree, map),
    })),
  };
}
