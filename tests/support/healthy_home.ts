/** A sandbox in whose home the stub of Claude Code is set up and signed in, as far as its files say. */

import { join } from "node:path";
import { createSandbox, type Sandbox } from "./harness.ts";

export async function healthyHome(): Promise<Sandbox> {
  const sandbox = await createSandbox({ agent: "stub" });
  await Deno.writeTextFile(
    join(sandbox.home, ".claude.json"),
    JSON.stringify({ hasCompletedOnboarding: true }),
  );
  sandbox.env["ANTHROPIC_AUTH_TOKEN"] = "scripted";
  return sandbox;
}
