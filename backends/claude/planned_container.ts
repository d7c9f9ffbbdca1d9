/** What the row of a docker session holds before there is anything: enough to find and remove all of it. */

import { containerName, enginePlace, INSIDE, projectKey } from "../docker/names.ts";
import type { Deps } from "../../lib/deps.ts";
import { claudeConfigFolder, type Paths } from "../../lib/paths.ts";
import type { Session } from "../../lib/session.ts";
import type { ClaudeHandle } from "./handle.ts";
import { sessionFolder } from "./launch_files.ts";
import { executableOnPath } from "../executable.ts";

/** The user's wrapper around Claude, if there is one. */
export function findWrapper(env: Deps["env"]): string | null {
  return executableOnPath(env, "clauded");
}

/** What agents in containers keep for a workspace. */
export function projectFolder(paths: Paths, realPath: string): string {
  return `${paths.containers}/${projectKey(realPath)}`;
}

/** @param realPath of the workspace. */
export function plannedContainer(
  deps: Deps,
  paths: Paths,
  session: Pick<Session, "id" | "token">,
  realPath: string,
): Pick<ClaudeHandle, "configFolder" | "configGiven" | "realPath" | "container"> {
  const wrapper = findWrapper(deps.env);
  if (wrapper !== null) {
    return {
      configFolder: claudeConfigFolder(deps.env, paths.home),
      configGiven: Boolean(deps.env["CLAUDE_CONFIG_DIR"]),
      realPath,
      container: { by: "clauded", wrapper },
    };
  }
  return {
    configFolder: `${projectFolder(paths, realPath)}/claude`,
    configGiven: true,
    realPath: INSIDE.workspace,
    container: {
      by: "docker",
      engine: enginePlace(deps.env),
      name: containerName(session.id, session.token),
      registry: sessionFolder(paths.sessionFolder(session.token)).registry,
      id: null,
      startedAt: null,
      agentPid: null,
    },
  };
}
