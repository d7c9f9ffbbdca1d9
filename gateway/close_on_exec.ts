/**
 * Keeps a listening socket from the processes that are started later: tmux and agents outlive the gateway, and one that
 * held its socket would go on to take connections that nobody answers, and keep the next gateway from starting.
 */

import type { Server } from "node:http";

/** Source: `FIOCLEX` in asm-generic/ioctls.h and in sys/filio.h. Unlike `fcntl` it takes no variadic argument. */
const PLATFORM = Deno.build.os === "darwin"
  ? { library: "libSystem.B.dylib", fioclex: 0x2000_6601n }
  : { library: "libc.so.6", fioclex: 0x5451n };

/**
 * For the unix sockets of `node:http` alone: Deno 2.9.6 marks all others itself.
 *
 * @throws Error when it can't be done.
 */
export function closeOnExec(server: Server): void {
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  if (typeof fd !== "number" || fd < 0) throw new Error("its socket has no descriptor");
  const libc = Deno.dlopen(PLATFORM.library, {
    ioctl: { parameters: ["i32", "usize"], result: "i32" },
  });
  try {
    if (libc.symbols.ioctl(fd, PLATFORM.fioclex) !== 0) throw new Error("its socket can't be kept to itself");
  } finally {
    libc.close();
  }
}
