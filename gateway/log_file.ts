/** Keeps the file that a service manager gives the gateway for its output from filling the disk. */

import type { Log } from "./log.ts";
import { messageOf } from "../lib/errors.ts";

/** A log beyond this is set aside. */
export const LOG_LIMIT_BYTES = 16_777_216;

const OUR_STDERR = "/proc/self/fd/2";
const OUR_FLAGS = "/proc/self/fdinfo/2";
/** `O_APPEND` of Linux: with it, what is written after the cut goes to the new beginning. @see proc(5), open(2) */
const APPEND = 0o2000;

/**
 * Sets what `path` holds aside, as `<path>.1`, once it is too long; only where this process writes to it, at its end. Other
 * systems than Linux can't tell that: there it is done when the service is installed. Never throws: what can't be kept
 * is not cut.
 */
export function keepSmall(path: string, log: Log): void {
  try {
    if (!isOurs(path) || Deno.statSync(path).size <= LOG_LIMIT_BYTES) return;
    const partial = `${path}.1.tmp`;
    // Nothing of ours is written meanwhile.
    Deno.copyFileSync(path, partial);
    Deno.chmodSync(partial, 0o600);
    Deno.renameSync(partial, `${path}.1`);
    Deno.truncateSync(path);
    log.say("info", `what was logged before is in ${path}.1`);
  } catch (error) {
    log.say("error", `the log can't be set aside, and grows: ${messageOf(error)}`);
  }
}

function isOurs(path: string): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const [ours, named] = [Deno.statSync(OUR_STDERR), Deno.statSync(path)];
    if (!named.isFile || ours.dev !== named.dev || ours.ino !== named.ino) return false;
    const flags = /^flags:\s*([0-7]+)$/m.exec(Deno.readTextFileSync(OUR_FLAGS))?.[1];
    return flags !== undefined && (parseInt(flags, 8) & APPEND) !== 0;
  } catch {
    return false;
  }
}
