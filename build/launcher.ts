/**
 * The launcher: an executable script that runs the bundle with one Deno by its absolute path, takes nothing from the
 * folders around it or from that of its user, and says of itself where it stands.
 */

import {
  CALLER_HOME_NAME,
  FOLDER_GONE_NAME,
  LAUNCHER_NAME,
  UPDATE_CHECK_NAME,
  UPDATE_CHECK_OF_LAUNCHER,
} from "../lib/self_command.ts";
import { folderOf } from "../lib/posix_path.ts";

export interface LauncherFiles {
  /** Where the script will stand. */
  readonly executable: string;
  readonly deno: string;
  /** The bundle's `main.js`. */
  readonly main: string;
}

/** @throws Error when a path is not absolute: the script must work from every folder. */
export function launcherScript(files: LauncherFiles): string {
  for (const path of Object.values(files)) {
    if (!path.startsWith("/")) throw new Error(`Cannot write a launcher: "${path}" is not an absolute path`);
  }
  return `#!/bin/sh
${LAUNCHER_NAME}=${quote(files.executable)}
${UPDATE_CHECK_NAME}="\${${UPDATE_CHECK_NAME}:-${UPDATE_CHECK_OF_LAUNCHER}}"
# Deno reads .npmrc in HOME, and keeps what it caches below it.
${CALLER_HOME_NAME}="\${HOME:-}"
HOME=${quote(folderOf(files.main))}
export ${LAUNCHER_NAME} ${UPDATE_CHECK_NAME} ${CALLER_HOME_NAME} HOME
# Deno does not start in a folder that is gone. PWD is that of this shell, if it is right.
unset ${FOLDER_GONE_NAME}
if ! [ "\${PWD:-/}" -ef . ] 2>/dev/null; then
  case $(pwd -P 2>/dev/null) in
    /*) ;;
    *)
      export ${FOLDER_GONE_NAME}=1
      cd / 2>/dev/null
      ;;
  esac
fi
exec ${quote(files.deno)} run -A --quiet --no-config ${quote(files.main)} "$@"
`;
}

function quote(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

if (import.meta.main) {
  const [executable, deno, main, ...excess] = Deno.args;
  if (executable === undefined || deno === undefined || main === undefined || excess.length > 0) {
    throw new Error("Usage: deno run -A build/launcher.ts <where it will stand> <deno> <main.js>");
  }
  const script = launcherScript({ executable, deno, main });
  await Deno.stdout.write(new TextEncoder().encode(script));
}
