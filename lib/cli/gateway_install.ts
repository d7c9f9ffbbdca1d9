/** `gateway install`: the gateway as a service of this user; succeeds only when that gateway answers. */

import { buildCommand } from "@stricli/core";
import type { Bind } from "../../gateway/bind.ts";
import type { InstallRequest } from "../../gateway/service/install.ts";
import { gatewayPort, gatewayPortSet } from "../paths.ts";
import { GATEWAY_FLAGS, type GatewayFlags, gatewayOptions } from "./gateway.ts";
import { assertGatewayHost } from "./gateway_host.ts";
import type { Result } from "./output.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags extends Omit<GatewayFlags, "socketDir"> {
  readonly env: readonly string[] | undefined;
  readonly reset: boolean;
  readonly json: boolean;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

export async function run(request: InstallRequest, { deps, signal }: CliContext): Promise<Result> {
  assertGatewayHost(deps.env, "install the gateway", "gateway install");
  const [{ installService }, { serviceWorld }] = await Promise.all([
    import("../../gateway/service/install.ts"),
    import("../../gateway/service/open.ts"),
  ]);
  const { file, port, replaced, kept, notes } = await installService(request, serviceWorld(deps), signal);
  return {
    notes: notes.map((line) => `[dev-sessions] ${line}`),
    text: `[gateway] daemon installed at ${file}\nGateway daemon installed and started on port ${port}`,
    json: { file, port, replaced, kept },
  };
}

/** @throws AppError (usage) as `gateway` itself would. */
function installRequest(flags: Flags, context: Pick<ParseContext, "env" | "cwd">): InstallRequest {
  const given = gatewayOptions({ ...flags, socketDir: undefined }, context);
  if (given.port === 0) {
    const name = flags.port === undefined ? "DEV_SESSIONS_GATEWAY_PORT" : "--port";
    throw usageError(`${name} must be a positive integer`, "A service needs a port that stays");
  }
  const { bind, allowHost, insecureBind, env = [], reset } = flags;
  return {
    port: flags.port ?? gatewayPortSet(context.env),
    usualPort: gatewayPort({}),
    binds: bind?.map(textOf) ?? null,
    insecureBind,
    allowHosts: allowHost ?? null,
    env,
    reset,
  };
}

function textOf(bind: Bind): string {
  return bind.kind === "docker" ? "docker" : bind.address;
}

function variable(input: string): string {
  if (VARIABLE.test(input)) return input;
  throw usageError(
    `--env must be the name of a variable: ${JSON.stringify(input)}`,
    "Its value is taken from here",
  );
}

const { port, bind, insecureBind, allowHost } = GATEWAY_FLAGS;

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Run the gateway as a service",
    fullDescription:
      `Run the gateway as a service of this user: a systemd user unit, on macOS a launchd agent. It starts by itself
when you log in, and again when it fails. Sessions live on when it stops, restarts or is upgraded. Installing again
replaces it, with the options that it has: each that you give replaces those of its kind. It is reported as installed only when it answers; if it does not, or if you interrupt it, everything is as it
was before.

The service gets PATH and the places of tmux, Claude Code, Codex and the container engine from here. What else your agents need from the
environment, name with --env: its value is written to the service's file, which only you can read, and stays until
you name it again.

Examples:
  dev-sessions gateway install
  dev-sessions gateway install --bind docker --env ANTHROPIC_API_KEY

  # After an upgrade: the new version, with the same options
  dev-sessions gateway install`,
  },
  parameters: {
    flags: {
      port,
      bind,
      insecureBind,
      allowHost,
      env: {
        kind: "parsed",
        parse: variable,
        optional: true,
        variadic: true,
        brief: "Variable to pass on to the service; repeatable",
        placeholder: "name",
      },
      reset: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Keep nothing of the service before",
      },
      json: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Print what was installed as JSON",
      },
    },
  },
  func(flags) {
    const request = installRequest(flags, this);
    this.accept({ json: flags.json, long: true, run: (context) => run(request, context) });
  },
});
