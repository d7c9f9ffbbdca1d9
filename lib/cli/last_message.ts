/** `last-message`: the agent's last text blocks, complete, to stdout or into a file that appears whole or not at all. */

import { folderOf, resolvePath } from "../posix_path.ts";
import { buildCommand } from "@stricli/core";
import { AppError, messageOf } from "../errors.ts";
import type { Target } from "../groups.ts";
import type { Result } from "./output.ts";
import { nonEmpty, positiveInteger, target } from "./parsers.ts";
import { heading, readEach } from "./targets.ts";
import type { CliContext, ParseContext } from "./verb.ts";

/** As the system itself follows. */
const MOST_LINKS = 40;

interface Flags {
  readonly count: number | undefined;
  readonly output: string | undefined;
  readonly json: boolean;
}

export interface LastMessageOptions {
  readonly target: Target;
  readonly count: number;
  /** Absolute path. */
  readonly output: string | null;
  readonly json: boolean;
}

function lastMessageOptions(flags: Flags, target: Target, cwd: () => string): LastMessageOptions {
  const output = flags.output === undefined ? null : resolvePath(cwd, flags.output);
  return { target, count: flags.count ?? 1, output, json: flags.json };
}

export async function* run(options: LastMessageOptions, context: CliContext): AsyncIterable<Result> {
  let written = 0;
  for await (const result of messages(options, context, (count) => written += count)) {
    // The messages come once; what could not be read of a group comes after them.
    if (options.output === null || result.json === undefined) {
      yield result;
      continue;
    }
    const content = options.json ? JSON.stringify(result.json) : result.text ?? null;
    await writeWhole(options.output, content === null ? "" : `${content}\n`, context.deps.randomUuid());
    yield { notes: [...result.notes ?? [], `Wrote ${written} message(s) to ${options.output}`] };
  }
}

async function* messages(
  { target, count }: LastMessageOptions,
  context: CliContext,
  counted: (count: number) => void,
): AsyncIterable<Result> {
  if (target.kind === "session") {
    const blocks = await (await context.service()).lastMessages(target.id, count);
    counted(blocks.length);
    return yield { text: blocks.length === 0 ? null : blocks.join("\n\n"), json: blocks, layout: "compact" };
  }
  yield* readEach(target, context, {
    async read(id, service) {
      const messages = await service.lastMessages(id, count);
      counted(messages.length);
      return { text: [heading(id), ...messages].join("\n\n").replace("\n\n", "\n"), json: { id, messages } };
    },
    separator: "\n\n",
    layout: "compact",
  });
}

/**
 * Into the file that the path leads to, whose mode stays. Through a temporary file beside it, so that a reader never
 * sees a part; what is no file (a pipe, a device) is written to as it is.
 */
async function writeWhole(path: string, text: string, unique: string): Promise<void> {
  let temporary: string | null = null;
  try {
    const there = await fileAt(path);
    if (there?.isFile === false) return await Deno.writeTextFile(path, text, { create: false });
    const target = there === null ? await linkEnd(path) : await Deno.realPath(path);
    temporary = resolvePath(folderOf(target), `.dev-sessions-${unique}.tmp`);
    const mode = typeof there?.mode === "number" ? there.mode & 0o777 : null;
    await Deno.writeTextFile(temporary, text, { createNew: true, ...(mode === null ? {} : { mode }) });
    // What the umask has taken off.
    if (mode !== null) await Deno.chmod(temporary, mode);
    await Deno.rename(temporary, target);
  } catch (error) {
    if (temporary !== null) await Deno.remove(temporary).catch(() => {});
    throw new AppError("failure", `Cannot write to ${JSON.stringify(path)}: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.NotADirectory) return "what should be its folder is none";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(error);
}

/** What a link to nothing names: that is made, and the link stays. Anything else is its own end. */
async function linkEnd(path: string): Promise<string> {
  let end = path;
  for (let followed = 0; followed < MOST_LINKS; followed++) {
    const folder = await Deno.realPath(folderOf(end));
    end = `${folder === "/" ? "" : folder}${end.slice(end.lastIndexOf("/"))}`;
    const link = await Deno.readLink(end).catch(() => null);
    if (link === null) return end;
    end = link.startsWith("/") ? link : `${folder}/${link}`;
  }
  throw new Error("too many links");
}

async function fileAt(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

export const command = buildCommand<Flags, [Target], ParseContext>({
  docs: {
    brief: "Print an agent's last message",
    fullDescription: `Print the last text that the agent wrote, complete.
For @group, each under a line "==> id <==", or with --json an array of {"id", "messages"}; it includes the sessions
of the group that ended while others of it were live, or, when all have ended, before the group was used again.

Examples:
  dev-sessions last-message fizz-top

  # The last three, each as a JSON string
  dev-sessions last-message fizz-top -n 3 --json

  # Of all sessions of a group
  dev-sessions last-message @api

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
    positional: {
      kind: "tuple",
      parameters: [{ parse: target, brief: "Session or @group", placeholder: "id" }],
    },
  },
  func(flags, target) {
    const options = lastMessageOptions(flags, target, this.cwd);
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
