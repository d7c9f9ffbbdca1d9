/** Schemas of what each operation answers; of a stream, of each of its items. */

import * as v from "valibot";
import {
  backgroundTask,
  eventRecord,
  fittingAnswer,
  goal,
  logEntry,
  orNull,
  pendingInput,
  receipt,
  session,
  sessionSummary,
  stateName,
  tokenUsage,
  turnState,
  waitOutcome,
} from "./nouns.ts";

const text = v.string();
const maybeText = orNull(text);
const texts = v.array(text);

export const expanded = v.object({ ids: texts, leftOut: v.array(v.object({ id: text, why: text })) });

export const createResult = v.object({
  session,
  readyProven: v.boolean(),
  repeated: v.boolean(),
  notes: v.exactOptional(texts),
});

export const sendOutcome = v.object({ id: text, receipt, repeated: v.boolean() });

export const interruptOutcome = v.object({
  id: text,
  result: v.picklist(["interrupted", "not_running", "ended_by_itself", "refused", "unproven"]),
  stopped: texts,
  queued: texts,
  background: v.array(backgroundTask),
  reason: maybeText,
  evidence: maybeText,
  pending: orNull(pendingInput),
});

export const waitResult = v.object({ id: text, outcome: waitOutcome, state: orNull(turnState) });

export const listedSession = v.object({
  session: sessionSummary,
  state: stateName,
  pending: maybeText,
  resumable: v.exactOptional(v.boolean()),
  unreachable: v.exactOptional(text),
});

export const respondResult = v.object({
  id: text,
  pending: pendingInput,
  answer: fittingAnswer,
  by: v.picklist(["direct", "keys"]),
  evidence: text,
  note: maybeText,
});

export const goalResult = v.object({
  id: text,
  goal: orNull(goal),
  cleared: orNull(v.boolean()),
  defaultBudget: orNull(v.number()),
});

export const sessionUsage = v.object({
  id: text,
  usage: orNull(tokenUsage),
  unreachable: v.exactOptional(v.object({ host: text, reason: text })),
});

const failed = v.array(v.object({ id: text, reason: text, unproven: v.exactOptional(v.boolean()) }));

export const killResult = v.object({
  killed: texts,
  failed,
  worktrees: v.exactOptional(v.array(v.object({
    id: text,
    path: text,
    removed: v.boolean(),
    reason: maybeText,
    command: maybeText,
  }))),
});

export const resumeResult = v.object({ session, readyProven: v.boolean() });

export const pruneResult = v.object({
  forgotten: v.array(v.object({ id: text, worktree: maybeText, leftOn: v.exactOptional(text) })),
  failed,
  keys: v.number(),
});

export const terminalCommand = v.object({
  command: text,
  args: texts,
  env: v.record(text, text),
  cwd: v.exactOptional(text),
});

export const events = eventRecord;
export const logs = logEntry;
export const state = turnState;
