/** `gateway status`: what the service manager and the gateway itself say. */

import { buildCommand } from "@stricli/core";
import { assertGatewayHost } from "./gateway_host.ts";
import type { ServiceStatus } from "../../gateway/service/status.ts";
import { knownGatewayPort, pathsFrom } from "../paths.ts";
import type { Result } from "./output.ts";
import type { CliContext, ParseContext } from "./verb.ts";

export async function run({ deps }: CliContext): Promise<Result> {
  assertGatewayHost(deps.env, "tell the status of the gateway", "gateway status");
  const [{ serviceStatus }, { serviceWorld }, { SOCKET_NAME }] = await Promise.all([
    import("../../gateway/service/status.ts"),
    import("../../gateway/service/open.ts"),
    import("../../gateway/socket_folder.ts"),
  ]);
  const status = await serviceStatus(serviceWorld(deps), () => knownGatewayPort(deps.env));
  return statusResult(status, `${pathsFrom(deps.env).gatewaySocketFolder}/${SOCKET_NAME}`);
}

function statusResult(status: ServiceStatus, socket: string): Result {
  const { state, pid, since, end, port, file, log, health } = status;
  const lines = [
    `Gateway daemon: ${state} (port ${port})`,
    ...(since === null ? [] : [`since: ${since}`]),
    ...(pid === null ? [] : [`pid: ${pid}`]),
    ...(end === null ? [] : [`ended with: ${end}`]),
    `version: ${answerOf(status)}`,
    ...(file === null ? [] : [`socket: ${socket}`, `log: ${log}`]),
    `service: ${file ?? "not installed; install it with: dev-sessions gateway install"}`,
  ];
  return {
    text: lines.join("\n"),
    json: {
      state,
      installed: file !== null,
      answers: health !== null,
      since,
      pid,
      end,
      port,
      version: health?.version ?? null,
      socket,
      log,
      file,
    },
  };
}

function answerOf({ file, health }: ServiceStatus): string {
  if (health === null) return "nobody answers on the port";
  const version = health.version ?? "0.4 or earlier";
  return file === null ? `${version}, started by hand` : version;
}

export const command = buildCommand<{ readonly json: boolean }, [], ParseContext>({
  docs: {
    brief: "Tell whether the gateway's service runs",
    fullDescription:
      `Tell whether the gateway's service runs: its state, since when, its port, version, socket and log.
The exit code is 0 in each case; scripts read the state.

Examples:
  dev-sessions gateway status
  dev-sessions gateway status --json`,
  },
  parameters: {
    flags: {
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print it as JSON" },
    },
  },
  func({ json }) {
    this.accept({ json, long: false, run });
  },
});
