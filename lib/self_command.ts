/**
 * The one way to start dev-sessions again: by the file that is installed, whichever form of it runs, and also after
 * that file has been replaced.
 */

import type { Deps } from "./deps.ts";
import { AppError } from "./errors.ts";
import { pathsFrom } from "./paths.ts";

type Env = Readonly<Record<string, string>>;

/** How this dev-sessions runs, with absolute paths of files that exist. */
export type Program =
  /** Compiled: one file. */
  | { readonly kind: "compiled"; readonly executable: string }
  /** The bundle, started by a launcher script with a Deno of its own. */
  | { readonly kind: "launcher"; readonly executable: string }
  /** The bundle, started by hand. */
  | { readonly kind: "bundle"; readonly deno: string; readonly main: string }
  /** A checkout. */
  | { readonly kind: "source"; readonly deno: string; readonly main: string };

/** What `decideProgram` decides from. */
export interface ProgramEvidence {
  readonly standalone: boolean;
  /** Of the process: the executable, or Deno. */
  readonly execPath: string;
  /** A `file:` URL. */
  readonly mainModule: string;
  /** What the launcher script says of itself. */
  readonly launcher: string | null;
  /** The path that the installation wrote down. */
  readonly recorded: () => string | null;
  readonly isFile: (path: string) => boolean;
}

/** The launcher script's absolute path, set by the script itself. Nothing that we start sees it. */
export const LAUNCHER_NAME = "DEV_SESSIONS_EXECUTABLE";
/**
 * The caller's HOME, which the script takes away from Deno: Deno would read `.npmrc` in it, and not start where it can't
 * use what stands there. Ours have no need of npm.
 */
export const CALLER_HOME_NAME = "DEV_SESSIONS_CALLER_HOME";
/** `1`: the script was called in a folder that is gone, and has left it, since Deno does not start there. */
export const FOLDER_GONE_NAME = "DEV_SESSIONS_FOLDER_GONE";
/** What the launcher sets for Deno alone, where the user has set nothing. */
export const UPDATE_CHECK_NAME = "DENO_NO_UPDATE_CHECK";
export const UPDATE_CHECK_OF_LAUNCHER = "dev-sessions";
/** What Linux adds to the path of a running executable that was replaced or removed. */
const DELETED = " (deleted)";

/** @returns the command that runs dev-sessions with these arguments. @throws AppError when its file is gone. */
export function selfCommand(
  args: readonly string[],
  deps: Pick<Deps, "program">,
): { readonly command: string; readonly args: readonly string[] } {
  const program = deps.program();
  switch (program.kind) {
    case "compiled":
    case "launcher":
      return { command: program.executable, args };
    case "bundle":
      // Without --no-config, a deno.json or package.json in a folder above the bundle would count.
      return {
        command: program.deno,
        args: ["run", "-A", "--quiet", "--no-config", program.main, ...args],
      };
    case "source":
      return { command: program.deno, args: ["run", "-A", "--quiet", program.main, ...args] };
  }
}

/** Pure but for the files it asks for. @throws AppError when no file is left that could be started. */
export function decideProgram(evidence: ProgramEvidence): Program {
  const { standalone, launcher, isFile } = evidence;
  const executable = present(evidence.execPath, isFile);
  if (standalone) return { kind: "compiled", executable: executable ?? recordedExecutable(evidence) };
  if (launcher !== null) {
    return { kind: "launcher", executable: isFile(launcher) ? launcher : recordedExecutable(evidence) };
  }
  const main = decodeURIComponent(new URL(evidence.mainModule).pathname);
  if (executable === null) throw gone(evidence.execPath);
  if (!isFile(main)) throw gone(main);
  return { kind: main.endsWith(".ts") ? "source" : "bundle", deno: executable, main };
}

function present(path: string, isFile: (path: string) => boolean): string | null {
  if (isFile(path)) return path;
  if (!path.endsWith(DELETED)) return null;
  const replaced = path.slice(0, -DELETED.length);
  return isFile(replaced) ? replaced : null;
}

function recordedExecutable({ recorded, isFile, launcher, execPath }: ProgramEvidence): string {
  const path = recorded();
  if (path === null || !path.startsWith("/") || !isFile(path)) throw gone(launcher ?? execPath);
  return path;
}

function gone(path: string): AppError {
  const file = path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
  return new AppError(
    "failure",
    `Cannot start dev-sessions again: "${file}" is gone. Install dev-sessions again`,
  );
}

/** What the launcher script has set, apart from the environment of the caller. */
export interface Launched {
  /** The caller's. */
  readonly env: Record<string, string>;
  /** Where the script stands; null: there is none. */
  readonly launcher: string | null;
  readonly folderIsGone: boolean;
}

/** Pure. */
export function takeLauncher(env: Env): Launched {
  const rest = { ...env };
  const [path, home, gone] = [LAUNCHER_NAME, CALLER_HOME_NAME, FOLDER_GONE_NAME].map((name) => rest[name]);
  delete rest[LAUNCHER_NAME];
  delete rest[CALLER_HOME_NAME];
  delete rest[FOLDER_GONE_NAME];
  if (home === "") delete rest["HOME"];
  else if (home !== undefined) rest["HOME"] = home;
  if (rest[UPDATE_CHECK_NAME] === UPDATE_CHECK_OF_LAUNCHER) delete rest[UPDATE_CHECK_NAME];
  return { env: rest, launcher: path?.startsWith("/") ? path : null, folderIsGone: gone === "1" };
}

/** How the running process was started. @throws AppError when its file is gone. */
export function currentProgram(env: Env, launcher: string | null): Program {
  return decideProgram({
    standalone: Deno.build.standalone,
    execPath: Deno.execPath(),
    mainModule: Deno.mainModule,
    launcher,
    recorded: () => {
      try {
        return Deno.readTextFileSync(pathsFrom(env).executable).trimEnd();
      } catch {
        return null;
      }
    },
    isFile: (path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    },
  });
}
