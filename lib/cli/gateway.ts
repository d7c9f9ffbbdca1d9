/** `gateway`: serves the sessions of this machine to containers and other programs, until it is stopped. */

import { buildCommand } from "@stricli/core";
import { type Bind, parseBind } from "../../gateway/bind.ts";
import { isHostName } from "../host_names.ts";
import type { GatewayOptions } from "../../gateway/run.ts";
import { gatewayPort } from "../paths.ts";
import { resolvePath } from "../posix_path.ts";
import { assertGatewayHost } from "./gateway_host.ts";
import type { Result } from "./output.ts";
import { nonEmpty } from "./parsers.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

export interface GatewayFlags {
  readonly port: number | undefined;
  readonly bind: readonly Bind[] | undefined;
  readonly insecureBind: boolean;
  readonly socketDir: string | undefined;
  readonly allowHost: readonly string[] | undefined;
}

const PLAIN_HTTP_NOTE =
  "[dev-sessions] beyond this machine tokens go over the network as plain text: whoever reads the traffic may use them";

export async function* run(options: GatewayOptions, context: CliContext): AsyncIterable<Result> {
  assertGatewayHost(context.deps.env, "serve sessions", "gateway");
  const { startGateway } = await import("../../gateway/run.ts");
  const gateway = await startGateway(options, context.deps);
  const isOpen = options.binds.some((bind) => bind.kind === "address" && bind.reach !== "loopback");
  const stop = new AbortController();
  const serving = gateway.serve(AbortSignal.any([context.signal, stop.signal]));
  // It is awaited below, whatever becomes of the line before.
  serving.catch(() => {});
  try {
    yield { notes: isOpen ? [PLAIN_HTTP_NOTE] : [], text: `Gateway listening on port ${gateway.port}` };
    await serving;
  } finally {
    stop.abort();
    await serving;
  }
}

export function gatewayOptions(
  flags: GatewayFlags,
  { env, cwd }: Pick<ParseContext, "env" | "cwd">,
): GatewayOptions {
  const binds = flags.bind ?? [];
  if (!flags.insecureBind && binds.some((bind) => bind.kind === "address" && bind.reach === "everywhere")) {
    throw usageError(
      "Cannot listen on every address of this machine: everyone who can reach it could try tokens, and read them",
      "Containers need --bind docker only. If it must be, add --insecure-bind",
    );
  }
  return {
    port: flags.port ?? gatewayPort(env),
    binds,
    socketFolder: flags.socketDir === undefined ? null : resolvePath(cwd, flags.socketDir),
    allowHosts: flags.allowHost ?? [],
  };
}

/** 0 takes any free port. */
function port(input: string): number {
  const value = /^\d{1,5}$/.test(input) ? Number(input) : NaN;
  if (value >= 0 && value <= 65_535) return value;
  throw usageError("--port must be a positive integer", "A port is at most 65535; 0 takes any that is free");
}

function bind(input: string): Bind {
  const parsed = parseBind(input);
  if (parsed !== null) return parsed;
  throw usageError(`--bind must be an address or docker: ${JSON.stringify(input)}`);
}

function hostName(input: string): string {
  if (isHostName(input)) return input;
  throw usageError(`--allow-host must be the name of a host, without a port: ${JSON.stringify(input)}`);
}

/** Shared with `gateway install`. */
export const GATEWAY_FLAGS = {
  port: {
    kind: "parsed",
    parse: port,
    optional: true,
    brief: "Port (DEV_SESSIONS_GATEWAY_PORT, or 6767)",
    placeholder: "n",
  },
  bind: {
    kind: "parsed",
    parse: bind,
    optional: true,
    variadic: true,
    brief: "Further address to listen on, or docker; repeatable",
    placeholder: "address",
  },
  insecureBind: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Allow --bind 0.0.0.0",
  },
  socketDir: {
    kind: "parsed",
    parse: nonEmpty("--socket-dir"),
    optional: true,
    brief: "Folder of the unix socket (~/.dev-sessions/gateway)",
    placeholder: "path",
  },
  allowHost: {
    kind: "parsed",
    parse: hostName,
    optional: true,
    variadic: true,
    brief: "Further name that callers may use for this machine; repeatable",
    placeholder: "name",
  },
} as const;

export const command = buildCommand<GatewayFlags, [], ParseContext>({
  docs: {
    brief: "Serve sessions to containers",
    fullDescription:
      `Serve the sessions of this machine to containers and other programs, until it is stopped.
It listens on 127.0.0.1 and on a unix socket, whose folder can be mounted into a container. Every caller needs a
token: the master token in ~/.dev-sessions/gateway-token, or one made for it with: dev-sessions gateway token create

Examples:
  # In the foreground; one line of JSON per request on stderr
  dev-sessions gateway

  # Also where containers on Docker's bridge reach it
  dev-sessions gateway --bind docker`,
  },
  parameters: {
    flags: GATEWAY_FLAGS,
  },
  func(flags) {
    const options = gatewayOptions(flags, this);
    this.accept({ json: false, long: true, run: (context) => run(options, context) });
  },
});
