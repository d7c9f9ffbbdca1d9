/**
 * Removes the gateway's service: it is reported as removed only when its gateway has stopped, and nothing is changed
 * where that can't be seen to.
 */

import { AppError, messageOf } from "../../lib/errors.ts";
import { isThere, removeIfThere, writeAtomically } from "./files.ts";
import { lockService, type ServiceWorld } from "./world.ts";

export type Uninstalled =
  /** `unasked`: why nobody could be asked whether one without a definition still runs; null when it does not. */
  | { readonly kind: "not_installed"; readonly unasked: string | null }
  | { readonly kind: "removed"; readonly file: string }
  /** There is no service manager that could have been asked to stop it. */
  | { readonly kind: "removed_only"; readonly file: string; readonly why: string }
  /** Its definition was gone already, but not the rest. */
  | { readonly kind: "rest_removed"; readonly file: string };

/** @throws AppError when it goes on, or can't be reached; then its definition is still there. */
export async function uninstallService(world: ServiceWorld): Promise<Uninstalled> {
  const { manager } = world;
  const file = await manager.place();
  if (!await isThere(file) && !await manager.isLeft()) {
    const lack = await manager.lack();
    return { kind: "not_installed", unasked: lack?.kind === "unreachable" ? lack.why : null };
  }
  try {
    using _lock = await lockService(world);
    return await uninstall(file, world);
  } catch (error) {
    throw new AppError(
      "failure",
      `Cannot remove the gateway's service: ${messageOf(error)}`,
      error instanceof AppError ? error.detail : null,
    );
  }
}

async function uninstall(file: string, { manager, self, paths }: ServiceWorld): Promise<Uninstalled> {
  const lack = await manager.lack();
  switch (lack?.kind) {
    case "unreachable":
      throw new AppError("failure", `${lack.why}. ${lack.help}, and try again. Nothing has changed`);
    case "absent":
      await removeIfThere(file);
      await manager.unlink();
      return { kind: "removed_only", file, why: lack.why };
    case undefined:
      break;
  }
  const wasThere = await isThere(file);
  // Without a definition systemd does not know that the sessions are to be spared.
  if (!wasThere) {
    await writeAtomically(
      file,
      manager.define({ ...self, port: 0, options: [], env: {}, log: paths.gatewayLog }),
    );
  }
  try {
    await manager.stop();
  } catch (error) {
    if (!wasThere) await removeIfThere(file);
    throw error;
  }
  await removeIfThere(file);
  await manager.forget();
  return { kind: wasThere ? "removed" : "rest_removed", file };
}
