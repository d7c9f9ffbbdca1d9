/** Which ended sessions can be resumed, for lists of a thousand: folders are read once, and hardly any session's own. */

import { markShared } from "../docker/shared_files.ts";
import type { EndedSession } from "../../lib/store/revival.ts";
import { isFolder } from "../../lib/files.ts";
import type { SessionSummary } from "../../lib/session.ts";
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
  ended: readonly EndedSession[],
  configFolder: string,
  eventsOf: (token: string) => string,
): ReadonlySet<string> {
  const transcriptsIn = remembered(namesIn);
  const transcriptsOf = remembered((realPath: string) =>
    remembered((config: string) => transcriptsIn(`${config}/projects/${projectFolderName(realPath)}`))
  );
  const hasFolder = remembered(isFolder);
  const canBe = ({ session, handle, everSent }: EndedSession) => {
    if (!hasFolder(session.path)) return false;
    const place = handle === null ? null : placeOf(handle);
    if (session.mode === "docker") {
      if (place?.container === undefined) return false;
      markShared(eventsOf(session.token));
    }
    const names = transcriptsOf(place?.realPath ?? session.path)(place?.configFolder ?? configFolder);
    if (names.has(`${session.agentSessionId}.jsonl`)) return true;
    if (handle === null) return false;
    return !everSent || continuesElsewhere(names, session, eventsOf(session.token));
  };
  return new Set(ended.filter(canBe).map(({ session }) => session.token));
}

/** Most sessions have the same few folders. */
function remembered<T>(find: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) known.set(key, value = find(key));
    return value;
  };
}

interface Place {
  readonly configFolder: string;
  readonly realPath: string;
  readonly container?: unknown;
}

/** Null for a handle that is none of ours. */
function placeOf(handle: string): Place | null {
  try {
    const { configFolder, realPath, container } = JSON.parse(handle);
    return typeof configFolder === "string" && typeof realPath === "string"
      ? { configFolder, realPath, ...(container === undefined ? {} : { container }) }
      : null;
  } catch {
    return null;
  }
}

/** `/clear` begins another conversation, which has no transcript before its first prompt. */
function continuesElsewhere(names: ReadonlySet<string>, session: SessionSummary, events: string): boolean {
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
