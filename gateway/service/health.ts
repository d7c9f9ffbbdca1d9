/** What a gateway says of itself, asked over the network it serves. */

import * as v from "valibot";

export interface Health {
  /** Null: an earlier gateway, which does not tell. */
  readonly version: string | null;
}

const TIMEOUT_MS = 2_000;
const answer = v.object({ status: v.literal("healthy"), version: v.optional(v.nullable(v.string()), null) });

/** Null: nobody answers there, or not as a gateway does. */
export async function askHealth(host: string, port: number): Promise<Health | null> {
  const hostname = host.includes(":") ? `[${host}]` : host;
  // Directly to the address: a proxy that HTTP_PROXY names knows nothing of it.
  using client = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port } });
  try {
    const response = await fetch(`http://${hostname}:${port}/health`, {
      client,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "error",
    });
    const parsed = v.safeParse(answer, await response.json());
    return parsed.success ? { version: parsed.output.version } : null;
  } catch {
    return null;
  }
}
