/** Which version a server has, and whether it is enough. Pure. */

/**
 * The oldest that start, turns, queue, approval and stop were run with. 0.150.0 answers "not supported yet" to
 * `thread/items/list`, 0.140.0 has no message queue.
 */
export const MINIMUM_VERSION = "0.155.0";

/**
 * The version in `initialize`'s user agent, `<first client>/0.169.0 (Debian 12.0.0; x86_64) ...`; null when it names
 * none, as builds from source do, which call themselves 0.0.0.
 */
export function versionOf(userAgent: string): string | null {
  const version = /\/(\d+\.\d+\.\d+[^\s(]*) \(/.exec(userAgent)?.[1] ?? null;
  return version === null || /^0\.0\.0/.test(version) ? null : version;
}

/** A version that is not known counts as new enough: frames of another form are noticed one by one. */
export function isTooOld(version: string | null): boolean {
  if (version === null) return false;
  const [have, need] = [numbers(version), numbers(MINIMUM_VERSION)];
  for (const [at, wanted] of need.entries()) {
    const found = have[at] ?? 0;
    if (found !== wanted) return found < wanted;
  }
  return false;
}

function numbers(version: string): number[] {
  return version.split("-", 1)[0]!.split(".").map(Number);
}
