/** `gateway token revoke`: makes tokens invalid, at once. */

import { buildCommand } from "@stricli/core";
import { assertGatewayHost } from "./gateway_host.ts";
import { tokenRecord } from "./gateway_token_create.ts";
import type { Result } from "./output.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly json: boolean;
}

export async function run(ids: readonly string[], { deps }: CliContext): Promise<Result> {
  assertGatewayHost(deps.env, "revoke a token", `gateway token revoke ${ids.join(" ")}`);
  const { revokeTokens } = await import("../../gateway/token_admin.ts");
  const tokens = revokeTokens([...new Set(ids)], deps);
  const alive = tokens.filter(({ sessions }) => sessions > 0);
  return {
    notes: alive.map(({ id, sessions }) =>
      `[dev-sessions] ${sessions} session${
        sessions === 1 ? "" : "s"
      } made with ${id} go on; see: dev-sessions list`
    ),
    text: tokens.map(({ id }) => `Revoked token ${id}`).join("\n"),
    json: tokens.map(tokenRecord),
  };
}

function tokenId(input: string): string {
  if (/^[0-9a-f]{8}$/.test(input)) return input;
  // Without the input: it may be the token itself.
  throw usageError(
    "A token is revoked by its id, 8 letters and digits such as 1a2b3c4d",
    "List them with: dev-sessions gateway token list",
  );
}

export const command = buildCommand<Flags, string[], ParseContext>({
  docs: {
    brief: "Make tokens of the gateway invalid",
    fullDescription:
      `Make tokens invalid: they are refused from now on, and what streams to their holders ends within a
second or two. Sessions that were made with them go on.

Examples:
  dev-sessions gateway token revoke 1a2b3c4d`,
  },
  parameters: {
    flags: { json: { kind: "boolean", default: false, withNegated: false, brief: "Print JSON" } },
    positional: {
      kind: "array",
      parameter: { parse: tokenId, brief: "Ids of tokens", placeholder: "token" },
      minimum: 1,
    },
  },
  func(flags, ...ids) {
    this.accept({ json: flags.json, long: false, run: (context) => run(ids, context) });
  },
});
