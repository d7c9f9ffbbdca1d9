/** `gateway uninstall`: the gateway is no service any more; sessions and tokens stay. */

import { buildCommand } from "@stricli/core";
import { assertGatewayHost } from "./gateway_host.ts";
import type { Uninstalled } from "../../gateway/service/uninstall.ts";
import type { Result } from "./output.ts";
import type { CliContext, ParseContext } from "./verb.ts";

export async function run({ deps }: CliContext): Promise<Result> {
  assertGatewayHost(deps.env, "uninstall the gateway", "gateway uninstall");
  const [{ uninstallService }, { serviceWorld }] = await Promise.all([
    import("../../gateway/service/uninstall.ts"),
    import("../../gateway/service/open.ts"),
  ]);
  return uninstallResult(await uninstallService(serviceWorld(deps)));
}

function uninstallResult(uninstalled: Uninstalled): Result {
  switch (uninstalled.kind) {
    case "not_installed":
      return {
        text: "Gateway daemon is not installed",
        json: { file: null },
        notes: uninstalled.unasked === null ? [] : [
          `[dev-sessions] ${uninstalled.unasked}: whether one runs without its definition can't be told. ` +
          "See: dev-sessions gateway status",
        ],
      };
    case "removed":
      return removed(uninstalled.file);
    case "removed_only":
      return {
        ...removed(uninstalled.file),
        notes: [
          `[dev-sessions] ${uninstalled.why}: nobody could be told to stop it. A gateway that runs goes on`,
        ],
      };
    case "rest_removed":
      return {
        ...removed(uninstalled.file),
        notes: ["[dev-sessions] Its definition was gone already; what was left of the service is removed"],
      };
  }
}

function removed(file: string): Result {
  return { text: `[gateway] daemon uninstalled (${file})\nGateway daemon uninstalled`, json: { file } };
}

export const command = buildCommand<{ readonly json: boolean }, [], ParseContext>({
  docs: {
    brief: "Remove the gateway's service",
    fullDescription: `Stop the gateway's service and remove it. Sessions live on; tokens and the log stay.

Examples:
  dev-sessions gateway uninstall`,
  },
  parameters: {
    flags: {
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print what was removed as JSON" },
    },
  },
  func({ json }) {
    this.accept({ json, long: false, run });
  },
});
