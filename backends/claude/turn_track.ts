/**
 * Makes events of what Claude Code records, one record after the other: which turn begins, goes on or ends with it, and
 * which request for input it answers. Pure.
 */

import * as v from "valibot";
import type { AgentEventBody, TurnSource } from "../../lib/events.ts";
import type { PendingKind } from "../../lib/session.ts";
import type { RegistryEntry } from "./live_registry.ts";
import { CRASH_PLACEHOLDER, type Mark } from "./transcript.ts";
import { endOfMark, isEndMark } from "./turn_end.ts";

/** The registry is busy while sub-agents run; idle for so long, those that a turn's end has counted left no report. */
const SUBAGENT_IDLE_MS = 3_000;
/** A turn that ends in any other way has left a hook event or a line long before (measured: within 0.15 s). */
const REWOUND_IDLE_MS = 3_000;

const CallSchema = v.object({ id: v.string(), key: v.string() });
const RequestSchema = v.object({
  id: v.string(),
  key: v.string(),
  at: v.number(),
  /** The tool call that it is for, once the transcript has it. */
  call: v.nullable(v.string()),
  /** Its calls stand in a transcript of its own, and the live registry may be busy while it waits. */
  ofSubagent: v.boolean(),
});

/** What must be known of the past to understand the next record. */
export const TrackSchema = v.object({
  /** `resting`: the agent has said its last word, but sub-agents of the turn still run. */
  turn: v.picklist(["none", "open", "resting"]),
  /** Nothing was recorded yet but what started the turn, or what it goes on with after it was `resting`. */
  starting: v.boolean(),
  /** Tool calls without a result. */
  calls: v.array(CallSchema),
  /** Requests for input that nothing has answered. */
  requests: v.array(RequestSchema),
  /** When it was `starting` last; unknown for what an earlier version has read. */
  since: v.optional(v.number()),
  /** It came out of the queue behind a turn that had no end on record: the interrupt line of that may still come. */
  overtook: v.optional(v.boolean()),
  /** The queue went on: what it brings next is another turn. */
  dequeued: v.optional(v.boolean()),
});
export type Track = Readonly<v.InferOutput<typeof TrackSchema>>;
type Call = v.InferOutput<typeof CallSchema>;
type Request = v.InferOutput<typeof RequestSchema>;

export const NO_TURN: Track = { turn: "none", starting: false, calls: [], requests: [] };

export type Recorded =
  | { readonly kind: "mark"; readonly mark: Mark }
  /** The PermissionRequest hook: the agent asks. */
  | {
    readonly kind: "request";
    readonly id: string;
    readonly tool: string;
    readonly input: unknown;
    readonly ofSubagent: boolean;
    readonly ask: {
      readonly kind: PendingKind;
      readonly tool: string | null;
      readonly summary: string;
      readonly options: readonly string[];
    };
  }
  /** The agent was started anew or began another conversation: whatever ran before is over. */
  | { readonly kind: "fresh" };

export interface Step {
  readonly track: Track;
  readonly events: readonly AgentEventBody[];
}

/** @param at milliseconds since the epoch. */
export function step(track: Track, recorded: Recorded, at: number): Step {
  switch (recorded.kind) {
    case "fresh":
      return fresh(track, at);
    case "request": {
      const request: Request = {
        id: recorded.id,
        key: callKey(recorded.tool, recorded.input),
        at,
        call: recorded.ofSubagent ? null : callOf(track, recorded),
        ofSubagent: recorded.ofSubagent,
      };
      return {
        track: { ...track, requests: [...track.requests, request] },
        events: [{ type: "input_requested", ...recorded.ask, requestId: recorded.id }],
      };
    }
    case "mark":
      return stepMark(track, recorded.mark, at);
  }
}

/** The tool call that a request is for; null while the transcript, which lags behind the hooks, does not have it. */
export function callOf(
  track: Track,
  request: Pick<Extract<Recorded, { kind: "request" }>, "tool" | "input">,
) {
  const key = callKey(request.tool, request.input);
  const claimed = new Set(track.requests.map(({ call }) => call));
  return track.calls.find((open) => open.key === key && !claimed.has(open.id))?.id ?? null;
}

/** Of the requests only what is newer than the start remains: the hook that asks may be seen before it. */
function fresh(track: Track, at: number): Step {
  const { track: after, events } = resolve(track, (request) => request.at < at);
  return { track: { ...NO_TURN, requests: after.requests }, events };
}

function stepMark(track: Track, mark: Mark, at: number): Step {
  if (isOfTurnBefore(track, mark)) return { track: { ...track, overtook: false }, events: [] };
  if (isEndMark(mark)) return ended(track, mark, at);
  const started = (source: TurnSource, text: string | null) => begin(track, source, text, at);
  switch (mark.kind) {
    case "prompt":
      return prompted(track, mark, at);
    case "absorbed_prompt":
      return track.turn === "none"
        ? started("message", mark.text)
        : { track, events: [joined("message", mark.text)] };
    case "task_notification":
      if (track.turn === "none") return started("background_task", summaryOf(mark.text));
      if (track.turn === "open" && track.dequeued === true) {
        return overtake(track, "background_task", summaryOf(mark.text), at);
      }
      // A sub-agent's report goes on with its turn.
      return { track: goOn(track, at), events: [] };
    case "peer_message":
      return track.turn === "none"
        ? started("agent", mark.text)
        : { track: goOn(track, at), events: [joined("agent", mark.text)] };
    case "assistant_text":
      return inTurn(track, at, (working) => ({
        track: working,
        events: [{ type: "message", text: mark.text }],
      }));
    case "tool_use":
      return inTurn(
        track,
        at,
        (working) => called(working, { id: mark.id, key: callKey(mark.name, mark.input) }),
      );
    case "tool_result":
      return answered(track, mark.id);
    case "turn_end":
      // Not an end: sub-agents are pending.
      return { track: track.turn === "none" ? track : rest(track), events: [] };
    case "dequeued":
      // What a running turn takes up is `removed`. The turn's own last lines may come behind this one.
      return { track: track.turn === "open" ? { ...track, dequeued: true } : track, events: [] };
    case "informational":
      return mark.text === CRASH_PLACEHOLDER ? fresh(track, at) : { track, events: [] };
    case "interrupted":
    case "api_error":
    case "compact":
    case "enqueued":
    case "removed":
      return { track, events: [] };
  }
}

/** The agent takes up work only when it does not ask; of a sub-agent's request that says nothing. */
function begin(track: Track, source: TurnSource, text: string | null, at: number): Step {
  const { track: before, events } = resolve(track, (request) => request.at < at && !request.ofSubagent);
  return {
    track: { ...NO_TURN, turn: "open", starting: true, requests: before.requests, since: at },
    events: [...events, { type: "turn_started", source, text }],
  };
}

function rest(track: Track): Track {
  return { ...track, turn: "resting", starting: false, overtook: false, dequeued: false };
}

function goOn(track: Track, at: number): Track {
  return track.turn === "resting" ? { ...track, turn: "open", starting: true, since: at } : track;
}

function joined(source: TurnSource, text: string): AgentEventBody {
  return { type: "turn_joined", source, text };
}

function prompted(track: Track, mark: Extract<Mark, { kind: "prompt" }>, at: number): Step {
  if (track.turn === "none") return begin(track, "message", mark.text, at);
  if (track.turn === "open") {
    switch (mark.source) {
      case "typed":
        // Typed is only what meets no turn. One that is stopped before it says anything leaves no line. Where something
        // was said a stop does leave one, so that its turn was ended by something else, e.g. a crash.
        if (track.starting) {
          return interruptedBefore(track, at, (over) => begin(over, "message", mark.text, at));
        }
        return begin(track, "message", mark.text, at);
      case "queued":
        // Messages that were dequeued together start one turn together.
        if (!track.starting || track.dequeued === true) return overtake(track, "message", mark.text, at);
        break;
      case "other":
        break;
    }
  }
  return { track: goOn(track, at), events: [joined("message", mark.text)] };
}

/**
 * The queue has begun a turn while another one is open. A turn that ends by itself has its end on record before that,
 * and a process that dies takes its queue with it: the other one was stopped.
 */
function overtake(track: Track, source: TurnSource, text: string, at: number): Step {
  return interruptedBefore(track, at, (over) => {
    const { track: next, events } = begin(over, source, text, at);
    return { track: { ...next, overtook: true }, events };
  });
}

function interruptedBefore(track: Track, at: number, then: (over: Track) => Step): Step {
  const before = close(track, (request) => request.at < at, { type: "turn_interrupted" });
  const { track: after, events } = then(before.track);
  return { track: after, events: [...before.events, ...events] };
}

/**
 * The interrupt line of a turn that was overtaken, which was told already. Its links don't say so where that turn had
 * said nothing: then it hangs below the message that overtook it, as a line of this turn would. What does say so is
 * that Claude writes one line for each turn that its queue follows, in their order, and the turn before had none when
 * this one began. Should this one have been stopped, too, its rest or the next message tells of it.
 */
function isOfTurnBefore(track: Track, mark: Mark): boolean {
  return mark.kind === "interrupted" && track.starting && track.overtook === true;
}

/** What the agent says or does without a prompt on record: a command that was typed, or its own doing. */
function inTurn(track: Track, at: number, then: (working: Track) => Step): Step {
  const before = track.turn === "none" ? begin(track, "other", null, at) : { track, events: [] };
  const { track: after, events } = then({ ...before.track, turn: "open", starting: false });
  return { track: after, events: [...before.events, ...events] };
}

function called(track: Track, call: Call): Step {
  // The hook that asks for it may have been seen first.
  const waiting = track.requests.find((request) =>
    request.call === null && request.key === call.key && !request.ofSubagent
  );
  const requests = track.requests.map((request) =>
    request === waiting ? { ...request, call: call.id } : request
  );
  return { track: { ...track, calls: [...track.calls, call], requests }, events: [] };
}

function answered(track: Track, id: string): Step {
  return resolve(
    { ...track, calls: track.calls.filter((call) => call.id !== id) },
    (request) => request.call === id,
  );
}

function ended(track: Track, mark: Mark, at: number): Step {
  if (track.turn === "none") return { track, events: [] };
  const { kind, error } = endOfMark(mark);
  return close(track, (request) => request.at <= at, endBody(kind, error));
}

function close(track: Track, over: (request: Request) => boolean, end: AgentEventBody): Step {
  const { track: after, events } = resolve(track, over);
  return { track: { ...NO_TURN, requests: after.requests }, events: [...events, end] };
}

function endBody(kind: "completed" | "failed" | "interrupted", error: string | null): AgentEventBody {
  switch (kind) {
    case "completed":
      return { type: "turn_completed" };
    case "interrupted":
      return { type: "turn_interrupted" };
    case "failed":
      return { type: "turn_failed", error: error ?? "unknown error" };
  }
}

function resolve(track: Track, over: (request: Request) => boolean): Step {
  return {
    track: { ...track, requests: track.requests.filter((request) => !over(request)) },
    events: track.requests.filter(over).map(({ id }) => ({ type: "input_resolved", requestId: id })),
  };
}

/**
 * What the live registry proves beyond the records that were read before it: an answer is on record only when its tool
 * has ended; a turn whose sub-agents leave no report has no last line; nor has one that was stopped before it said
 * anything.
 * @param stoppedAt time of the newest hook event that tells of a turn's end; null when there is none.
 */
export function stepRegistry(
  track: Track,
  registry: RegistryEntry,
  now: number,
  stoppedAt: number | null,
): Step {
  const since = registry.statusUpdatedAt;
  const resting = registry.status === "idle" || registry.status === "shell";
  const restFor = resting ? now - since : 0;
  const before = (request: Request) => request.at < since;
  if (track.turn === "resting" && restFor >= SUBAGENT_IDLE_MS) {
    return close(track, before, { type: "turn_completed" });
  }
  if (isUnanswered(track, since, stoppedAt) && restFor >= REWOUND_IDLE_MS) {
    return close(track, before, { type: "turn_interrupted" });
  }
  const own = track.requests.filter((request) => !request.ofSubagent);
  return resolve(track, (request) => {
    if (registry.status === "waiting" || since <= request.at || request.ofSubagent) return false;
    // Between two requests it may be busy for a moment, so that with several only rest proves anything.
    return resting || own.length === 1;
  });
}

/** Begun before that time, with neither an answer nor an end on record. */
function isUnanswered(track: Track, at: number, stoppedAt: number | null): boolean {
  if (track.turn !== "open" || !track.starting || track.since === undefined || track.since > at) return false;
  return stoppedAt === null || stoppedAt < track.since;
}

function summaryOf(notification: string): string {
  return /<summary>([\s\S]*?)<\/summary>/.exec(notification)?.[1]?.trim() ?? notification;
}

/** Tells tool calls apart without keeping their inputs, which may be whole files. */
function callKey(tool: string, input: unknown): string {
  const text = JSON.stringify(input) ?? "";
  let [a, b] = [0x811c9dc5, 0x01234567];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b) + i | 0;
  }
  return `${tool} ${text.length} ${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}
