/** `dev-sessions rpc` as a child process of a sandbox, and what a client says to it. */

import { join } from "node:path";
import { realClock } from "../../lib/real_deps.ts";
import type { Peer } from "../../lib/wire/handshake.ts";
import { RemoteService } from "../../gateway/remote_service.ts";
import { StdioCarrier } from "../../gateway/stdio_carrier.ts";
import type { Sandbox } from "./harness.ts";

const MAIN = join(import.meta.dirname ?? "", "..", "..", "main.ts");

export interface RpcProcess extends AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly streams: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array>;
  };
  /** Its exit code and stderr, once both of its pipes are closed. */
  ended(): Promise<{ readonly code: number; readonly stderr: string }>;
}

/** @param script runs in `sh`, with the command that starts rpc as "$@". */
export function startRpc(sandbox: Sandbox, script = 'exec "$@"'): RpcProcess {
  const child = new Deno.Command("sh", {
    args: ["-c", script, "sh", Deno.execPath(), "run", "-A", "--quiet", MAIN, "rpc"],
    env: sandbox.env,
    clearEnv: true,
    cwd: sandbox.workspace,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const ended = async () => ({ code: (await child.status).code, stderr: await stderr });
  return {
    child,
    streams: { readable: child.stdout, writable: child.stdin },
    ended,
    async [Symbol.asyncDispose]() {
      await child.stdin.close().catch(() => {});
      await child.stdout.cancel().catch(() => {});
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await ended();
    },
  };
}

export function carrierTo(rpc: RpcProcess, us?: Peer): StdioCarrier {
  return new StdioCarrier(rpc.streams, {
    where: "build.example",
    clock: realClock,
    ...(us === undefined ? {} : { us }),
  });
}

export function serviceOver(carrier: StdioCarrier): RemoteService {
  return new RemoteService(carrier, { randomUuid: () => crypto.randomUUID() });
}
