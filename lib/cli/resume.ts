/** `resume`: an ended session lives again, with its conversation, and accepts input when this returns. */

import { buildCommand } from "@stricli/core";
import type { Target } from "../groups.ts";
import type { ResumeRequest } from "../service.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { callingSession, milliseconds, target } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const READY_TIMEOUT_MS = 60_000;

interface Flags {
  readonly readyTimeout: number | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

export interface ResumeOptions {
  readonly target: Target;
  readonly request: Omit<ResumeRequest, "id">;
  readonly quiet: boolean;
}

export async function* run(
  { target, request, quiet }: ResumeOptions,
  context: CliContext,
): AsyncIterable<Result> {
  const revive = async (id: SessionId): Promise<Result> => {
    const service = await context.service();
    const { session, readyProven } = await service.resume({ id, ...request }, context.signal);
    return {
      text: quiet ? id : `Resumed session ${id}`,
      json: sessionRecord(session, { ready: readyProven ? "proven" : "unproven" }),
      notes: readyProven
        ? []
        : [`[dev-sessions] ${id} shows a quiet prompt, but nothing proves that it is ready`],
    };
  };
  if (target.kind === "session") return yield await revive(target.id);
  const { actOnEach } = await import("./act_on_each.ts");
  yield* actOnEach(target, "resume", request.caller, context, revive);
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Bring an ended session back to life",
    fullDescription:
      `Bring a session that has ended back to life, whether it crashed, was killed or went down with the machine.
It keeps its id, workspace and mode and goes on with its conversation. Work that was under way when it ended is not
taken up by itself. Refused while the session or its conversation is live anywhere.

Examples:
  dev-sessions resume fizz-top
  dev-sessions send fizz-top "Go on where you were."

  # What is left of a group after a reboot
  dev-sessions resume @api

  # After a reboot: all that can be
  dev-sessions list --all --json | jq -r '.[] | select(.resumable) | .id' | xargs -n 1 dev-sessions resume`,
  },
  parameters: {
    flags: {
      readyTimeout: {
        kind: "parsed",
        parse: milliseconds("--ready-timeout", "a positive number of seconds"),
        optional: true,
        brief: "Seconds until it must accept input (60)",
        placeholder: "s",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print the record as JSON" },
      quiet: { kind: "boolean", default: false, withNegated: false, brief: "Print only the id" },
    },
    aliases: { q: "quiet" },
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func(flags, target) {
    const readyTimeoutMs = flags.readyTimeout ?? READY_TIMEOUT_MS;
    const request = { readyTimeoutMs, caller: callingSession(this.env) };
    const options = { target, request, quiet: flags.quiet };
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
