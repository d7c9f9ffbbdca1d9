/** The command lines of all processes: what only just was asked for, and has no row yet, is seen in them. */

import type { Deps } from "./deps.ts";
import { isProcessGone } from "./process_identity.ts";

const PS_TIMEOUT_MS = 5_000;

/**
 * One for each process of this user, and of others as far as they can be seen from here, its words joined by spaces.
 * Null when not all of them can be read, since one that is not among them proves nothing then.
 */
export async function commandLines(deps: Pick<Deps, "run" | "env">): Promise<string[] | null> {
  if (Deno.build.os === "linux") return procCommandLines();
  const result = await deps.run("ps", ["-A", "-ww", "-o", "args="], {
    env: deps.env,
    timeoutMs: PS_TIMEOUT_MS,
  });
  return result.kind === "exited" && result.code === 0 ? result.stdout.split("\n") : null;
}

function procCommandLines(): string[] | null {
  try {
    return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        return [Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0").join(" ")];
      } catch (error) {
        // With hidepid=1 those of other users are kept from us.
        if (isProcessGone(error) || error instanceof Deno.errors.PermissionDenied) return [];
        throw error;
      }
    });
  } catch {
    return null;
  }
}
