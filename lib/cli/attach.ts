/** `attach`: gives this terminal to the session until the person leaves it. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { sessionId } from "./parsers.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

export async function run(id: SessionId, context: CliContext): Promise<Result> {
  const { stdinIsTerminal, stdoutIsTerminal } = context.deps.terminal;
  if (!stdinIsTerminal() || !stdoutIsTerminal()) {
    throw usageError(
      `Cannot attach to "${id}": attach needs a terminal, and ${
        stdinIsTerminal() ? "stdout" : "stdin"
      } is none`,
      `Without a terminal, read it with: dev-sessions logs ${id}`,
    );
  }
  const { command, args, env } = await (await context.service()).attachCommand(id);
  const code = await context.runInTerminal(command, args, env);
  if (code === 0) return {};
  const why = code === null ? `${command} is not installed` : `${command} ended with exit code ${code}`;
  return { failure: new AppError("failure", `Cannot attach to "${id}": ${why}`) };
}

export const command = buildCommand<Record<never, never>, [SessionId], ParseContext>({
  docs: {
    brief: "Join a session in this terminal",
    fullDescription:
      `Join a session in this terminal. Leave it as you leave tmux (Ctrl-b d); the agent goes on.

Examples:
  dev-sessions attach fizz-top`,
  },
  parameters: {
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(_flags, id) {
    this.accept({ json: false, long: false, run: (context) => run(id, context) });
  },
});
