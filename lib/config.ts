/** `~/.dev-sessions/config.json`: a missing file means the defaults, and a wrong one changes nothing. */

import * as v from "valibot";
import { parseDuration } from "./duration.ts";
import { AppError } from "./errors.ts";
import { isHostName } from "./host_names.ts";
import type { CreateRequest, SettledCreateRequest } from "./service.ts";
import { type AgentKind, type Mode, OFFERED_AGENTS, OFFERED_MODES } from "./session.ts";

const DEFAULT_MAX_SESSIONS = 50;
const DEFAULT_MAX_DEPTH = 5;

/** What `--mode docker` starts containers with. */
export interface DockerConfig {
  /** Null: none is set, so that only the user's own wrapper can start one. */
  readonly image: string | null;
  /** For `docker create`, before our own. */
  readonly args: readonly string[];
  /** Names of the variables that the container gets from the caller's environment. */
  readonly env: readonly string[];
  /** The agents in the image: a name on its PATH, or a path. */
  readonly claude: string;
  readonly codex: string;
  /** How the agent reaches dev-sessions on the host, where that is not as usual; null: not at all. */
  readonly gateway: { readonly url: string | null; readonly tokenFile: string | null } | null;
}

export interface Config {
  /** Null: sessions are never ended for being idle. */
  readonly endIdleAfter: { readonly ms: number; readonly text: string } | null;
  /** Sessions that may live at once. */
  readonly maxSessions: number;
  /** How far from the first one of its family a session may be. */
  readonly maxDepth: number;
  /** Further names that callers of the gateway may use for this machine. */
  readonly gatewayHosts: readonly string[];
  /** For `create` where no flag says otherwise. */
  readonly defaults: {
    readonly cli: AgentKind | null;
    readonly mode: Mode | null;
    readonly model: string | null;
  };
  readonly docker: DockerConfig;
}

const count = (least: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(least));

/** To a schema of objects a list is one, too. */
const isNoList = v.custom<Record<string, unknown>>((input) => !Array.isArray(input));

const DEFAULTS = {
  cli: v.optional(v.picklist(OFFERED_AGENTS)),
  mode: v.optional(v.picklist(OFFERED_MODES)),
  model: v.optional(v.pipe(v.string(), v.check((text) => text.trim() !== ""))),
};
const nonEmpty = v.pipe(v.string(), v.check((given) => given.trim() !== ""));
const variable = v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/));
const GATEWAY = {
  url: v.optional(nonEmpty),
  tokenFile: v.optional(v.pipe(v.string(), v.startsWith("/"))),
};
const DOCKER = {
  // Docker would take one that begins with a dash for an option.
  image: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9]\S*$/))),
  args: v.optional(v.array(nonEmpty)),
  env: v.optional(v.array(variable)),
  claude: v.optional(nonEmpty),
  codex: v.optional(nonEmpty),
  gateway: v.optional(
    v.lazy((input) => input === false ? v.literal(false) : v.pipe(isNoList, v.strictObject(GATEWAY))),
  ),
};
const KEYS = {
  endIdleAfter: v.optional(v.pipe(v.string(), v.check((text) => parseDuration(text) !== null))),
  maxSessions: v.optional(count(1)),
  maxDepth: v.optional(count(0)),
  gatewayHosts: v.optional(v.array(v.pipe(v.string(), v.check(isHostName)))),
  defaults: v.optional(v.pipe(isNoList, v.strictObject(DEFAULTS))),
  docker: v.optional(v.pipe(isNoList, v.strictObject(DOCKER))),
};
const ConfigSchema = v.pipe(isNoList, v.strictObject(KEYS));

const DEFAULTS_KEYS = Object.keys(DEFAULTS).join(", ");
const DOCKER_KEYS = Object.keys(DOCKER).join(", ");
const GATEWAY_KEYS = Object.keys(GATEWAY).join(", ");
const TOP_KEYS = Object.keys(KEYS).join(", ");

/** What each key may be, for errors. */
const ALLOWED: Readonly<Record<string, string>> = {
  "endIdleAfter": 'a duration such as "30m", "48h" or "7d"',
  "maxSessions": "a whole number from 1 on",
  "maxDepth": "a whole number from 0 on",
  "gatewayHosts": 'a list of names of this machine, without ports, such as ["build.example"]',
  "defaults": `an object with ${DEFAULTS_KEYS}`,
  "defaults.cli": quoted(OFFERED_AGENTS),
  "defaults.mode": quoted(OFFERED_MODES),
  "defaults.model": "the name of a model, as the agent names it",
  "docker": `an object with ${DOCKER_KEYS}`,
  "docker.image": 'the name of an image, such as "my-agents:latest"',
  "docker.args": 'a list of arguments for "docker create", such as ["--network", "host"]',
  "docker.env": 'a list of names of variables, such as ["GH_TOKEN"]',
  "docker.claude": "the name or path of Claude Code in the image",
  "docker.codex": "the name or path of Codex in the image",
  "docker.gateway": `false, or an object with ${GATEWAY_KEYS}`,
  "docker.gateway.url": "the address of the gateway as the container reaches it",
  "docker.gateway.tokenFile": "the absolute path of a file that holds a token of the gateway",
};

/** @throws AppError when the file is there and can't be read or is not valid. */
export function readConfig(file: string): Config {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return parseConfig("{}", file);
    throw wrong(file, (error as Error).message, "Make it readable for you, or remove it");
  }
  return parseConfig(text, file);
}

/**
 * @param file named in errors only.
 * @throws AppError that names the file, the key and what it may be. Pure.
 */
export function parseConfig(text: string, file: string): Config {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw wrong(file, `it is not valid JSON (${(error as Error).message})`, "Correct or remove it");
  }
  const parsed = v.safeParse(ConfigSchema, json, { abortEarly: true });
  if (!parsed.success) throw explained(parsed.issues[0], file);
  const { endIdleAfter, maxSessions, maxDepth, gatewayHosts, defaults, docker } = parsed.output;
  return {
    endIdleAfter: endIdleAfter === undefined
      ? null
      : { ms: parseDuration(endIdleAfter)!, text: endIdleAfter },
    maxSessions: maxSessions ?? DEFAULT_MAX_SESSIONS,
    maxDepth: maxDepth ?? DEFAULT_MAX_DEPTH,
    gatewayHosts: gatewayHosts ?? [],
    defaults: { cli: defaults?.cli ?? null, mode: defaults?.mode ?? null, model: defaults?.model ?? null },
    docker: {
      image: docker?.image ?? null,
      args: docker?.args ?? [],
      env: docker?.env ?? [],
      claude: docker?.claude ?? "claude",
      codex: docker?.codex ?? "codex",
      gateway: docker?.gateway === false
        ? null
        : { url: docker?.gateway?.url ?? null, tokenFile: docker?.gateway?.tokenFile ?? null },
    },
  };
}

/** What the request leaves open is as the user has set it, or as it usually is. Pure. */
export function withDefaults(
  request: CreateRequest,
  { defaults }: Pick<Config, "defaults">,
): SettledCreateRequest {
  return {
    ...request,
    agent: request.agent ?? defaults.cli ?? "claude",
    mode: request.mode ?? defaults.mode ?? "yolo",
    model: request.model ?? defaults.model,
  };
}

function explained(issue: v.InferIssue<typeof ConfigSchema>, file: string): AppError {
  // Of a list it is the list that is wrong.
  const path = v.getDotPath(issue)?.replace(/^(gatewayHosts|docker\.(?:args|env))\.\d+$/, "$1") ?? null;
  const allowed = path !== null && Object.hasOwn(ALLOWED, path) ? ALLOWED[path] : undefined;
  if (path === null) return wrong(file, "it is no JSON object", `Its keys may be ${TOP_KEYS}`);
  if (allowed !== undefined) {
    return wrong(file, `"${path}" is ${shown(issue.input)}`, `It must be ${allowed}`);
  }
  const keys = path.startsWith("defaults.")
    ? DEFAULTS_KEYS
    : path.startsWith("docker.gateway.")
    ? GATEWAY_KEYS
    : path.startsWith("docker.")
    ? DOCKER_KEYS
    : TOP_KEYS;
  return wrong(file, `there is no key "${path}"`, `The keys are ${keys}`);
}

function shown(input: unknown): string {
  const text = JSON.stringify(input) ?? String(input);
  return text.length <= 60 ? text : `${text.slice(0, 60)}...`;
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(" or ");
}

function wrong(file: string, why: string, help: string): AppError {
  return new AppError("failure", `Cannot use the configuration "${file}": ${why}. ${help}`);
}
