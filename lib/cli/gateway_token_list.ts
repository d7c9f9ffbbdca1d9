/** `gateway token list`: what the tokens permit, never the tokens. */

import { buildCommand } from "@stricli/core";
import { assertGatewayHost } from "./gateway_host.ts";
import { tokenRecord } from "./gateway_token_create.ts";
import { type Result, table } from "./output.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly all: boolean;
  readonly json: boolean;
}

export async function run({ all }: { readonly all: boolean }, { deps }: CliContext): Promise<Result> {
  assertGatewayHost(deps.env, "list the tokens", "gateway token list");
  const { listTokens } = await import("../../gateway/token_admin.ts");
  const tokens = listTokens(deps).map(tokenRecord).filter(({ state }) => all || state === "valid");
  const rows = tokens.map((token) => [
    token.id,
    token.name ?? "-",
    token.state,
    token.expiresAt ?? "never",
    token.mode ?? "?",
    token.cli?.join(",") ?? "?",
    `${token.sessions}/${token.maxSessions ?? "?"}`,
    token.roots?.join(" ") ?? "not understood: made by a newer version, or damaged",
  ]);
  return {
    text: rows.length === 0
      ? "No tokens"
      : table(["ID", "NAME", "STATE", "VALID UNTIL", "MODE", "CLI", "SESSIONS", "ROOTS"], rows),
    json: tokens,
  };
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "List the gateway's tokens",
    fullDescription:
      `List the tokens that were made for the gateway: what each permits, how many of its sessions live,
and until when it is valid. The tokens themselves are not stored, and can't be shown.

Examples:
  dev-sessions gateway token list

  # Also those that have expired or were revoked, for 30 days
  dev-sessions gateway token list --all --json`,
  },
  parameters: {
    flags: {
      all: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Also those that are no longer valid",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print JSON" },
    },
  },
  func(flags) {
    this.accept({ json: flags.json, long: false, run: (context) => run(flags, context) });
  },
});
