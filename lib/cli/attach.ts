/** `attach`: gives this terminal to the session until the person leaves it. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { Result } from "./output.ts";
import { target } from "./parsers.ts";
import { sessionsOf } from "./targets.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

export async function run(target: Target, context: CliContext): Promise<Result> {
  const name = target.kind === "session" ? target.id : `@${target.group}`;
  const { stdinIsTerminal, stdoutIsTerminal } = context.deps.terminal;
  if (!stdinIsTerminal() || !stdoutIsTerminal()) {
    throw usageError(
      `Cannot attach to "${name}": attach needs a terminal, and ${
        stdinIsTerminal() ? "stdout" : "stdin"
      } is none`,
      `Without a terminal, read it with: dev-sessions logs ${name}`,
    );
  }
  const { ids: [id = "", ...others] } = await sessionsOf([target], "attach", null, context);
  if (others.length > 0) {
    throw usageError(
      `Cannot attach to "${name}": it has ${others.length + 1} live sessions. Name one: ${
        [id, ...others].join(", ")
      }`,
    );
  }
  const { command, args, env, cwd } = await (await context.service()).attachCommand(id);
  const code = await context.runInTerminal(command, args, env, cwd);
  if (code === 0) return {};
  const why = code === null ? `${command} is not installed` : `${command} ended with exit code ${code}`;
  return { failure: new AppError("failure", `Cannot attach to "${id}": ${why}`) };
}

export const command = buildCommand<Record<never, never>, [Target], ParseContext>({
  docs: {
    brief: "Join a session in this terminal",
    fullDescription:
      `Join a session in this terminal. Leave Claude as you leave tmux (Ctrl-b d), Codex with /quit; the agent goes on.
@group is the only live session of a group.

Examples:
  dev-sessions attach fizz-top`,
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func(_flags, target) {
    this.accept({ json: false, long: false, run: (context) => run(target, context) });
  },
});
