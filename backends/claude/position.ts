/** How far a session's records were read for events, as it is stored between two readings. Pure. */

import * as v from "valibot";
import { AppError } from "../../lib/errors.ts";
import { outline } from "./hook_log.ts";
import { NO_TURN, TrackSchema } from "./turn_track.ts";

/**
 * A hook names its event when it begins and shows it when it has written it, at the latest when Claude ends it: until
 * then one with an earlier name may still appear.
 */
const HOOK_APPEARS_WITHIN_MS = 60_000;

const offset = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const PositionSchema = v.object({
  v: v.literal(1),
  /** The session's transcripts, that of the present conversation last. */
  files: v.array(v.object({
    path: v.string(),
    offset,
    /** Earlier lines belong to a conversation that was no part of this session. */
    from: v.number(),
  })),
  /** Every hook event up to this one was read ... */
  hooksUpTo: v.string(),
  /** ... and these behind it. */
  hooksBehind: v.array(v.string()),
  /** The time of the newest record that was read; a record without a time has that. */
  clock: v.number(),
  track: TrackSchema,
});
export type ClaudePosition = v.InferOutput<typeof PositionSchema>;

export const START: ClaudePosition = {
  v: 1,
  files: [],
  hooksUpTo: "",
  hooksBehind: [],
  clock: 0,
  track: { ...NO_TURN, calls: [], requests: [] },
};

/** @throws AppError for one that another version has stored and this one does not understand. */
export function positionOf(stored: unknown): ClaudePosition {
  if (stored === null || stored === undefined) return START;
  const parsed = v.safeParse(PositionSchema, stored);
  if (parsed.success) return parsed.output;
  throw new AppError(
    "failure",
    "Cannot go on with the events of a session: a newer version has read them. Upgrade dev-sessions",
  );
}

/** The hook events that were not read yet, oldest first. */
export function newHooks(position: ClaudePosition, names: readonly string[]): string[] {
  const behind = new Set(position.hooksBehind);
  return names.filter((name) => name > position.hooksUpTo && !behind.has(name));
}

/** Notes hook events as read; `left` are those that still are to be read. */
export function withHooks(
  position: ClaudePosition,
  read: readonly string[],
  left: readonly string[],
  now: number,
): Pick<ClaudePosition, "hooksUpTo" | "hooksBehind"> {
  const { hooksUpTo: before, hooksBehind } = position;
  if (read.length === 0) return { hooksUpTo: before, hooksBehind };
  const known = [...hooksBehind, ...read].sort();
  const old = known.filter((name) =>
    (outline(name)?.at ?? 0) < now - HOOK_APPEARS_WITHIN_MS && name < (left[0] ?? "~")
  );
  const hooksUpTo = old.at(-1) ?? before;
  return { hooksUpTo, hooksBehind: known.filter((name) => name > hooksUpTo) };
}
