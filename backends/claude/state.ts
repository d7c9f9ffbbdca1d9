/**
 * Decides what a session does now, from Claude's records alone. Pure: the same evidence always gives the same answer,
 * and evidence that does not say gives `unknown`.
 */

import type { BackgroundTask, Evidence, TurnEnd, TurnState } from "../../lib/session.ts";
import { notTakenUp } from "./conversation.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import { backgroundTasks } from "./hook_log.ts";
import { openInputs } from "./pending.ts";
import { startsTurn } from "./transcript.ts";
import { endOfEvent, endOfMark, hasSubagents, isEndEvent, isEndMark, iso } from "./turn_end.ts";

/** Between a turn and the next one of the queue the registry says idle (measured: 20 to 32 ms). */
const QUEUE_GAP_MS = 1_000;

/** What the session does now. */
export function decideState(evidence: ClaudeEvidence): TurnState {
  const { registry } = evidence;
  const base = {
    evidence: explain(evidence),
    background: currentBackground(evidence),
    lastTurn: lastTurn(evidence),
  };
  if (evidence.process === "dead") {
    return { state: "gone", reason: "its agent's process is gone", since: null, ...base };
  }
  if (evidence.behindWrapper !== null) {
    // What the registry says may be the last word of a Claude that was killed.
    return { state: "unknown", reason: mayLiveBehindWrapper(evidence.behindWrapper), since: null, ...base };
  }
  const [pending, ...others] = openInputs(evidence);
  if (pending !== undefined) {
    const since = registry?.status === "waiting" ? iso(registry.statusUpdatedAt) : pending.since;
    return { state: "waiting_for_input", pending, others, since, ...base };
  }
  if (registry !== null) {
    const since = iso(registry.statusUpdatedAt);
    switch (registry.status) {
      case "waiting":
      case "busy":
        return { state: "working", since, ...base };
      case "idle":
      case "shell":
        return startedSince(evidence, registry.statusUpdatedAt) ||
            takesUpQueue(evidence, registry.statusUpdatedAt)
          ? { state: "working", since, ...base }
          : { state: "idle", since, ...base };
    }
  }
  return withoutRegistry(evidence, base);
}

function mayLiveBehindWrapper(file: string): string {
  return `its wrapper has ended, but Claude's live registry still names its conversation ("${file}"), ` +
    "so that its container may still run. See: docker ps";
}

type StateParts = Pick<TurnState, "evidence" | "background" | "lastTurn">;

function withoutRegistry(evidence: ClaudeEvidence, base: StateParts): TurnState {
  const ending = base.lastTurn;
  const start = newestStart(evidence);
  if (start !== null && start > endTime(ending)) {
    return { state: "working", since: iso(start), ...base };
  }
  if (ending !== null && !hasSubagents(base.background)) return { state: "idle", since: ending.at, ...base };
  if (hasSubagents(base.background)) return { state: "working", since: ending?.at ?? null, ...base };
  if (evidence.process === "alive" && (evidence.hooks || evidence.transcript === "missing")) {
    return { state: "idle", since: null, ...base };
  }
  return {
    state: "unknown",
    reason: evidence.process === "unknown"
      ? "its agent's process can't be seen from here"
      : "neither hooks, live registry nor transcript say what it does",
    since: null,
    ...base,
  };
}

/** A prompt newer than the registry's word: the registry has not caught up yet (measured: up to 0.35 s). */
function startedSince(evidence: ClaudeEvidence, statusAt: number): boolean {
  const start = newestStart(evidence);
  if (start === null || start <= statusAt) return false;
  return endTime(lastTurn(evidence)) < start;
}

/** Idle for a moment only, while a message waits in the queue: its turn is about to begin. */
function takesUpQueue(evidence: ClaudeEvidence, statusAt: number): boolean {
  return evidence.at - statusAt < QUEUE_GAP_MS && notTakenUp(evidence.marks).length > 0;
}

/** Minus infinity for no end, or one whose time is not recorded. */
function endTime(end: TurnEnd | null): number {
  return end === null || end.at === null ? -Infinity : Date.parse(end.at);
}

/** When the newest turn began, in milliseconds since the epoch. */
function newestStart(evidence: ClaudeEvidence): number | null {
  const event = evidence.events.findLast((found) => found.event === "UserPromptSubmit");
  const mark = evidence.marks.findLast(startsTurn);
  const times = [event?.at, mark?.at].filter((at) => at !== undefined && at !== null);
  return times.length === 0 ? null : Math.max(...times);
}

/** How the newest turn that ended did so; null when none is in the evidence. */
export function lastTurn(evidence: Pick<ClaudeEvidence, "events" | "marks">): TurnEnd | null {
  const event = evidence.events.findLast(isEndEvent);
  const mark = evidence.marks.findLast(isEndMark);
  const byMark = mark === undefined ? null : endOfMark(mark);
  if (event === undefined) return byMark;
  const byEvent = endOfEvent(event);
  if (byMark === null) return byEvent;
  // Most ends have both, the hook's time being slightly earlier or later; the interrupt line and a hook's "stop" have
  // no event, and a newer mark that tells of another end is of a newer turn.
  const another = byMark.kind !== byEvent.kind || mark?.kind === "informational";
  return another && endTime(byMark) > event.at ? byMark : byEvent;
}

/** The newest Stop's list, unless a turn has begun since. */
function currentBackground(evidence: ClaudeEvidence): BackgroundTask[] {
  const stop = evidence.events.findLast(isEndEvent);
  return stop === undefined || (newestStart(evidence) ?? 0) > stop.at ? [] : backgroundTasks(stop.body);
}

/** For `status --explain`: each source and what it says, the missing ones included. */
export function explain(evidence: ClaudeEvidence): Evidence[] {
  const { registry } = evidence;
  const newest = evidence.events.at(-1);
  const unread = evidence.events.filter((event) => event.unread).length;
  const mark = evidence.marks.at(-1);
  return [
    {
      source: "process",
      finding: evidence.behindWrapper === null
        ? evidence.process
        : `${evidence.process}: ${mayLiveBehindWrapper(evidence.behindWrapper)}`,
    },
    {
      source: "live registry",
      finding: registry === null
        ? "none for this process: falling back to hooks and transcript"
        : `${registry.status}${registry.waitingFor === null ? "" : ` (${registry.waitingFor})`} since ${
          iso(registry.statusUpdatedAt)
        }`,
    },
    {
      source: "hooks",
      finding: !evidence.hooks
        ? "no event was ever written: hooks are off, falling back to live registry and transcript"
        : newest === undefined
        ? "no event lately"
        : `${newest.event} at ${iso(newest.at)}` +
          (unread === 0 ? "" : `; of ${unread} only the name, being larger than an event can be`),
    },
    {
      source: "transcript",
      finding: evidence.transcript === "missing"
        ? "none yet: no prompt was recorded"
        : mark === undefined
        ? "nothing that says how a turn went"
        : `${mark.kind}${mark.at === null ? "" : ` at ${iso(mark.at)}`}`,
    },
  ];
}
