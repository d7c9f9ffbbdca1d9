/** `rpc`: serves the sessions of this machine on stdin and stdout, for a dev-sessions at the other end of ssh. */

import { buildCommand } from "@stricli/core";
import { stdioBytes } from "../real_deps.ts";
import type { Result } from "./output.ts";
import type { CliContext, ParseContext } from "./verb.ts";

export async function run({ deps, signal }: CliContext): Promise<Result> {
  const [{ serveStdio }, { openServiceForPeers }] = await Promise.all([
    import("../../gateway/stdio.ts"),
    import("../open_service.ts"),
  ]);
  const { service, registry } = await openServiceForPeers(deps);
  try {
    const home = deps.env["HOME"] ?? null;
    await serveStdio(service, stdioBytes(), signal, {
      clock: deps.clock,
      place: { home, registry },
    });
  } finally {
    await service.close();
  }
  return {};
}

export const command = buildCommand<Record<never, never>, [], ParseContext>({
  docs: {
    brief: "Serve the sessions of this machine on stdin and stdout",
    fullDescription:
      `Serve the sessions of this machine on stdin and stdout, until stdin ends. For programs only.`,
  },
  parameters: {},
  func() {
    this.accept({ json: false, long: true, run: (context) => run(context) });
  },
});
