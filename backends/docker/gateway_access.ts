/**
 * How an agent in a container reaches dev-sessions on its host: an address, and a token of its own that starts further
 * agents in containers on the same workspace, sees only those, and ends with its session.
 */

import type { DockerConfig } from "../../lib/config.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { knownGatewayPort, type Paths } from "../../lib/paths.ts";

/** Sessions that its agent may have at once; the limits of the registry hold beside it. */
const MAX_SESSIONS = 10;
/** The session's end comes sooner; a resume makes another one. */
const TTL_MS = 365 * 24 * 3_600_000;

export interface GatewayAccess {
  /** As this machine names it: `unix:///...` or `http://host.docker.internal:<port>`. */
  readonly url: string;
  readonly tokenFile: string;
}

/**
 * What is mounted into the session's container; null when the user wants none, or when no token can be made.
 *
 * @throws AppError (usage) for a port of the environment that can't be used, where the address has one.
 */
export async function gatewayAccess(
  deps: Deps,
  paths: Paths,
  session: { readonly id: string; readonly token: string; readonly workspace: string },
  config: DockerConfig["gateway"],
): Promise<GatewayAccess | null> {
  if (config === null) return null;
  // Not among what an agent goes without: the user has set it, and is told.
  const port = config.url === null && Deno.build.os !== "linux" ? knownGatewayPort(deps.env) : null;
  try {
    const url = config.url ?? await usualUrl(port, paths);
    return { url, tokenFile: config.tokenFile ?? await ownToken(deps, paths, session) };
  } catch (error) {
    // E.g. a folder that can't be the socket's: its agent goes without.
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Sockets of this machine can be used in containers on Linux only, elsewhere these are in a machine of their own. */
async function usualUrl(port: number | null, paths: Paths): Promise<string> {
  if (port !== null) return `http://host.docker.internal:${port}`;
  const { prepareSocketFolder } = await import("../../gateway/socket_folder.ts");
  // Made now, so that a gateway that starts later is reached, too.
  return `unix://${prepareSocketFolder(paths.gatewaySocketFolder)}`;
}

async function ownToken(
  deps: Deps,
  paths: Paths,
  { id, token: boundTo, workspace }: Parameters<typeof gatewayAccess>[2],
): Promise<string> {
  const { createToken, revokeTokens } = await import("../../gateway/token_admin.ts");
  const { parseToken } = await import("../../gateway/tokens.ts");
  const file = `${paths.sessionFolder(boundTo)}/gateway-token`;
  const before = parseToken(textOf(file));
  const { token } = await createToken({
    name: id,
    roots: [workspace],
    mode: "docker",
    agents: [],
    verbs: null,
    maxSessions: MAX_SESSIONS,
    ttlMs: TTL_MS,
    boundTo,
  }, deps);
  Deno.writeTextFileSync(file, `${token}\n`, { mode: 0o600 });
  if (before?.kind === "scoped") revokeTokens([before.id], deps);
  return file;
}

function textOf(file: string): string {
  try {
    return Deno.readTextFileSync(file).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
