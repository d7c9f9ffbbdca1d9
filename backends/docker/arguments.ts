/** The arguments that a session's container is made with. Pure. */

import { REGISTRY_LABEL, TOKEN_LABEL } from "./engine.ts";
import type { GatewayAccess } from "./gateway_access.ts";
import { INSIDE } from "./names.ts";
import { AppError } from "../../lib/errors.ts";
import type { DockerConfig } from "../../lib/config.ts";
import { baseName, folderOf } from "../../lib/posix_path.ts";

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

export interface ContainerSpec {
  readonly name: string;
  readonly token: string;
  /** The registry's id, which no other one has. */
  readonly registry: string;
  readonly sessionId: string;
  /** Real path of the workspace on the host. */
  readonly workspace: string;
  readonly config: DockerConfig;
  /** Null: dev-sessions on the host is not reached from the container. */
  readonly gateway: GatewayAccess | null;
  /** `1000:1000`; null leaves it to the image. */
  readonly user: string | null;
  /** With a terminal, for an agent that a person can join. */
  readonly terminal: boolean;
  readonly mounts: readonly Mount[];
  /** Visible to everyone who may look at the container; nothing secret. */
  readonly env: Readonly<Record<string, string>>;
  /** The container gets these from the environment of `docker create`. */
  readonly envNames: readonly string[];
  readonly command: readonly string[];
}

/** Ours alone: another value would lose the container, or what we know of it. */
const RESERVED = new Map([
  ["--name", "sessions have names of their own"],
  ["--rm", "containers are removed anyway"],
  ["--cidfile", "the id is kept in the registry"],
  ["--pull", "only images that are there are used"],
  ["--detach-keys", "they are set already"],
  ["--workdir", "the agent works in /workspace"],
  ["-w", "the agent works in /workspace"],
  ["--detach", "the agent needs its terminal"],
  ["-d", "the agent needs its terminal"],
]);

/** @throws AppError for an argument that `docker.args` must not have. */
export function assertUsableArguments(args: readonly string[], configFile: string): void {
  for (const argument of args) {
    const why = RESERVED.get(argument.split("=")[0] ?? "");
    if (why === undefined) continue;
    throw new AppError(
      "failure",
      `Cannot use the configuration "${configFile}": "docker.args" has ${argument}, but ${why}. Leave it out`,
    );
  }
}

/** Whether the user has said as whom the container is to run. */
export function choosesUser(args: readonly string[]): boolean {
  return args.some((argument) => /^(--user(=|$)|-u)/.test(argument) || /^--userns(=|$)/.test(argument));
}

/** For `docker create`. */
export function createArguments(spec: ContainerSpec): string[] {
  const { config } = spec;
  const gateway = spec.gateway === null ? null : gatewayOf(spec.gateway);
  const mounts = [
    { source: spec.workspace, target: INSIDE.workspace },
    ...spec.mounts,
    ...(gateway?.mounts ?? []),
  ];
  const env: Record<string, string> = {
    ...spec.env,
    ...gateway?.env,
    DEV_SESSIONS_ID: spec.sessionId,
    DEV_SESSIONS_SANDBOX: "1",
    HOST_PATH: spec.workspace,
    CONTAINER_WORKSPACE: INSIDE.workspace,
    IS_SANDBOX: "1",
  };
  return [
    // First, so that ours are the last word where an option counts once.
    ...config.args,
    // What a server has said is read after its end; what an agent has said, its pane shows.
    ...(spec.terminal ? ["--rm", "--interactive", "--tty"] : []),
    "--init",
    "--pull",
    "never",
    "--name",
    spec.name,
    "--hostname",
    spec.sessionId,
    "--label",
    `${TOKEN_LABEL}=${spec.token}`,
    "--label",
    `${REGISTRY_LABEL}=${spec.registry}`,
    ...(spec.user === null ? [] : ["--user", spec.user]),
    ...(gateway?.needsHostName ? ["--add-host", "host.docker.internal:host-gateway"] : []),
    ...mounts.flatMap((mount) => ["--mount", mountArgument(mount)]),
    "--workdir",
    INSIDE.workspace,
    ...Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    // Without a value, so that no secret is an argument of a process.
    ...spec.envNames.flatMap((name) => ["--env", name]),
    "--",
    config.image ?? "",
    ...spec.command,
  ];
}

/** Docker reads it as one line of CSV: a path may hold commas and quotes. */
export function mountArgument({ source, target, readOnly = false }: Mount): string {
  const fields = ["type=bind", `source=${source}`, `target=${target}`, ...(readOnly ? ["readonly"] : [])];
  return fields.map((field) => /[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field).join(",");
}

/**
 * A socket's folder is mounted, not the socket: a gateway that starts again makes another one. Read-only, or root in a
 * container could put a socket of its own there, and be told the tokens of others.
 */
function gatewayOf({ url, tokenFile }: GatewayAccess) {
  const socket = /^unix:(?:\/\/)?(\/.+)$/.exec(url)?.[1];
  const inside = socket === undefined ? url : `unix://${INSIDE.gateway}/socket/${baseName(socket)}`;
  const mounts: Mount[] = [
    { source: tokenFile, target: `${INSIDE.gateway}/token`, readOnly: true },
    ...(socket === undefined
      ? []
      : [{ source: folderOf(socket), target: `${INSIDE.gateway}/socket`, readOnly: true }]),
  ];
  return {
    mounts,
    env: {
      DEV_SESSIONS_GATEWAY_URL: inside,
      DEV_SESSIONS_GATEWAY_TOKEN_FILE: `${INSIDE.gateway}/token`,
    },
    needsHostName: url.includes("//host.docker.internal"),
  };
}
