/** Starts Claude in a container: through the user's own wrapper, or in one that we make. */

import type { AgentHandle, CreateSpec } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import type { Paths } from "../../lib/paths.ts";
import { assertMayBeMounted } from "../docker/workspace.ts";
import { prepareContainer, startOf } from "./container.ts";
import { agentEnvironment, gatewayVariables } from "./environment.ts";
import { type ClaudeHandle, handleOf } from "./handle.ts";
import { launcherScript, type SessionFolder, sessionFolder } from "./launch_files.ts";
import { startClaude } from "./start.ts";
import type { Tmux } from "./tmux.ts";

/** @throws AppError when the agent does not come to accept input; with its last screen. */
export async function startContained(
  deps: Deps,
  paths: Paths,
  tmux: Tmux,
  spec: CreateSpec & { readonly action?: string },
  resume: boolean,
  signal: AbortSignal,
): Promise<AgentHandle> {
  const { container } = handleOf(spec.session);
  if (container?.by === "clauded") {
    const action = spec.action ?? `create a session in "${spec.session.path}"`;
    assertMayBeMounted(Deno.realPathSync(spec.session.path), paths.state, action);
    const folder = writeWrapperLauncher(deps, paths, spec, container.wrapper, resume);
    return await startClaude(deps, tmux, spec, folder, paths.state, signal);
  }
  const { folder, session } = await prepareContainer(deps, paths, spec, resume);
  const started = await startClaude(deps, tmux, { ...spec, session }, folder, paths.state, signal);
  const handle = started.handle as ClaudeHandle;
  if (handle.container?.by !== "docker") return started;
  const startedAt = await startOf(deps, handle);
  return { ...started, handle: { ...handle, container: { ...handle.container, startedAt } } };
}

/** It gets what it got from 0.4.4, and what the caller asked for; no hooks, since it may not pass their files on. */
function writeWrapperLauncher(
  deps: Deps,
  paths: Paths,
  spec: CreateSpec,
  wrapper: string,
  resume: boolean,
): SessionFolder {
  const { session } = spec;
  const { configFolder, configGiven } = handleOf(session);
  const folder = sessionFolder(paths.sessionFolder(session.token));
  Deno.mkdirSync(folder.events, { recursive: true, mode: 0o700 });
  const env = agentEnvironment(deps.env, {
    id: session.id,
    trusted: true,
    configFolder: configGiven ? configFolder : null,
  });
  Deno.writeTextFileSync(
    folder.launcher,
    launcherScript({
      env: { ...env, ...gatewayVariables(deps.env), DEV_SESSIONS_SANDBOX: "1" },
      cwd: session.path,
      command: [
        wrapper,
        resume ? "--resume" : "--session-id",
        session.agentSessionId ?? "",
        ...(session.model === null ? [] : ["--model", session.model]),
        ...spec.agentArgs,
      ],
    }),
    { mode: 0o600 },
  );
  return folder;
}
