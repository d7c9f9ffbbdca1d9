/** Which ended sessions can be resumed, for lists of a thousand: folders are read once, and hardly any session's own. */

import type { EndedPlace } from "../../lib/store/revival.ts";
import { HookLog } from "./hook_log.ts";
import { projectFolderName } from "./transcript_path.ts";

/**
 * Tokens of those that nothing known keeps from it: their workspace is there, and so is their conversation, unless they
 * never got a prompt. What costs more to find out is left to `resume`.
 *
 * @param configFolder of sessions that an earlier version started.
 * @param eventsOf the folder of a session's hook events.
 */
export function resumable(
  ended: readonly EndedPlace[],
  configFolder: string,
  eventsOf: (token: string) => string,
): ReadonlySet<string> {
  const folders = new Map<string, ReadonlySet<string>>();
  const transcripts = (place: Place) => {
    const path = `${place.configFolder}/projects/${projectFolderName(place.realPath)}`;
    let names = folders.get(path);
    if (names === undefined) folders.set(path, names = namesIn(path));
    return names;
  };
  const workspaces = new Map<string, boolean>();
  const hasWorkspace = ({ path }: EndedPlace) => {
    let known = workspaces.get(path);
    if (known === undefined) workspaces.set(path, known = isFolder(path));
    return known;
  };
  const canBe = (session: EndedPlace) => {
    if (session.mode === "docker" || !hasWorkspace(session)) return false;
    const place = placeOf(session.handle) ?? { configFolder, realPath: session.path };
    const names = transcripts(place);
    if (names.has(`${session.agentSessionId}.jsonl`)) return true;
    if (session.handle === null) return false;
    return !session.everSent || continuesElsewhere(names, session, eventsOf(session.token));
  };
  return new Set(ended.filter(canBe).map(({ token }) => token));
}

interface Place {
  readonly configFolder: string;
  readonly realPath: string;
}

function placeOf(handle: string | null): Place | null {
  if (handle === null) return null;
  try {
    const { configFolder, realPath } = JSON.parse(handle);
    return typeof configFolder === "string" && typeof realPath === "string"
      ? { configFolder, realPath }
      : null;
  } catch {
    return null;
  }
}

/** `/clear` begins another conversation, which has no transcript before its first prompt. */
function continuesElsewhere(names: ReadonlySet<string>, session: EndedPlace, events: string): boolean {
  const log = new HookLog(events);
  const current = log.newest("SessionStart")?.body.session_id;
  if (current === undefined || current === session.agentSessionId) return false;
  return names.has(`${current}.jsonl`) || log.newest("UserPromptSubmit")?.body.session_id !== current;
}

function namesIn(path: string): ReadonlySet<string> {
  try {
    return new Set(Array.from(Deno.readDirSync(path), ({ name }) => name));
  } catch {
    return new Set();
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
