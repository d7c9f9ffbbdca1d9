/** In a container: whether its commands reach the sessions of the host, asked as they ask. */

import { gatewayAddress, pathMap } from "../client_settings.ts";
import { AppError } from "../errors.ts";
import { type Finding, note, ok, problem } from "./finding.ts";
import type { World } from "./world.ts";

const CHECK = "gateway";

export async function checkGateway({ deps, service }: World): Promise<Finding[]> {
  try {
    const { url } = gatewayAddress(deps.env);
    const sessions = await (await service()).list({ all: false, group: null });
    const count = sessions.length === 1 ? "1 live session" : `${sessions.length} live sessions`;
    return [ok(CHECK, `the gateway ${url} answers: ${count} can be seen from here`), ...judgePaths(deps.env)];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [judgeFailure(error)];
  }
}

/** Pure. */
function judgeFailure(error: AppError): Finding {
  const why = "every command in this container goes through it";
  return problem(CHECK, error.message, {
    why,
    fix: error.detail?.split("\n").map((line) => line.trim()).join("; ") ??
      "Look at the gateway on the host: dev-sessions gateway status",
  });
}

/** Without it a folder of the container has no name on the host. Pure. */
function judgePaths(env: World["deps"]["env"]): Finding[] {
  const { host, container } = pathMap(env);
  if (host !== null) return [ok("host-path", `${container} is ${host} on the host`)];
  return [note("host-path", `HOST_PATH is not set: it is not known what ${container} is on the host`, {
    why: "create takes paths of the host only",
    fix: `Start the container with HOST_PATH set to the folder of the host that is mounted at ${container}`,
  })];
}
