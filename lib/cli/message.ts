/** Where a message's text comes from: the argument, a file or stdin; refused before anything else when it can't be sent. */

import { resolvePath } from "../posix_path.ts";
import { AppError, messageOf } from "../errors.ts";
import { decodeMessage, MESSAGE_LIMIT_BYTES, normaliseMessage } from "../message_text.ts";
import { readBounded } from "../read_bounded.ts";
import { STOPPED, untilStopped } from "../until_stopped.ts";
import { type CliContext, usageError } from "./verb.ts";

export type MessageSource =
  | { readonly kind: "argument"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "stdin" };

/** @throws AppError (usage) unless exactly one of message and file is given, and for a message without text. */
export function messageSource(message: string | undefined, file: string | undefined): MessageSource {
  if (message !== undefined && file !== undefined) {
    throw usageError("Provide either <message> or --file, not both");
  }
  if (file === "-") return { kind: "stdin" };
  if (file !== undefined) return { kind: "file", path: file };
  const text = message ?? "";
  normaliseMessage(text);
  return { kind: "argument", text };
}

/**
 * The text as the caller gave it.
 * @throws AppError (usage) when it is empty, too long or not UTF-8, (interrupted) when a signal comes before its end.
 */
export async function readMessage(
  source: MessageSource,
  context: Pick<CliContext, "deps" | "signal">,
): Promise<string> {
  if (source.kind === "argument") return source.text;
  const name = source.kind === "stdin" ? "stdin" : JSON.stringify(source.path);
  const bytes = source.kind === "stdin"
    ? await readStdin(context)
    : await readFile(source.path, context.deps.cwd);
  if (bytes.length > MESSAGE_LIMIT_BYTES) {
    throw usageError(
      `Cannot send ${name}: it is longer than the limit of ${MESSAGE_LIMIT_BYTES} bytes (1 MB). ` +
        "Save it to a file in the workspace and send the path",
    );
  }
  const text = decodeMessage(bytes, name);
  normaliseMessage(text, name);
  return text;
}

/** Its end may never come. */
async function readStdin({ deps, signal }: Pick<CliContext, "deps" | "signal">): Promise<Uint8Array> {
  const bytes = await untilStopped(deps.terminal.readStdin(), signal);
  if (bytes !== STOPPED) return bytes;
  throw new AppError("interrupted", "Interrupted while the message was read from stdin: nothing was done");
}

async function readFile(path: string, cwd: () => string): Promise<Uint8Array> {
  const full = resolvePath(cwd, path);
  try {
    using file = await Deno.open(full);
    return await readBounded(file, MESSAGE_LIMIT_BYTES + 1);
  } catch (error) {
    throw usageError(`Cannot read the message from ${JSON.stringify(path)}: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return messageOf(error);
}
