/** `inspect`: the stored record of a session, complete. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { SessionService } from "../service.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import { type GroupTarget, readEach } from "./targets.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly json: boolean;
}

export async function run(id: SessionId, context: CliContext): Promise<Result> {
  const record = await recordOf(id, await context.service());
  return { text: JSON.stringify(record, null, 2), json: record };
}

/** An array, also without `--json`. */
async function* runGroup(target: GroupTarget, context: CliContext): AsyncIterable<Result> {
  const reading = readEach(target, context, {
    read: async (id, service) => ({ text: null, json: await recordOf(id, service) }),
    separator: "",
    layout: "indented",
  });
  for await (const result of reading) {
    yield { ...result, text: result.json === undefined ? null : JSON.stringify(result.json, null, 2) };
  }
}

async function recordOf(id: SessionId, service: SessionService): Promise<Record<string, unknown>> {
  const session = await service.inspect(id);
  const { process, handle, lastSend, worktree } = session;
  const [used] = await service.usage([id]);
  return sessionRecord(session, { process, handle, lastSend, worktree, usage: used?.usage ?? null });
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Print a session's stored record",
    fullDescription: `Print the stored record of a session as JSON; for @group, an array of them.

Examples:
  dev-sessions inspect fizz-top | jq .path
  dev-sessions inspect @api | jq -r '.[].path'`,
  },
  parameters: {
    flags: {
      json: { kind: "boolean", default: false, withNegated: false, brief: "The same; it is always JSON" },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func({ json }, target) {
    this.accept({
      json,
      long: false,
      run: (context) => target.kind === "session" ? run(target.id, context) : runGroup(target, context),
    });
  },
});
