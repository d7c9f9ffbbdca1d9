/** Rows of the registry <-> values of the core: whatever is read has been checked. */

import * as v from "valibot";
import { launch, lifecycle, pendingKind, question, worktree } from "../schemas.ts";
import {
  AGENT_KINDS,
  type AgentKind,
  ANSWERABLE,
  type Mode,
  MODES,
  type Receipt,
  SEND_RESULTS,
  type SendRecord,
  type Session,
  type SessionSummary,
} from "../session.ts";
import type { Row } from "./database.ts";

/** A delivery as the registry keeps it. */
export interface StoredSend extends SendRecord {
  readonly sessionId: string;
  readonly sessionToken: string;
  /** Null until the delivery is finished. */
  readonly details: Receipt | null;
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | {
  readonly ok: false;
  readonly reason: string;
};

const text = v.string();
const textOrNull = v.nullable(text);
const timestamp = v.pipe(
  text,
  v.check((value) => !Number.isNaN(Date.parse(value)), "Invalid timestamp"),
);
const sendResult = v.picklist([...SEND_RESULTS, "typing"] as const);

export const json = v.pipe(
  textOrNull,
  v.rawTransform(({ dataset, addIssue, NEVER }): unknown => {
    if (dataset.value === null) return null;
    try {
      return JSON.parse(dataset.value);
    } catch {
      addIssue({ message: "Invalid JSON" });
      return NEVER;
    }
  }),
);

const processIdentity = v.object({
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  start: text,
  boot: text,
  machine: text,
});
export const processJson = v.pipe(json, v.nullable(processIdentity));

/** What earlier versions did not store has a value that says so. */
const pendingInput = v.object({
  kind: pendingKind,
  tool: textOrNull,
  input: v.unknown(),
  summary: text,
  detail: v.optional(textOrNull, null),
  options: v.array(text),
  questions: v.optional(v.array(question), []),
  always: v.optional(textOrNull, null),
  subagent: v.optional(textOrNull, null),
  answerable: v.optional(v.picklist(ANSWERABLE), "terminal"),
  requestId: textOrNull,
  since: textOrNull,
});

const receiptDetails = v.object({
  receipt: text,
  result: v.picklist(SEND_RESULTS),
  reason: textOrNull,
  evidence: textOrNull,
  pending: v.nullable(pendingInput),
  anchor: v.unknown(),
});

const shownRow = {
  id: text,
  token: text,
  agent: v.picklist(AGENT_KINDS),
  mode: v.picklist(MODES),
  path: text,
  description: textOrNull,
  model: textOrNull,
  lifecycle,
  created_at: timestamp,
  last_used_at: timestamp,
  ended_at: v.nullable(timestamp),
  end_reason: textOrNull,
  parent: textOrNull,
  group_name: textOrNull,
  agent_session_id: textOrNull,
  legacy: v.pipe(json, v.nullable(v.record(v.string(), v.unknown()))),
};
const endedRow = v.object(shownRow);
const sessionRow = v.object({
  ...shownRow,
  creator: processJson,
  process: processJson,
  handle: json,
  send_receipt: textOrNull,
  send_at: v.nullable(timestamp),
  send_result: v.nullable(sendResult),
  send_anchor: json,
  launch: v.pipe(json, v.nullable(launch)),
  worktree: v.pipe(json, v.nullable(worktree)),
  resumer: processJson,
});

const sendRow = v.object({
  receipt: text,
  session_id: text,
  session_token: text,
  at: timestamp,
  result: sendResult,
  anchor: json,
  details: v.pipe(json, v.nullable(receiptDetails)),
});

/** Reads sessions together with their last delivery; columns of newer versions are not asked for. */
export const SELECT_SESSION = `
  SELECT s.id, s.token, s.agent, s.mode, s.path, s.description, s.model, s.lifecycle, s.created_at, s.last_used_at,
    s.ended_at, s.end_reason, s.parent, s.group_name, s.creator, s.process, s.agent_session_id, s.handle, s.legacy,
    s.launch, s.worktree, s.resumer,
    d.receipt AS send_receipt, d.at AS send_at, d.result AS send_result, d.anchor AS send_anchor
  FROM sessions s LEFT JOIN sends d ON d.receipt = s.last_send`;

const SUMMARY_COLUMNS = [
  "id",
  "token",
  "agent",
  "mode",
  "path",
  "description",
  "model",
  "lifecycle",
  "created_at",
  "last_used_at",
  "ended_at",
  "end_reason",
  "parent",
  "group_name",
  "agent_session_id",
  "legacy",
] as const;

/** For `parseSummary`, which takes rows as arrays of values. */
export const SELECT_ENDED = `
  SELECT ${SUMMARY_COLUMNS.join(", ")} FROM sessions WHERE lifecycle = 'ended' ORDER BY created_at, rowid`;

export const SELECT_SEND =
  `SELECT receipt, session_id, session_token, at, result, anchor, details FROM sends`;

export function parseSession(row: Row): Parsed<Session> {
  return parse(sessionRow, row, (r) => ({
    ...shown(r),
    creator: r.creator,
    process: r.process,
    handle: r.handle,
    lastSend: r.send_receipt === null || r.send_at === null || r.send_result === null
      ? null
      : { receipt: r.send_receipt, at: r.send_at, result: r.send_result, anchor: r.send_anchor },
    launch: r.launch,
    worktree: r.worktree,
    resumer: r.resumer,
  }));
}

/** Thousands of these are read at once: what is plainly right is not put through the schema. */
export function parseSummary(values: readonly Row[string][]): Parsed<SessionSummary> {
  const row = summaryRow(values);
  return isPlain(row) ? { ok: true, value: shown(row) } : parse(endedRow, { ...row }, shown);
}

/** In the order of `SUMMARY_COLUMNS`; an object of one shape, which is what makes it fast. */
function summaryRow(values: readonly Row[string][]) {
  const [id = null, token = null, agent = null, mode = null, path = null, description = null] = values;
  const [model = null, lifecycle = null, created_at = null, last_used_at = null] = values.slice(6);
  const [ended_at = null, end_reason = null, parent = null, group_name = null] = values.slice(10);
  const [agent_session_id = null, legacy = null] = values.slice(14);
  return {
    id,
    token,
    agent,
    mode,
    path,
    description,
    model,
    lifecycle,
    created_at,
    last_used_at,
    ended_at,
    end_reason,
    parent,
    group_name,
    agent_session_id,
    legacy,
  };
}

type PlainRow = Omit<v.InferOutput<typeof endedRow>, "legacy"> & { legacy: null };

/** Times as we write them. Days that not every month has are left to `Date`. */
const PLAIN_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** Never true for what the schema might refuse, nor for rows of an earlier version. */
function isPlain(row: ReturnType<typeof summaryRow>): row is PlainRow {
  return isText(row.id) && isText(row.token) && isText(row.path) && row.legacy === null &&
    row.lifecycle === "ended" && AGENT_KINDS.includes(row.agent as AgentKind) &&
    MODES.includes(row.mode as Mode) &&
    isTime(row.created_at) && isTime(row.last_used_at) && isTime(row.ended_at) &&
    isTextOrNull(row.description) &&
    isTextOrNull(row.model) && isTextOrNull(row.end_reason) && isTextOrNull(row.parent) &&
    isTextOrNull(row.group_name) && isTextOrNull(row.agent_session_id);
}

const isText = (value: unknown) => typeof value === "string";
const isTextOrNull = (value: unknown) => value === null || typeof value === "string";
const isTime = (value: unknown) =>
  typeof value === "string" && (PLAIN_TIME.test(value) || !Number.isNaN(Date.parse(value)));

function shown(r: v.InferOutput<typeof endedRow>): SessionSummary {
  return {
    id: r.id,
    agent: r.agent,
    mode: r.mode,
    path: r.path,
    description: r.description,
    model: r.model,
    lifecycle: r.lifecycle,
    createdAt: r.created_at,
    lastUsedAt: r.last_used_at,
    endedAt: r.ended_at,
    endReason: r.end_reason,
    parent: r.parent,
    group: r.group_name,
    token: r.token,
    agentSessionId: r.agent_session_id,
    legacy: r.legacy,
  };
}

export function parseSend(row: Row): Parsed<StoredSend> {
  return parse(sendRow, row, (r) => ({
    receipt: r.receipt,
    sessionId: r.session_id,
    sessionToken: r.session_token,
    at: r.at,
    result: r.result,
    anchor: r.anchor,
    details: r.details,
  }));
}

/** Null stays NULL; everything else becomes JSON text. */
export function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function parse<const S extends v.GenericSchema, T>(
  schema: S,
  row: Row,
  convert: (output: v.InferOutput<S>) => T,
): Parsed<T> {
  const result = v.safeParse(schema, row);
  if (result.success) return { ok: true, value: convert(result.output) };
  const issue = result.issues[0];
  return { ok: false, reason: `${v.getDotPath(issue) ?? "row"}: ${issue.message}` };
}
