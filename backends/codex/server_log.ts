/** The log of the servers that we start: bounded, and read when a start fails. */

/** Measured: 0.169.0 writes a few lines per start, but a user's RUST_LOG may want more. */
export const LOG_LIMIT_BYTES = 4_000_000;
const LOG_TAIL_BYTES = 2_000;

/** Whether it is time for `boundLog()`. */
export function isLogFull(path: string): boolean {
  try {
    return Deno.statSync(path).size > LOG_LIMIT_BYTES;
  } catch {
    return false;
  }
}

/** Moves what a log holds to `<log>.1` once it is full; whoever is appending to it goes on at its start. Hold the lock. */
export async function boundLog(path: string): Promise<void> {
  if (!isLogFull(path)) return;
  await Deno.copyFile(path, `${path}.1`);
  await Deno.chmod(`${path}.1`, 0o600);
  await Deno.truncate(path, 0);
}

/** The last lines of a log after a position. */
export async function logTail(path: string, start: number): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const from = Math.max(start <= size ? start : 0, size - LOG_TAIL_BYTES);
    await file.seek(from, Deno.SeekMode.Start);
    const buffer = new Uint8Array(LOG_TAIL_BYTES);
    const text = new TextDecoder().decode(buffer.subarray(0, await file.read(buffer) ?? 0));
    // deno-lint-ignore no-control-regex
    return text.replaceAll(/\x1b\[[0-9;]*m/g, "").trim();
  } catch {
    return "";
  }
}
