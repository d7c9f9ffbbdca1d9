/** The service manager of this system, with what the gateway's service is made of. */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { selfCommand } from "../../lib/self_command.ts";
import { VERSION } from "../../lib/version.ts";
import { Launchd } from "./launchd.ts";
import type { ServiceManager } from "./manager.ts";
import { Systemd } from "./systemd.ts";
import type { ServiceWorld } from "./world.ts";

/** @throws AppError on a system without one that we know. */
export function serviceWorld(deps: Deps): ServiceWorld {
  const paths = pathsFrom(deps.env);
  return { deps, paths, manager: managerOf(deps, paths.home), self: selfCommand([], deps), version: VERSION };
}

function managerOf(deps: Deps, home: string): ServiceManager {
  const uid = Deno.uid() ?? 0;
  switch (Deno.build.os) {
    case "linux":
      return new Systemd(deps, home, uid);
    case "darwin":
      return new Launchd(deps, home, uid);
    default:
      throw new AppError(
        "failure",
        `Cannot manage a service here: ${Deno.build.os} has neither systemd nor launchd. Run: dev-sessions gateway`,
      );
  }
}
