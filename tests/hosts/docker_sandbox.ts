/** A sandbox whose sessions run in containers of an engine of its own, with the real agents and scripted models. */

import { join } from "node:path";
import { ensureClaude } from "../support/agent_install.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { type ScriptedModel, startScriptedModel } from "../support/scripted_model.ts";
import { type DockerEngine, HOST_PROGRAMS, IMAGE, startEngine } from "./docker_engine.ts";

/** The agents' executables in the containers. */
export const CLAUDE_INSIDE = "/opt/agents/claude";

export interface DockerSandbox extends AsyncDisposable {
  readonly engine: DockerEngine;
  readonly sandbox: Sandbox;
  readonly model: ScriptedModel;
  /** Writes `~/.dev-sessions/config.json`, over the usual `docker` settings. */
  configure(docker: Readonly<Record<string, unknown>>): Promise<void>;
}

export async function createDockerSandbox(): Promise<DockerSandbox> {
  await using stack = new AsyncDisposableStack();
  const engine = stack.use(await startEngine());
  const model = stack.use(await startScriptedModel({ hostname: engine.gateway }));
  const sandbox = stack.use(await createSandbox({ agent: "claude", model }));
  sandbox.env["DOCKER_HOST"] = engine.host;
  // For a wrapper of the test's own.
  sandbox.env["TEST_IMAGE"] = IMAGE;
  const claude = await ensureClaude();
  await Deno.mkdir(join(sandbox.home, ".dev-sessions"), { mode: 0o700 });
  const configure = async (docker: Readonly<Record<string, unknown>>) => {
    const usual = {
      image: IMAGE,
      args: [...HOST_PROGRAMS, "--volume", `${claude}:${CLAUDE_INSIDE}:ro`],
      env: ["DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"],
      claude: CLAUDE_INSIDE,
    };
    const config = JSON.stringify({ docker: { ...usual, ...docker } });
    await Deno.writeTextFile(join(sandbox.home, ".dev-sessions", "config.json"), config);
  };
  await configure({});
  const owned = stack.move();
  return { engine, sandbox, model, configure, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
