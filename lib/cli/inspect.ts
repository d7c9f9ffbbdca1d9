/** `inspect`: the stored record of a session, complete. */

import { buildCommand } from "@stricli/core";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { sessionId } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly json: boolean;
}

export async function run(id: SessionId, context: CliContext): Promise<Result> {
  const service = await context.service();
  const session = await service.inspect(id);
  const { process, handle, lastSend, worktree } = session;
  const [used] = await service.usage([id]);
  const record = sessionRecord(session, { process, handle, lastSend, worktree, usage: used?.usage ?? null });
  return { text: JSON.stringify(record, null, 2), json: record };
}

export const command = buildCommand<Flags, [SessionId], ParseContext>({
  docs: {
    brief: "Print a session's stored record",
    fullDescription: `Print the stored record of a session as JSON.

Examples:
  dev-sessions inspect fizz-top | jq .path`,
  },
  parameters: {
    flags: {
      json: { kind: "boolean", default: false, withNegated: false, brief: "The same; it is always JSON" },
    },
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(flags, id) {
    this.accept({ json: flags.json, long: false, run: (context) => run(id, context) });
  },
});
