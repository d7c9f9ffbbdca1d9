/**
 * Schemas of what results are made of (`lib/session.ts`, `lib/events.ts`). Unknown keys are left out, and what may be
 * null may be missing, so that peers of neighbouring versions understand each other.
 */

import * as v from "valibot";
import { launch, lifecycle, pendingKind, question, worktree } from "../schemas.ts";
import { AGENT_KINDS, ANSWERABLE, MODES, SEND_RESULTS } from "../session.ts";

/** JSON leaves out what is undefined. */
export function orNull<const S extends v.GenericSchema>(schema: S) {
  return v.optional(v.nullable(schema), null);
}

const text = v.string();
const maybeText = orNull(text);
/** The sender's own: carried, never looked at. */
const anything = v.optional(v.unknown(), null);
const texts = v.array(text);

const processIdentity = v.object({ pid: v.number(), start: text, boot: text, machine: text });

const sendRecord = v.object({
  receipt: text,
  result: v.picklist([...SEND_RESULTS, "typing"] as const),
  at: text,
  anchor: anything,
});

const summaryEntries = {
  id: text,
  agent: v.picklist(AGENT_KINDS),
  mode: v.picklist(MODES),
  path: text,
  description: maybeText,
  model: maybeText,
  lifecycle,
  createdAt: text,
  lastUsedAt: text,
  endedAt: maybeText,
  endReason: maybeText,
  parent: maybeText,
  group: maybeText,
  token: text,
  agentSessionId: maybeText,
  legacy: orNull(v.record(text, v.unknown())),
  host: v.exactOptional(text),
};

export const sessionSummary = v.object(summaryEntries);

export const session = v.object({
  ...summaryEntries,
  creator: orNull(processIdentity),
  process: orNull(processIdentity),
  handle: anything,
  lastSend: orNull(sendRecord),
  launch: orNull(launch),
  worktree: orNull(worktree),
  resumer: orNull(processIdentity),
});

export const pendingInput = v.object({
  kind: pendingKind,
  tool: maybeText,
  input: anything,
  summary: text,
  detail: maybeText,
  options: texts,
  questions: v.array(question),
  always: maybeText,
  subagent: maybeText,
  answerable: v.picklist(ANSWERABLE),
  requestId: maybeText,
  since: maybeText,
});

export const receipt = v.object({
  receipt: text,
  result: v.picklist(SEND_RESULTS),
  reason: maybeText,
  evidence: maybeText,
  pending: orNull(pendingInput),
  anchor: anything,
});

export const backgroundTask = v.object({ id: text, type: text, description: maybeText });

const GOAL_AT_REST = ["paused", "blocked", "usageLimited", "budgetLimited", "complete"] as const;

export const goal = v.object({
  threadId: text,
  objective: text,
  status: v.picklist(["active", ...GOAL_AT_REST]),
  tokenBudget: orNull(v.number()),
  tokensUsed: v.number(),
  timeUsedSeconds: v.number(),
  createdAt: v.number(),
  updatedAt: v.number(),
});

const stateEntries = {
  since: maybeText,
  evidence: v.array(v.object({ source: text, finding: text })),
  background: v.array(backgroundTask),
  lastTurn: orNull(v.object({
    kind: v.picklist(["completed", "failed", "interrupted"]),
    error: maybeText,
    at: maybeText,
  })),
  goal: v.exactOptional(v.nullable(goal)),
  retrying: v.exactOptional(v.object({ message: text, at: text })),
};

export const turnState = v.variant("state", [
  v.object({ state: v.literal("idle"), ...stateEntries }),
  v.object({ state: v.literal("working"), ...stateEntries }),
  v.object({
    state: v.literal("waiting_for_input"),
    ...stateEntries,
    pending: pendingInput,
    others: v.array(pendingInput),
  }),
  v.object({ state: v.literal("gone"), ...stateEntries, reason: text }),
  v.object({ state: v.literal("unknown"), ...stateEntries, reason: text }),
]);

export const stateName = v.picklist(["idle", "working", "waiting_for_input", "gone", "unknown"]);

export const waitOutcome = v.variant("outcome", [
  v.object({ outcome: v.literal("idle") }),
  v.object({ outcome: v.literal("completed") }),
  v.object({ outcome: v.literal("failed"), error: text }),
  v.object({ outcome: v.literal("interrupted") }),
  v.object({
    outcome: v.literal("waiting_for_input"),
    pending: pendingInput,
    others: v.array(pendingInput),
  }),
  v.object({ outcome: v.literal("gone"), reason: text }),
  v.object({ outcome: v.literal("timed_out"), state: stateName }),
  v.object({
    outcome: v.picklist([...GOAL_AT_REST, "cleared"]),
    goal: orNull(goal),
    error: maybeText,
  }),
]);

export const logEntry = v.object({
  role: v.picklist(["human", "assistant", "tool"]),
  text,
  at: maybeText,
  tool: v.exactOptional(v.object({ name: text, input: anything, result: maybeText })),
});

const turnSource = v.picklist(["message", "background_task", "agent", "other"]);

const eventBody = v.variant("type", [
  v.object({ type: v.literal("turn_started"), source: turnSource, text: maybeText }),
  v.object({ type: v.literal("turn_joined"), source: turnSource, text }),
  v.object({ type: v.literal("turn_completed") }),
  v.object({ type: v.literal("turn_failed"), error: text }),
  v.object({ type: v.literal("turn_interrupted") }),
  v.object({
    type: v.literal("input_requested"),
    kind: pendingKind,
    tool: maybeText,
    summary: text,
    options: texts,
    requestId: text,
  }),
  v.object({ type: v.literal("input_resolved"), requestId: text }),
  v.object({ type: v.literal("message"), text }),
  v.object({ type: v.literal("session_created") }),
  v.object({ type: v.literal("session_resumed") }),
  v.object({ type: v.literal("session_ended"), reason: maybeText }),
]);

export const eventRecord = v.object({ cursor: text, at: text, id: text, body: eventBody });

export const tokenUsage = v.object({
  input: v.number(),
  output: v.number(),
  cacheRead: v.number(),
  cacheWrite: v.number(),
  total: v.number(),
});

export const fittingAnswer = v.variant("kind", [
  v.object({ kind: v.literal("approve") }),
  v.object({ kind: v.literal("always") }),
  v.object({ kind: v.literal("deny"), message: maybeText }),
  v.object({ kind: v.literal("answers"), answers: v.array(texts) }),
]);
