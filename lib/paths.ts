/** Every path and every environment override of dev-sessions. Nothing elsewhere builds a path in the home folder. */

import { currentFolder } from "./current_folder.ts";
import { AppError } from "./errors.ts";
import { type Folder, resolvePath, withoutTrailingSlash } from "./posix_path.ts";

type Env = Readonly<Record<string, string>>;

export interface Paths {
  readonly home: string;
  /** `~/.dev-sessions`, mode 0700. */
  readonly state: string;
  /** What the user has set, see `config.ts`. */
  readonly config: string;
  /** One line: the absolute path of the installed executable, written by whoever installs it. */
  readonly executable: string;
  /** What the gateway prints when it runs as a service. */
  readonly gatewayLog: string;
  /** The registry. */
  readonly database: string;
  /** What happened to the sessions, in order; built from the agents' records by its readers. */
  readonly events: string;
  /** 0.4.4's registry: imported once, never written. */
  readonly legacyRegistry: string;
  /** What agents in containers keep, a folder for each workspace; the containers write to it. */
  readonly containers: string;
  /** Locks over processes that belong to no session, each a file. */
  readonly locks: string;
  /** The gateway's master token. */
  readonly gatewayToken: string;
  /** Of the gateway's unix socket, which stands alone in it so that it can be mounted into containers. */
  readonly gatewaySocketFolder: string;
  /** The sessions' own folders. */
  readonly sessions: string;
  /** One of them: hook log, settings, launcher, send lock. Named by the random token, not by the id. */
  sessionFolder(token: string): string;
}

/** @throws AppError when HOME is unset or not absolute. */
export function pathsFrom(env: Env): Paths {
  const home = env["HOME"] ?? "";
  if (!home.startsWith("/")) {
    throw new AppError(
      "failure",
      `Cannot find your home folder: HOME is ${
        home === "" ? "not set" : `"${home}"`
      }. Set HOME to an absolute path`,
    );
  }
  const state = `${withoutTrailingSlash(home)}/.dev-sessions`;
  return {
    home,
    state,
    config: `${state}/config.json`,
    executable: `${state}/executable`,
    gatewayLog: `${state}/gateway.log`,
    database: `${state}/dev-sessions.db`,
    events: `${state}/events.db`,
    legacyRegistry: `${state}/sessions.json`,
    containers: `${state}/containers`,
    locks: `${state}/locks`,
    gatewayToken: `${state}/gateway-token`,
    gatewaySocketFolder: `${state}/gateway`,
    sessions: `${state}/sessions`,
    sessionFolder: (token) => {
      if (!/^[0-9a-f-]{36}$/.test(token)) throw new Error(`Not a session token: ${token}`);
      return `${state}/sessions/${token}`;
    },
  };
}

/** As 0.4.4 had it, which its clients still ask. */
const GATEWAY_PORT = 6767;

/** Where the gateway listens unless it is told otherwise; 0: on any free port. @throws AppError (usage) as below. */
export function gatewayPort(env: Env): number {
  return gatewayPortSet(env) ?? GATEWAY_PORT;
}

/** Null where the environment names none. @throws AppError (usage) for what is no port. */
export function gatewayPortSet(env: Env): number | null {
  const configured = env["DEV_SESSIONS_GATEWAY_PORT"] ?? "";
  if (configured === "") return null;
  const port = /^\d{1,5}$/.test(configured) ? Number(configured) : NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw new AppError(
    "usage",
    `Cannot use DEV_SESSIONS_GATEWAY_PORT=${JSON.stringify(configured)}: it must be a port`,
    "A port is 1 to 65535; 0 takes any that is free. Set it to one, or unset it",
  );
}

/** Of a gateway that somebody else is to find. @throws AppError (usage), also for a port that nobody can know. */
export function knownGatewayPort(env: Env): number {
  const port = gatewayPort(env);
  if (port !== 0) return port;
  throw new AppError(
    "usage",
    "Cannot tell the gateway's port: DEV_SESSIONS_GATEWAY_PORT=0 takes any that is free",
    "Set it to the port that the gateway has, or unset it",
  );
}

/** Claude's configuration folder as Claude itself resolves it. */
export function claudeConfigFolder(env: Env, home: string): string {
  const configured = env["CLAUDE_CONFIG_DIR"];
  if (!configured) return `${withoutTrailingSlash(home)}/.claude`;
  return withoutTrailingSlash(configured.startsWith("/") ? configured : `${currentFolder()}/${configured}`);
}

/** Claude's own state: beside its folder, and within it when CLAUDE_CONFIG_DIR names one. */
export function claudeStateFile(home: string, configured: string | null): string {
  return configured === null ? `${home}/.claude.json` : `${configured}/.claude.json`;
}

/** What we know of the Codex servers that we started. */
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
export function codexHomeFolder(env: Env, cwd: Folder): string {
  const configured = env["CODEX_HOME"];
  if (!configured) return `${withoutTrailingSlash(pathsFrom(env).home)}/.codex`;
  return withoutTrailingSlash(resolvePath(cwd, configured));
}

/** Whose skills: the user's, or those of the folder that a command runs in. */
export type SkillScope = "global" | "local";

/**
 * Where an agent looks for skills.
 *
 * @throws AppError when HOME is needed and unset.
 */
export function skillsFolder(agent: "claude" | "codex", scope: SkillScope, env: Env, cwd: Folder): string {
  if (scope === "local") return resolvePath(cwd, `.${agent}/skills`);
  switch (agent) {
    case "claude":
      return `${claudeConfigFolder(env, pathsFrom(env).home)}/skills`;
    case "codex":
      return `${codexHomeFolder(env, cwd)}/skills`;
  }
}

/** Where a Codex server listens by default, i.e. with `--listen unix://`. */
export function controlSocket(codexHome: string): string {
  return `${codexHome}/app-server-control/app-server-control.sock`;
}

/**
 * The tmux socket that plain `tmux` would use here: that of the pane we run in, else the default one. Like tmux,
 * a TMUX_TMPDIR that is no folder counts as unset.
 */
export function tmuxSocket(env: Env, uid: number): string {
  const inside = env["TMUX"]?.split(",")[0];
  if (inside) return inside;
  return `${tmuxFolder(env)}/tmux-${uid}/default`;
}

function tmuxFolder(env: Env): string {
  const configured = env["TMUX_TMPDIR"];
  if (configured) {
    try {
      return Deno.realPathSync(configured);
    } catch {
      // As tmux does: fall back to the default.
    }
  }
  try {
    return Deno.realPathSync("/tmp");
  } catch {
    return "/tmp";
  }
}

/** Where the sockets of shared ssh connections may stand, the best first; the state folder is there already. */
export function controlFolders(env: Env, uid: number): string[] {
  const runtime = env["XDG_RUNTIME_DIR"] ?? "";
  return [
    `${pathsFrom(env).state}/ssh`,
    ...(runtime.startsWith("/") ? [`${withoutTrailingSlash(runtime)}/dev-sessions-ssh`] : []),
    `/tmp/dev-sessions-ssh-${uid}`,
  ];
}
