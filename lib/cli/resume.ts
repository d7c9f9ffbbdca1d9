/** `resume`: an ended session lives again, with its conversation, and accepts input when this returns. */

import { buildCommand } from "@stricli/core";
import type { ResumeRequest } from "../service.ts";
import type { SessionId } from "../session.ts";
import { note, type Result } from "./output.ts";
import { callingSession, milliseconds, sessionId } from "./parsers.ts";
import { sessionRecord } from "./record.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const READY_TIMEOUT_MS = 60_000;

interface Flags {
  readonly readyTimeout: number | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

export interface ResumeOptions {
  readonly request: ResumeRequest;
  readonly quiet: boolean;
}

export async function* run(options: ResumeOptions, context: CliContext): AsyncIterable<Result> {
  const service = await context.service();
  const { session, readyProven } = await service.resume(options.request, context.signal);
  if (!readyProven) {
    yield note(`[dev-sessions] ${session.id} shows a quiet prompt, but nothing proves that it is ready`);
  }
  yield {
    text: options.quiet ? session.id : `Resumed session ${session.id}`,
    json: sessionRecord(session, { ready: readyProven ? "proven" : "unproven" }),
  };
}

export const command = buildCommand<Flags, [SessionId], ParseContext>({
  docs: {
    brief: "Bring an ended session back to life",
    fullDescription:
      `Bring a session that has ended back to life, whether it crashed, was killed or went down with the machine.
It keeps its id, workspace and mode and goes on with its conversation. Work that was under way when it ended is not
taken up by itself. Refused while the session or its conversation is live anywhere.

Examples:
  dev-sessions resume fizz-top
  dev-sessions send fizz-top "Go on where you were."

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
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(flags, id) {
    const readyTimeoutMs = flags.readyTimeout ?? READY_TIMEOUT_MS;
    const request = { id, readyTimeoutMs, caller: callingSession(this.env) };
    const options = { request, quiet: flags.quiet };
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
