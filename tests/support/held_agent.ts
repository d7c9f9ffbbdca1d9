/** Agents that begin when the test says so: until then their `create` waits. */

import { join } from "node:path";
import type { Sandbox } from "./harness.ts";

/** Agents that are started from now on begin only when the returned function is called. */
export async function holdAgent(sandbox: Sandbox): Promise<() => Promise<void>> {
  const [agent, held] = [join(sandbox.root, "bin", "claude"), join(sandbox.root, "bin", "claude-held")];
  const go = join(sandbox.root, "go");
  await Deno.rename(agent, held);
  const script = `#!/bin/sh\nwhile [ ! -e ${go} ]; do sleep 0.02; done\nexec ${held} "$@"\n`;
  await Deno.writeTextFile(agent, script, { mode: 0o755 });
  return () => Deno.writeTextFile(go, "");
}
