/**
 * Claude in a container of ours: what must be there before anything is made, what it is given, and what it is not. The
 * container writes to its own folders alone, and nothing that we read there is believed without a check.
 */

import { isTooHeavy } from "../docker/allowance.ts";
import { assertUsableArguments, choosesUser, createArguments, type Mount } from "../docker/arguments.ts";
import { Engine, engineEnvironment, type Label, TOKEN_LABEL } from "../docker/engine.ts";
import { gatewayAccess } from "../docker/gateway_access.ts";
import { removeLeft } from "../docker/leftovers.ts";
import { DETACH_KEYS, enginePlace, INSIDE } from "../docker/names.ts";
import { markShared, readText } from "../docker/shared_files.ts";
import { assertMayBeMounted } from "../docker/workspace.ts";
import type { CreateSpec } from "../backend.ts";
import { type Config, type DockerConfig, readConfig } from "../../lib/config.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { sizeOf } from "../../lib/files.ts";
import { registryIdOf } from "../../lib/open_registry.ts";
import { claudeConfigFolder, type Paths } from "../../lib/paths.ts";
import { removeTree } from "../../lib/remove_tree.ts";
import type { Session } from "../../lib/session.ts";
import { type ClaudeContainer, type ClaudeHandle, handleOf } from "./handle.ts";
import { hookScript } from "./hook_script.ts";
import {
  claudeArguments,
  launcherScript,
  type SessionFolder,
  sessionFolder,
  settingsJson,
  shellQuote,
} from "./launch_files.ts";
import { executableOnPath } from "../executable.ts";
import { findWrapper, projectFolder } from "./planned_container.ts";

/** Where Claude's things are in the container. */
const AT = {
  config: "/run/dev-sessions/claude",
  liveRegistry: "/run/dev-sessions/claude/sessions",
  credentials: "/run/dev-sessions/claude/.credentials.json",
  events: "/run/dev-sessions/events",
  requests: "/run/dev-sessions/requests",
  answers: "/run/dev-sessions/answers",
  /** Hook and settings. */
  agent: "/run/dev-sessions/agent",
} as const;

/** Claude's own ways to sign in by environment. */
const CREDENTIAL_NAMES = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"] as const;
/** Which model is asked, and where; without them credentials are worth nothing. */
const PROVIDER_NAMES = ["ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "ANTHROPIC_CUSTOM_HEADERS"] as const;
const OTHER_PROVIDER = /^CLAUDE_CODE_USE_/;

/** The pane's terminal is tmux, whose own description few images have. */
const TERMINAL = "xterm-256color";
/** What Claude keeps of an API key that was approved. */
const KEY_CHARACTERS = 20;

/** What we write or mount in Claude's folder. */
const KINDS = { ".claude.json": "file", ".credentials.json": "file", "sessions": "folder" } as const;

type OwnContainer = Extract<ClaudeContainer, { by: "docker" }>;

/** @throws AppError that says what is missing: engine, image or credentials. */
export async function preflightContainer(
  deps: Deps,
  paths: Paths,
  request: { readonly path: string; readonly worktree?: unknown },
  isLive: (token: string) => boolean,
): Promise<void> {
  const action = "create a session in docker mode";
  if (request.worktree !== undefined && request.worktree !== null) {
    throw new AppError(
      "usage",
      `Cannot ${action} with --worktree: the repository that a worktree belongs to is not in the container. ` +
        "Leave it out, or use --mode yolo",
    );
  }
  const realPath = Deno.realPathSync(request.path);
  assertMayBeMounted(realPath, paths.state, action);
  if (findWrapper(deps.env) !== null) return;
  const { docker } = readConfig(paths.config);
  await assertCanStart(deps, paths, docker, `${projectFolder(paths, realPath)}/claude`, action);
  await removeLeft(deps, new Engine(deps, enginePlace(deps.env)), isLive);
}

async function assertCanStart(
  deps: Deps,
  paths: Paths,
  docker: DockerConfig,
  configFolder: string,
  action: string,
  place = enginePlace(deps.env),
): Promise<void> {
  if (docker.image === null) {
    throw new AppError(
      "failure",
      `Cannot ${action}: there is no clauded on PATH, and no image is set. ` +
        `Set one that has Claude Code, in "${paths.config}": {"docker": {"image": "my-agents:latest"}}`,
    );
  }
  assertUsableArguments(docker.args, paths.config);
  await new Engine(deps, place).assertReady(docker.image, action);
  assertUsableFolder(configFolder, action);
  if (credentialsFor(deps.env, paths, docker, configFolder) === null) {
    throw new AppError(
      "failure",
      `Cannot ${action}: Claude has no credentials for the container. Set ANTHROPIC_API_KEY, or ` +
        `CLAUDE_CODE_OAUTH_TOKEN (from: claude setup-token), or sign in with claude on this machine, which keeps ` +
        `"${claudeConfigFolder(deps.env, paths.home)}/.credentials.json" on Linux`,
    );
  }
}

/** `environment`: a variable that is passed; `container`: it has signed in there before; a path: the user's own file. */
type Credentials = { readonly from: "environment" | "container" } | {
  readonly from: "file";
  readonly path: string;
};

export function credentialsFor(
  env: Deps["env"],
  paths: Paths,
  docker: Pick<DockerConfig, "env">,
  configFolder: string,
): Credentials | null {
  const names = [...CREDENTIAL_NAMES, ...docker.env.filter((name) => OTHER_PROVIDER.test(name))];
  if (names.some((name) => env[name])) return { from: "environment" };
  if (sizeOf(`${configFolder}/.credentials.json`)) return { from: "container" };
  const path = `${claudeConfigFolder(env, paths.home)}/.credentials.json`;
  return sizeOf(path) ? { from: "file", path } : null;
}

/**
 * Makes the session's container, not started yet, and writes the launcher that starts it in a pane.
 *
 * @throws AppError with the engine's words.
 */
export async function prepareContainer(
  deps: Deps,
  paths: Paths,
  spec: CreateSpec & { readonly action?: string },
  resume: boolean,
): Promise<{ folder: SessionFolder; session: Session }> {
  const { session, action = `create a session in "${session.path}"` } = spec;
  const handle = handleOf(session);
  const container = ownContainer(handle);
  const config: Config = readConfig(paths.config);
  const engine = new Engine(deps, container.engine);
  const workspace = Deno.realPathSync(session.path);
  assertMayBeMounted(workspace, paths.state, action);
  await assertCanStart(deps, paths, config.docker, handle.configFolder, action, container.engine);
  const folder = sessionFolder(paths.sessionFolder(session.token));
  const credentials = credentialsFor(deps.env, paths, config.docker, handle.configFolder);
  // What another life of its agent said there must not be taken for its new one's word.
  await removeTree(folder.registry, deps);
  await removeTree(folder.requests, deps);
  writeFiles(folder, handle, projectFolder(paths, workspace), deps.env["ANTHROPIC_API_KEY"]);

  const rootless = await engine.isRootless();
  const own = rootless || choosesUser(config.docker.args) ? null : `${Deno.uid()}:${Deno.gid()}`;
  const place = await engine.settledPlace();
  const mark: Label = [TOKEN_LABEL, session.token];
  const id = await engine.create(
    createArguments({
      name: container.name,
      mark,
      registry: registryIdOf(deps),
      sessionId: session.id,
      workspace,
      config: config.docker,
      gateway: await gatewayAccess(
        deps,
        paths,
        { id: session.id, token: session.token, workspace },
        config.docker.gateway,
      ),
      user: own,
      terminal: true,
      mounts: [
        ...mountsOf(folder, handle, projectFolder(paths, workspace)),
        ...(credentials?.from === "file" ? [{ source: credentials.path, target: AT.credentials }] : []),
      ],
      env: {
        // The user that we choose may have no home in the image, and none that it may write to.
        ...(own === null ? {} : { HOME: INSIDE.home }),
        TERM: TERMINAL,
        CLAUDE_CONFIG_DIR: AT.config,
        CLAUDE_CODE_SANDBOXED: "1",
        CLAUDE_CODE_FORCE_SESSION_PERSISTENCE: "1",
        CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN: "1",
        DISABLE_AUTOUPDATER: "1",
        ...(resume ? { CLAUDE_CODE_RESUME_TOKEN_THRESHOLD: "1000000000" } : {}),
      },
      envNames: [...new Set([...CREDENTIAL_NAMES, ...PROVIDER_NAMES, ...config.docker.env])]
        .filter((name) => deps.env[name] !== undefined),
      command: claudeArguments({
        binary: config.docker.claude,
        sessionId: session.agentSessionId ?? "",
        resume,
        settings: `${AT.agent}/settings.json`,
        mode: "yolo",
        model: session.model,
        agentArgs: spec.agentArgs,
      }),
    }),
    { env: deps.env, mark, action },
  );
  Deno.writeTextFileSync(
    folder.launcher,
    launcherScript({
      env: terminalEnvironment(engineEnvironment(deps.env, place)),
      cwd: session.path,
      command: [
        onPath(deps.env, "docker"),
        "start",
        "--attach",
        "--interactive",
        DETACH_KEYS,
        id,
      ],
    }),
    { mode: 0o600 },
  );
  return {
    folder,
    session: { ...session, handle: { ...handle, container: { ...container, engine: place, id } } },
  };
}

/** When the engine started it: with its id, that is which process is meant. */
export async function startOf(deps: Deps, handle: ClaudeHandle): Promise<string | null> {
  const { engine, id } = ownContainer(handle);
  const state = id === null ? { kind: "absent" as const } : await new Engine(deps, engine).state(id);
  return state.kind === "running" ? state.startedAt : null;
}

/** Ends and removes the session's container, if it has one of ours. */
export async function removeContainer(
  deps: Deps,
  session: Session,
  options: { readonly lookAgain: boolean },
): Promise<"gone" | "unknown"> {
  const { container } = handleOf(session);
  if (container?.by !== "docker") return "gone";
  return await new Engine(deps, container.engine).remove(session.token, options);
}

/** Whether one of its containers runs; a container of a former life that does not is removed. */
export async function runsStill(deps: Deps, session: Session): Promise<boolean | "unknown"> {
  const { container } = handleOf(session);
  if (container?.by !== "docker") return false;
  const engine = new Engine(deps, container.engine);
  const found = await engine.labelled([TOKEN_LABEL, session.token]);
  if (found === "unknown") return "unknown";
  if (found.some(({ running }) => running)) return true;
  return await engine.remove(session.token, { lookAgain: false }) === "unknown" ? "unknown" : false;
}

function mountsOf(folder: SessionFolder, handle: ClaudeHandle, project: string): Mount[] {
  return [
    { source: handle.configFolder, target: AT.config },
    // Pids are small in a container: without its own, two of one workspace would write the same file.
    { source: folder.registry, target: AT.liveRegistry },
    { source: `${project}/home`, target: INSIDE.home },
    { source: folder.events, target: AT.events },
    { source: folder.requests, target: AT.requests },
    { source: folder.answers, target: AT.answers, readOnly: true },
    { source: folder.contained, target: AT.agent, readOnly: true },
  ];
}

function writeFiles(
  folder: SessionFolder,
  handle: ClaudeHandle,
  project: string,
  apiKey: string | undefined,
) {
  const { configFolder } = handle;
  for (
    const path of [
      folder.events,
      folder.requests,
      folder.answers,
      folder.contained,
      folder.registry,
      `${project}/home`,
      configFolder,
    ]
  ) Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const path of [configFolder, folder.events, folder.registry]) markShared(path);
  const write = (path: string, text: string) => Deno.writeTextFileSync(path, text, { mode: 0o600 });
  write(`${folder.contained}/hook.sh`, hookScript(AT.events, "container"));
  write(`${folder.contained}/settings.json`, settingsJson(`${AT.agent}/hook.sh`, "yolo"));
  writeState(`${configFolder}/.claude.json`, apiKey);
}

/** What a container may have made in Claude's folder, where something else belongs, would be in every later one's way. */
function assertUsableFolder(configFolder: string, action: string): void {
  for (const [name, kind] of Object.entries(KINDS)) {
    const path = `${configFolder}/${name}`;
    if (!isOther(path, kind)) continue;
    throw new AppError(
      "failure",
      `Cannot ${action}: a container has put something at "${path}" that is no ${kind}, where Claude needs one. ` +
        `Look at it, and remove it with: rm -rf ${shellQuote(path)}`,
    );
  }
}

function isOther(path: string, kind: "file" | "folder"): boolean {
  try {
    const { isDirectory } = Deno.lstatSync(path);
    return isDirectory !== (kind === "folder");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Nobody is there to go through Claude's first-run questions. */
function writeState(file: string, apiKey: string | undefined): void {
  const before = readState(file);
  const after = withoutQuestions(before ?? {}, apiKey);
  if (before !== null && JSON.stringify(before) === JSON.stringify(after)) return;
  const part = `${file}.${crypto.randomUUID()}`;
  // Made anew and put in its place, so that no link of the container's is written through.
  Deno.writeTextFileSync(part, JSON.stringify(after, null, 2), { createNew: true, mode: 0o600 });
  Deno.renameSync(part, file);
}

type State = Record<string, unknown>;

function readState(file: string): State | null {
  try {
    const text = readText(file);
    if (isTooHeavy(text)) return null;
    const state: unknown = JSON.parse(text);
    return typeof state === "object" && state !== null && !Array.isArray(state) ? state as State : null;
  } catch {
    return null;
  }
}

/** Claude's state, set up, and with the key in its environment approved. Pure. */
export function withoutQuestions(state: State, apiKey: string | undefined): State {
  const settled = { ...state, hasCompletedOnboarding: true };
  if (!apiKey) return settled;
  const responses = state["customApiKeyResponses"] as { approved?: unknown; rejected?: unknown } | undefined;
  const known = Array.isArray(responses?.approved) ? responses.approved : [];
  const key = apiKey.slice(-KEY_CHARACTERS);
  if (known.includes(key)) return settled;
  return { ...settled, customApiKeyResponses: { approved: [...known, key], rejected: [] } };
}

function ownContainer(handle: ClaudeHandle): OwnContainer {
  if (handle.container?.by === "docker") return handle.container;
  throw new AppError("failure", "Cannot start the session's container: its record names none");
}

/** What the engine's command line needs to reach it, and nothing that is an agent's. */
function terminalEnvironment(env: Deps["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) =>
      /^(PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|XDG_RUNTIME_DIR|SSH_AUTH_SOCK|DOCKER_[A-Z_]+)$/.test(name)
    ),
  );
}

/** tmux gives its panes a PATH of its own. */
function onPath(env: Deps["env"], name: string): string {
  return executableOnPath(env, name) ?? name;
}
