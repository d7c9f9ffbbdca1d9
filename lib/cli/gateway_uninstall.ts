/** `gateway uninstall`: the gateway is no service any more; sessions and tokens stay. */

import { buildCommand } from "@stricli/core";
import type { Result } from "./output.ts";
import type { CliContext, ParseContext } from "./verb.ts";

export async function run({ deps }: CliContext): Promise<Result> {
  const [{ uninstallService }, { serviceWorld }] = await Promise.all([
    import("../../gateway/service/service.ts"),
    import("../../gateway/service/open.ts"),
  ]);
  const file = await uninstallService(serviceWorld(deps));
  return {
    text: file === null
      ? "Gateway daemon is not installed"
      : `[gateway] daemon uninstalled (${file})\nGateway daemon uninstalled`,
    json: { file },
  };
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
