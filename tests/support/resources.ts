/** What a process holds of the machine, as Linux tells it. */

export const MB = 1024 * 1024;
/** What may have grown between a warm gateway and its last second; it has answered thousands of requests meanwhile. */
export const MAX_GROWTH_BYTES = 64 * MB;
export const onLinux = { ignore: Deno.build.os !== "linux" };

export function residentBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) * 1024;
}

export function descriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}
