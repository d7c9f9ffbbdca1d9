/** `last-message`: the agent's last text blocks, complete, to stdout or into a file that appears whole or not at all. */

import { folderOf, resolvePath } from "../posix_path.ts";
import { buildCommand } from "@stricli/core";
import { AppError, messageOf } from "../errors.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import { nonEmpty, positiveInteger, sessionId } from "./parsers.ts";
import type { CliContext, ParseContext } from "./verb.ts";

interface Flags {
  readonly count: number | undefined;
  readonly output: string | undefined;
  readonly json: boolean;
}

export interface LastMessageOptions {
  readonly id: SessionId;
  readonly count: number;
  /** Absolute path. */
  readonly output: string | null;
  readonly json: boolean;
}

export function lastMessageOptions(flags: Flags, id: SessionId, cwd: () => string): LastMessageOptions {
  const output = flags.output === undefined ? null : resolvePath(cwd(), flags.output);
  return { id, count: flags.count ?? 1, output, json: flags.json };
}

export async function run(options: LastMessageOptions, context: CliContext): Promise<Result> {
  const blocks = await (await context.service()).lastMessages(options.id, options.count);
  const text = blocks.length === 0 ? null : blocks.join("\n\n");
  if (options.output === null) return { text, json: blocks, layout: "compact" };
  const content = options.json ? JSON.stringify(blocks) : text;
  await writeWhole(options.output, content === null ? "" : `${content}\n`, context.deps.randomUuid());
  return { notes: [`Wrote ${blocks.length} message(s) to ${options.output}`] };
}

/** Through a temporary file beside it, so that a reader never sees a part. */
async function writeWhole(path: string, text: string, unique: string): Promise<void> {
  const temporary = resolvePath(folderOf(path), `.dev-sessions-${unique}.tmp`);
  try {
    await Deno.writeTextFile(temporary, text, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw new AppError("failure", `Cannot write to ${JSON.stringify(path)}: ${messageOf(error)}`);
  }
}

export const command = buildCommand<Flags, [SessionId], ParseContext>({
  docs: {
    brief: "Print an agent's last message",
    fullDescription: `Print the last text that the agent wrote, complete.

Examples:
  dev-sessions last-message fizz-top

  # The last three, each as a JSON string
  dev-sessions last-message fizz-top -n 3 --json

  # Into a file that other agents read
  dev-sessions last-message fizz-top --output review.md`,
  },
  parameters: {
    flags: {
      count: {
        kind: "parsed",
        parse: positiveInteger("--count"),
        optional: true,
        brief: "How many (1)",
        placeholder: "n",
      },
      output: {
        kind: "parsed",
        parse: nonEmpty("--output"),
        optional: true,
        brief: "Write to a file instead",
        placeholder: "file",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print an array of strings" },
    },
    aliases: { n: "count" },
    positional: { kind: "tuple", parameters: [{ parse: sessionId, brief: "Session", placeholder: "id" }] },
  },
  func(flags, id) {
    const options = lastMessageOptions(flags, id, this.cwd);
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
