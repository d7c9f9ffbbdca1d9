/** Removes a folder with all that is in it, also where an agent that may write there has shut parts of it. */

import type { Deps } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";

const OPEN_TIMEOUT_MS = 30_000;

/** Nothing there is fine. @param path absolute. @throws AppError when something of it stays. */
export async function removeTree(path: string, { run, env }: Pick<Deps, "run" | "env">): Promise<void> {
  if (await remove(path) === null) return;
  // It follows no links below the path.
  await run("chmod", ["-R", "--", "u+rwX", path], { env, timeoutMs: OPEN_TIMEOUT_MS });
  const why = await remove(path);
  if (why === null) return;
  throw new AppError(
    "failure",
    `Cannot remove "${path}": ${why}. Remove it as the user who owns what is in it`,
  );
}

/** Null when it is gone, else why not. */
async function remove(path: string): Promise<string | null> {
  try {
    await Deno.remove(path, { recursive: true });
    return null;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? null : messageOf(error);
  }
}
