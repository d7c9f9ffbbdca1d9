/** Arguments that are not UTF-8: the runtime replaces their bytes, and what was meant would be lost in silence. Pure. */

import type { AppError } from "../errors.ts";
import { invalidUtf8Offset } from "../message_text.ts";
import { usageError } from "./verb.ts";

/**
 * What is wrong with the first argument that is not valid UTF-8; null when all are.
 *
 * @param bytes of each of them as they were given.
 */
export function notUtf8(argv: readonly string[], bytes: readonly Uint8Array[]): AppError | null {
  for (const [index, argument] of argv.entries()) {
    const offset = invalidUtf8Offset(bytes[index] ?? new Uint8Array());
    if (offset === -1) continue;
    return usageError(
      `Cannot read the argument ${JSON.stringify(argument)}: it is not valid UTF-8 at byte ${offset}`,
      "Convert it with: iconv -f LATIN1 -t UTF-8",
    );
  }
  return null;
}
