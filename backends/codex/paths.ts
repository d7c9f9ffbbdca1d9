/** Where Codex and its server keep what we read, and where we keep what we know of the server. */

import { pathsFrom } from "../../lib/paths.ts";
import { resolvePath, withoutTrailingSlash } from "../../lib/posix_path.ts";

type Env = Readonly<Record<string, string>>;

export interface ServerPaths {
  /** `~/.dev-sessions`, mode 0700. */
  readonly state: string;
  /** Which servers we started; 0.4.4 wrote its own server into the same file. */
  readonly metadata: string;
  readonly log: string;
  /** Held while a server is started or stopped. */
  readonly lock: string;
}

/** @throws AppError when HOME is unset or not absolute. */
export function serverPaths(env: Env): ServerPaths {
  const { state } = pathsFrom(env);
  const base = `${state}/codex-appserver`;
  return { state, metadata: `${base}.json`, log: `${base}.log`, lock: `${base}.lock` };
}

/** Codex's folder as Codex itself resolves it. @throws AppError when HOME is needed and unset. */
export function codexHomeFolder(env: Env, cwd: string): string {
  const configured = env["CODEX_HOME"];
  if (!configured) return `${withoutTrailingSlash(pathsFrom(env).home)}/.codex`;
  return withoutTrailingSlash(resolvePath(cwd, configured));
}

/** Where a server listens by default, i.e. with `--listen unix://`. */
export function controlSocket(codexHome: string): string {
  return `${codexHome}/app-server-control/app-server-control.sock`;
}
