/** Where the command runs: inside a session, in a container, with enough watches on files. */

import { isClientMode } from "../client_settings.ts";
import { isThere } from "../files.ts";
import { folderOf } from "../posix_path.ts";
import { messageOf } from "../errors.ts";
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import type { World } from "./world.ts";

export interface Surroundings {
  /** `DEV_SESSIONS_ID`. */
  readonly insideOf: string | null;
  readonly insideOfIsKnown: boolean;
  /** What says that this is a container, null for none. */
  readonly container: string | null;
  /** Whether commands are carried out by a gateway. */
  readonly sandbox: boolean;
  /** Of the terminal multiplexer's environment. */
  readonly home: string;
}

export function checkSurroundings(world: World): Finding[] {
  const { deps: { env }, paths } = world;
  const insideOf = env["DEV_SESSIONS_ID"] || null;
  return judgeSurroundings({
    insideOf,
    insideOfIsKnown: isKnown(insideOf, world),
    container: containerMark(env),
    sandbox: isClientMode(env),
    home: paths.home,
  });
}

function containerMark(env: World["deps"]["env"]): string | null {
  for (const path of ["/.dockerenv", "/run/.containerenv"]) if (isThere(path)) return path;
  return env["container"] ? `the variable container=${env["container"]}` : null;
}

/** Where it can't be told, it counts as known. */
function isKnown(id: string | null, { rows }: World): boolean {
  const seen = rows();
  return seen === null || [...seen.sessions, ...seen.unread].some((row) => row.id === id);
}

/** Pure. */
export function judgeSurroundings(found: Surroundings): Finding[] {
  const findings: Finding[] = [];
  const { insideOf, insideOfIsKnown, container, sandbox } = found;
  if (insideOf !== null) {
    findings.push(
      insideOfIsKnown
        ? note("nested", `run from inside the session ${insideOf}`, {
          why:
            "new sessions are its children: in no laxer mode than its own, and kill --all covers only them",
          fix: "Unset DEV_SESSIONS_ID to act as the person at the terminal",
        })
        : warning("nested", `DEV_SESSIONS_ID names ${insideOf}, which the registry does not have`, {
          why: "messages then name a sender that nobody knows",
          fix: ["Unset it", "unset DEV_SESSIONS_ID"],
        }),
    );
  }
  if (sandbox) {
    findings.push(note("sandbox", "commands go to the gateway of the host", {
      why: "the sessions and their agents are the host's; what is checked here is this side",
      fix: ["On the host, run", "dev-sessions doctor"],
    }));
  } else if (container !== null) {
    findings.push(note("container", `in a container (${container})`, {
      why: "sessions that are started here end with it, and sessions of the host are not seen",
      fix: `Keep ${found.home} in a volume, if they are to be resumed later`,
    }));
  }
  return findings;
}

/** Tries it: the limits are per user, and what others have used up of them can't be read. */
export function checkWatches({ paths }: World): Finding[] {
  const folder = isThere(paths.state) ? paths.state : paths.home;
  try {
    Deno.watchFs(folder, { recursive: false }).close();
    return [judgeWatches(null)];
  } catch (error) {
    return [judgeWatches(messageOf(error))];
  }
}

/** @param refusal what the system says when no watch can be had. Pure. */
export function judgeWatches(refusal: string | null): Finding {
  if (refusal === null) return ok("watches", "changes of files are noticed at once");
  const [limit, name] = /too many open files|os error 24/i.test(refusal)
    ? ["instances", "max_user_instances"]
    : ["watches", "max_user_watches"];
  const slower = "wait and events look once a second instead, which is slower and costs more";
  if (!/too many open files|os error (24|28)|watch limit/i.test(refusal)) {
    return warning("watches", `changes of files can't be watched: ${refusal}`, {
      why: slower,
      fix: "See whether this file system tells of changes",
    });
  }
  return warning("watches", `your limit of inotify ${limit} is used up`, {
    why: slower,
    fix: ["Raise the limit", `sudo sysctl fs.inotify.${name}=${limit === "instances" ? 1024 : 524288}`],
  });
}

/** A HOME that is no folder makes everything else fail. */
export function checkHome({ paths }: World): Finding[] {
  if (isThere(paths.home)) return [];
  return [problem("home", `HOME is "${paths.home}", which is not there`, {
    why: `dev-sessions keeps its state in it (${folderOf(paths.config)})`,
    fix: "Set HOME to your home folder",
  })];
}
