/** Reads what is new in a session's records, transcript and hooks, and makes events of it; a little at a time. */

import type { AgentEventBody, EventBatch, Happened } from "../../lib/events.ts";
import type { Session } from "../../lib/session.ts";
import { HookLog, outline } from "./hook_log.ts";
import type { Observer } from "./observe.ts";
import { describe, requestId, UNREAD_REQUEST } from "./pending.ts";
import { type ClaudePosition, newHooks, positionOf, withHooks } from "./position.ts";
import type { Mark } from "./transcript.ts";
import { readForwards } from "./transcript_file.ts";
import { isInsideProjects } from "./transcript_path.ts";
import { callOf, type Recorded, type Step, step, stepRegistry } from "./turn_track.ts";

/** Of one reading, to bound what is held in memory. */
const BATCH_MARKS = 2_000;
const BATCH_UNITS = 8 * 1024 * 1024;
const BATCH_HOOKS = 200;
/** The transcript lags behind the hooks (measured: 40 to 140 ms, on a machine at its limits more than that). */
const WRITE_LAG_MS = 1_000;

/** Events of other kinds say nothing that the transcript does not say, too. */
const HOOK_KINDS: ReadonlySet<string> = new Set(["PermissionRequest", "SessionStart"]);

interface Item {
  readonly at: number;
  readonly recorded: Recorded;
}

/**
 * What the records hold after a position, ordered by time where both were read together.
 * @param session as it is now; the observer may know an earlier state of it.
 * @param events the folder of the hook events.
 * @param now milliseconds since the epoch.
 */
export function readEvents(
  observer: Observer,
  session: Session,
  events: string,
  stored: unknown,
  now: number,
): EventBatch {
  const before = positionOf(stored);
  const names = observer.hooks.names();
  const unread = newHooks(before, names).filter((name) => HOOK_KINDS.has(outline(name)?.event ?? ""));
  const hooks = readHooks(new HookLog(events), unread.slice(0, BATCH_HOOKS));
  const hooksUntil = unread.length > BATCH_HOOKS ? hooks.at(-1)!.at : Infinity;
  const marks = readMarks(
    filesAfter(before, observer, session, hooks, names.length > 0),
    before.clock,
    hooksUntil,
  );
  const until = marks.stopped === "full" ? marks.clock : hooksUntil;
  const ready = hooks.filter(({ at }) => at <= until);

  let { track } = before;
  const happened: Happened<AgentEventBody>[] = [];
  const take = (at: number, next: Step) => {
    track = next.track;
    for (const body of next.events) happened.push({ at, body });
  };
  // A request stands behind what led to it, though its hook is seen first.
  const early: HookItem[] = [];
  const isEarly = ({ at, recorded }: HookItem) =>
    recorded?.kind === "request" && !recorded.ofSubagent && now - at < WRITE_LAG_MS &&
    callOf(track, recorded) === null;
  for (const item of inOrder(marks.items, ready)) {
    if ("name" in item && isEarly(item)) early.push(item);
    // A hook that was held up tells of a start after which the conversation went on already.
    else if (item.recorded !== null && (item.recorded.kind !== "fresh" || item.at >= before.clock)) {
      take(item.at, step(track, item.recorded, item.at));
    }
  }
  const held = early.filter((item) => {
    if (item.recorded === null || isEarly(item)) return true;
    take(item.at, step(track, item.recorded, item.at));
    return false;
  });

  const more = marks.stopped !== null || hooksUntil < Infinity;
  // Read last, so that it speaks of everything above.
  const registry = more || session.lifecycle !== "active" ? null : observer.registry();
  if (registry !== null) {
    take(registry.statusUpdatedAt, stepRegistry(track, registry, now, stoppedAt(names)));
  }
  const read = ready.filter((item) => !held.includes(item)).map(({ name }) => name);
  const position: ClaudePosition = {
    v: 1,
    files: marks.files,
    ...withHooks(before, read, unread.filter((name) => !read.includes(name)), now),
    clock: marks.clock,
    track: { ...track },
  };
  return {
    events: happened,
    position,
    moreAfter: more ? until : null,
    settling: !more && (held.length > 0 || (track.turn === "open" && stopIsAnnounced(names, now))),
  };
}

interface HookItem {
  readonly name: string;
  readonly at: number;
  readonly recorded: Recorded | null;
  readonly start: { readonly session: string; readonly path: string | null; readonly source: string } | null;
}

function readHooks(log: HookLog, names: readonly string[]): HookItem[] {
  return names.map((name) => {
    const at = outline(name)?.at ?? 0;
    const event = log.read(name);
    const { body } = event ?? {};
    if (event?.event === "PermissionRequest") {
      const tool = body?.tool_name ?? "tool";
      const { kind, summary, options } = event.unread
        ? { kind: "permission" as const, summary: UNREAD_REQUEST, options: [] }
        : describe(tool, body?.tool_input);
      const ask = { kind, tool, summary, options };
      const input = body?.tool_input ?? null;
      const ofSubagent = body?.agent_id !== undefined;
      const recorded = { kind: "request", id: requestId(name), tool, input, ofSubagent, ask } as const;
      return { name, at, start: null, recorded };
    }
    const nothing = { name, at, start: null, recorded: null };
    if (event?.event !== "SessionStart" || !body?.session_id) return nothing;
    const start = {
      session: body.session_id,
      path: body.transcript_path ?? null,
      source: body.source ?? "startup",
    };
    // After /clear the other transcript tells; compaction happens within a turn.
    const anew = start.source === "startup" || start.source === "resume";
    return { ...nothing, start, recorded: anew ? { kind: "fresh" } : null };
  });
}

type File = ClaudePosition["files"][number];

/** The transcripts as they are to be read now: those known, and those that new SessionStart events name. */
function filesAfter(
  position: ClaudePosition,
  observer: Observer,
  session: Session,
  hooks: readonly HookItem[],
  hooksWork: boolean,
): File[] {
  const { configFolder } = observer.handle;
  const files = [...position.files];
  const known = (path: string) => files.find((file) => nameOf(file.path) === nameOf(path));
  const first = session.agentSessionId;
  if (first !== null && files.length === 0) {
    files.push({ path: observer.transcriptOf(first), offset: 0, from: 0 });
  }
  for (const { start, at } of hooks) {
    if (start === null || !/^[0-9a-fA-F-]{36}$/.test(start.session)) continue;
    const named = start.path !== null && isInsideProjects(configFolder, start.path) ? start.path : null;
    const path = named ?? observer.transcriptOf(start.session);
    const file = known(path);
    if (file !== undefined) files.splice(files.indexOf(file), 1);
    // A person may have taken up a conversation that was led elsewhere.
    const foreign = start.source === "resume" || start.source === "fork";
    files.push(file === undefined ? { path, offset: 0, from: foreign ? at : 0 } : { ...file, path });
  }
  if (!hooksWork) {
    const path = observer.transcript();
    const file = known(path);
    if (file === undefined) files.push({ path, offset: 0, from: 0 });
    // Where a wrapper's Claude keeps it is known once it is there.
    else if (file.path !== path && file.offset === 0) files[files.indexOf(file)] = { ...file, path };
  }
  return files;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * Reads the last two transcripts on; earlier ones were read to their ends when they were the last but one.
 * @param until no line that is newer.
 */
function readMarks(files: readonly File[], before: number, until: number) {
  const items: Item[] = [];
  const after = [...files];
  let clock = before;
  let units = 0;
  let stopped: "full" | "until" | null = null;
  for (let index = Math.max(0, files.length - 2); index < files.length && stopped === null; index++) {
    const file = files[index]!;
    let line = -1;
    let lineAt = 0;
    let fresh = file.offset === 0 && index > 0;
    let end: number | null = null;
    const read = readForwards(file.path, file.offset, (mark, offset) => {
      lineAt = mark.at ?? lineAt;
      // Only between two lines: a line's marks belong together.
      if (offset !== line) {
        if (items.length >= BATCH_MARKS || units >= BATCH_UNITS) stopped = "full";
        else if (lineAt > until) stopped = "until";
        if (stopped !== null) {
          end = offset;
          return "stop";
        }
      }
      line = offset;
      if (lineAt < file.from) return "continue";
      clock = Math.max(clock, lineAt);
      if (fresh) items.push({ at: clock, recorded: { kind: "fresh" } });
      fresh = false;
      items.push({ at: clock, recorded: { kind: "mark", mark } });
      units += unitsOf(mark);
      return "continue";
    });
    switch (read.result) {
      case "missing":
        break;
      case "read":
        after[index] = { ...file, offset: end ?? read.offset };
        if (read.more) stopped = "full";
        break;
      case "rewritten":
        // Its text from the start on might be a repetition: what comes from here on counts.
        after[index] = { ...file, offset: read.size };
        break;
    }
  }
  return { items, files: after, clock, stopped: stopped as "full" | "until" | null };
}

function unitsOf(mark: Mark): number {
  return "text" in mark && mark.text !== null ? mark.text.length : 100;
}

/** By time; where it is the same, lines before hooks. */
function* inOrder(marks: readonly Item[], hooks: readonly HookItem[]): Generator<Item | HookItem> {
  let next = 0;
  const before = function* (at: number): Generator<HookItem> {
    for (; next < hooks.length && hooks[next]!.at < at; next++) yield hooks[next]!;
  };
  for (const item of marks) {
    yield* before(item.at);
    yield item;
  }
  yield* before(Infinity);
}

/** Time of the newest hook event that tells of a turn's end. */
function stoppedAt(names: readonly string[]): number | null {
  const newest = names.findLast((name) => /\.(Stop|StopFailure)\./.test(name));
  return newest === undefined ? null : outline(newest)?.at ?? null;
}

function stopIsAnnounced(names: readonly string[], now: number): boolean {
  const newest = names.findLast((name) =>
    /\.(Stop|StopFailure|UserPromptSubmit|PermissionRequest)\./.test(name)
  );
  const event = newest === undefined ? null : outline(newest);
  const stopped = event?.event === "Stop" || event?.event === "StopFailure";
  return event !== null && stopped && now - event.at < WRITE_LAG_MS;
}
