/** What we rely on in the app-server's frames, checked where they come in: everything else in them may change. */

import * as v from "valibot";
import { isTooHeavy } from "../docker/allowance.ts";
import type { ClientRequests, ServerNotifications, ServerRequests } from "./protocol/types.ts";

/** The largest frame seen had 1.07 MB: of what a command has printed, Codex keeps 1 MiB. */
const MAX_CONTAINED_UNITS = 16 * 1024 * 1024;

const nullable = v.nullish;
const text = v.string();
/** A page that the server may add keys to. */
const page = <T extends v.GenericSchema>(entry: T) =>
  v.looseObject({ data: v.array(entry), nextCursor: nullable(text, null) });

/** `unknown`: a status that this version of ours has never heard of. */
export type ThreadStatus =
  | { readonly type: "notLoaded" | "idle" | "systemError" }
  | { readonly type: "active"; readonly activeFlags: readonly string[] }
  | { readonly type: "unknown"; readonly name: string };
const plainStatus = v.object({ type: v.picklist(["notLoaded", "idle", "systemError"]) });
const activeStatus = v.object({ type: v.literal("active"), activeFlags: v.array(text) });
const otherStatus = v.pipe(
  v.looseObject({ type: text }),
  v.transform(({ type }) => ({ type: "unknown" as const, name: type })),
);
const threadStatus = v.lazy((input): v.GenericSchema<unknown, ThreadStatus> => {
  switch (typeOf(input)) {
    case "active":
      return activeStatus;
    case "notLoaded":
    case "idle":
    case "systemError":
      return plainStatus;
  }
  return otherStatus;
});

const TurnErrorSchema = v.looseObject({
  message: text,
  /** A word, or an object with one key: the word. */
  codexErrorInfo: nullable(v.unknown(), null),
  additionalDetails: nullable(text, null),
});

const fileChange = v.looseObject({ path: text, kind: v.looseObject({ type: text }), diff: text });

const userMessage = v.looseObject({
  type: v.literal("userMessage"),
  id: text,
  /** Our `clientUserMessageId`. */
  clientId: nullable(text, null),
  content: v.array(v.looseObject({ type: text, text: v.optional(text) })),
});
const agentMessage = v.looseObject({
  type: v.literal("agentMessage"),
  id: text,
  text,
  /** Questions that the agent asks without waiting for the answer. */
  questions: nullable(v.array(v.looseObject({ title: text, options: nullable(v.array(text), null) })), null),
});
const commandExecution = v.looseObject({
  type: v.literal("commandExecution"),
  id: text,
  command: text,
  status: text,
  aggregatedOutput: nullable(text, null),
  exitCode: nullable(v.number(), null),
});
const fileChanges = v.looseObject({
  type: v.literal("fileChange"),
  id: text,
  status: text,
  changes: v.array(fileChange),
});
const otherItem = v.pipe(
  v.looseObject({ type: text, id: text }),
  v.transform(({ type, id, ...rest }) => ({ type: "other" as const, id, kind: type, content: rest })),
);
export type ThreadItem =
  | v.InferOutput<typeof userMessage>
  | v.InferOutput<typeof agentMessage>
  | v.InferOutput<typeof commandExecution>
  | v.InferOutput<typeof fileChanges>
  | v.InferOutput<typeof otherItem>;
const threadItem = v.lazy((input): v.GenericSchema<unknown, ThreadItem> => {
  switch (typeOf(input)) {
    case "userMessage":
      return userMessage;
    case "agentMessage":
      return agentMessage;
    case "commandExecution":
      return commandExecution;
    case "fileChange":
      return fileChanges;
  }
  return otherItem;
});

const turn = v.looseObject({
  id: text,
  status: v.picklist(["inProgress", "completed", "interrupted", "failed"]),
  items: v.array(threadItem),
  error: nullable(TurnErrorSchema, null),
  /** Seconds since the epoch. */
  startedAt: nullable(v.number(), null),
  completedAt: nullable(v.number(), null),
  durationMs: nullable(v.number(), null),
});
export type Turn = v.InferOutput<typeof turn>;

const thread = v.looseObject({
  id: text,
  status: threadStatus,
  cwd: text,
  name: nullable(text, null),
  preview: v.fallback(text, ""),
  /** Of the rollout file on the server's machine. */
  path: nullable(text, null),
  /** Seconds since the epoch. */
  createdAt: v.number(),
  updatedAt: v.number(),
});
export type Thread = v.InferOutput<typeof thread>;

/** The settings that are in force. */
const openedThread = v.looseObject({
  thread,
  model: text,
  cwd: text,
  approvalPolicy: v.unknown(),
  sandbox: v.looseObject({ type: text }),
  activePermissionProfile: nullable(v.looseObject({ id: text }), null),
  /** On request; with its open items, which no other answer has. */
  initialTurnsPage: nullable(page(turn), null),
});

const goal = v.looseObject({
  threadId: text,
  objective: text,
  status: v.picklist(["active", "paused", "blocked", "usageLimited", "budgetLimited", "complete"]),
  tokenBudget: nullable(v.number(), null),
  tokensUsed: v.number(),
  timeUsedSeconds: v.number(),
  /** Seconds since the epoch. */
  createdAt: v.number(),
  updatedAt: v.number(),
});
export type Goal = v.InferOutput<typeof goal>;

const queued = v.looseObject({
  id: text,
  clientUserMessageId: nullable(text, null),
  input: v.array(v.looseObject({ type: text, text: v.optional(text) })),
});
export type QueuedSubmission = v.InferOutput<typeof queued>;

const usage = v.looseObject({
  totalTokens: v.number(),
  inputTokens: v.number(),
  cachedInputTokens: v.number(),
  outputTokens: v.number(),
  reasoningOutputTokens: v.number(),
});

const done = v.looseObject({});

/** Answers to our requests, by method. */
export const RESULTS = {
  "initialize": v.looseObject({ userAgent: text, codexHome: text }),
  "server/diagnostics": v.looseObject({ process: v.looseObject({ id: v.number() }) }),
  "thread/start": openedThread,
  "thread/resume": openedThread,
  "thread/read": v.looseObject({ thread }),
  "thread/list": page(thread),
  "thread/loaded/list": page(text),
  "thread/turns/list": page(turn),
  "thread/items/list": page(v.looseObject({ turnId: text, item: threadItem })),
  "thread/archive": done,
  "thread/unarchive": done,
  "thread/unsubscribe": v.looseObject({ status: text }),
  "thread/name/set": done,
  "thread/goal/set": v.looseObject({ goal }),
  "thread/goal/get": v.looseObject({ goal: nullable(goal, null) }),
  "thread/goal/clear": v.looseObject({ cleared: v.boolean() }),
  "thread/queue/add": v.looseObject({ queuedSubmission: queued }),
  "thread/queue/list": page(queued),
  "thread/queue/update": done,
  "thread/queue/delete": v.looseObject({ deleted: v.boolean() }),
  "thread/queue/reorder": done,
  "thread/queue/start": v.looseObject({ turn }),
  "thread/settings/update": done,
  "thread/backgroundTerminals/clean": done,
  "turn/start": v.looseObject({ turn }),
  "turn/steer": v.looseObject({ turnId: text }),
  "turn/interrupt": done,
} satisfies Record<keyof ClientRequests, v.GenericSchema>;

const ofThread = v.looseObject({ threadId: text });
const ofItem = v.looseObject({ threadId: text, turnId: text, item: threadItem });
const ofTurn = v.looseObject({ threadId: text, turn });
const requestId = v.union([v.number(), text]);

/** What the server tells us, by method. */
export const NOTIFICATIONS = {
  "error": v.looseObject({
    threadId: text,
    turnId: text,
    error: TurnErrorSchema,
    /** The server tries again by itself. */
    willRetry: v.boolean(),
  }),
  "serverRequest/resolved": v.looseObject({ threadId: text, requestId }),
  "turn/started": ofTurn,
  "turn/completed": ofTurn,
  "item/started": ofItem,
  "item/completed": ofItem,
  "thread/started": v.looseObject({ thread }),
  "thread/status/changed": v.looseObject({ threadId: text, status: threadStatus }),
  "thread/closed": ofThread,
  "thread/archived": ofThread,
  "thread/unarchived": ofThread,
  "thread/deleted": ofThread,
  "thread/name/updated": v.looseObject({ threadId: text, threadName: nullable(text, null) }),
  "thread/settings/updated": ofThread,
  "thread/tokenUsage/updated": v.looseObject({
    threadId: text,
    turnId: text,
    tokenUsage: v.looseObject({ total: usage, last: usage, modelContextWindow: nullable(v.number(), null) }),
  }),
  "thread/goal/updated": v.looseObject({ threadId: text, turnId: nullable(text, null), goal }),
  "thread/goal/cleared": ofThread,
  "thread/queue/changed": ofThread,
} satisfies Record<keyof ServerNotifications, v.GenericSchema>;

const ofRequest = {
  threadId: text,
  turnId: text,
  itemId: text,
  /** Milliseconds since the epoch. */
  startedAtMs: nullable(v.number(), null),
};

/** What the server asks us, by method. */
export const SERVER_REQUESTS = {
  "item/commandExecution/requestApproval": v.looseObject({
    ...ofRequest,
    /** `command`, `humanCommand`, `writeStdin`, ... */
    kind: v.fallback(text, "command"),
    command: nullable(text, null),
    cwd: nullable(text, null),
    reason: nullable(text, null),
    /** Words, or objects with one key: the word. */
    availableDecisions: nullable(v.array(v.unknown()), null),
  }),
  /** The diff stands in the item of that id, which came before. */
  "item/fileChange/requestApproval": v.looseObject({
    ...ofRequest,
    reason: nullable(text, null),
    grantRoot: nullable(text, null),
  }),
  "item/permissions/requestApproval": v.looseObject({
    ...ofRequest,
    reason: nullable(text, null),
    permissions: v.looseObject({
      network: nullable(v.unknown(), null),
      fileSystem: nullable(v.unknown(), null),
    }),
  }),
  "item/tool/requestUserInput": v.looseObject({
    ...ofRequest,
    questions: v.array(v.looseObject({
      id: text,
      header: text,
      question: text,
      isOther: v.fallback(v.boolean(), true),
      isSecret: v.fallback(v.boolean(), false),
      options: nullable(v.array(v.looseObject({ label: text, description: v.fallback(text, "") })), null),
    })),
  }),
} satisfies Record<keyof ServerRequests, v.GenericSchema>;

export type Method = keyof typeof RESULTS;
export type Params<M extends Method> = ClientRequests[M]["params"];
export type Result<M extends Method> = v.InferOutput<(typeof RESULTS)[M]>;

export type NotificationMethod = keyof typeof NOTIFICATIONS;
export type Notification = {
  [M in NotificationMethod]: {
    readonly method: M;
    readonly params: v.InferOutput<(typeof NOTIFICATIONS)[M]>;
  };
}[NotificationMethod];

export type RequestId = number | string;
export type ServerRequestMethod = keyof typeof SERVER_REQUESTS;
/** `method: "other"`: a request that we have no answer to; `name` is the server's word for it. */
export type ServerRequest =
  | {
    [M in ServerRequestMethod]: {
      readonly method: M;
      readonly id: RequestId;
      readonly params: v.InferOutput<(typeof SERVER_REQUESTS)[M]>;
    };
  }[ServerRequestMethod]
  | { readonly method: "other"; readonly id: RequestId; readonly name: string; readonly params: unknown };
export type Answer<M extends ServerRequestMethod> = ServerRequests[M]["result"];

/** One frame from the server. */
export type Frame =
  | { readonly kind: "result"; readonly id: RequestId; readonly result: unknown }
  | { readonly kind: "error"; readonly id: RequestId | null; readonly error: v.InferOutput<typeof rpcError> }
  | { readonly kind: "notification"; readonly notification: Notification }
  | { readonly kind: "request"; readonly request: ServerRequest }
  /** A notification that we don't read. */
  | { readonly kind: "ignored" }
  /** No frame of this protocol. */
  | { readonly kind: "garbled"; readonly why: string }
  /** Not what this version knows under that name. */
  | { readonly kind: "unexpected"; readonly name: string; readonly why: string };

const rpcError = v.looseObject({ code: v.number(), message: text, data: v.optional(v.unknown()) });
const envelope = v.looseObject({
  id: nullable(requestId, null),
  method: v.optional(text),
  params: v.optional(v.unknown()),
  error: v.optional(rpcError),
});

/**
 * Never throws.
 * @param from a server in a container may be anything that the container has put in its place.
 */
export function readFrame(data: unknown, from: "host" | "container" = "host"): Frame {
  let json: unknown;
  try {
    if (typeof data !== "string") throw new Error("not a text frame");
    if (from === "container" && (data.length > MAX_CONTAINED_UNITS || isTooHeavy(data))) {
      return { kind: "garbled", why: "a frame larger than any of Codex" };
    }
    json = JSON.parse(data);
  } catch {
    return { kind: "garbled", why: "not JSON" };
  }
  const parsed = v.safeParse(envelope, json);
  if (!parsed.success) return { kind: "garbled", why: issue(parsed.issues) };
  const { id, method, params, error } = parsed.output;
  if (method !== undefined) return id === null ? notification(method, params) : request(method, id, params);
  if (error !== undefined) return { kind: "error", id, error };
  if (id === null) return { kind: "garbled", why: "neither a method nor an id" };
  return { kind: "result", id, result: parsed.output["result"] };
}

/** The answer to a method of ours, or why it is none. */
export function readResult<M extends Method>(
  method: M,
  result: unknown,
): { readonly ok: true; readonly value: Result<M> } | { readonly ok: false; readonly why: string } {
  const schema: v.GenericSchema = RESULTS[method];
  const parsed = v.safeParse(schema, result);
  return parsed.success
    ? { ok: true, value: parsed.output as Result<M> }
    : { ok: false, why: issue(parsed.issues) };
}

function notification(method: string, params: unknown): Frame {
  if (!Object.hasOwn(NOTIFICATIONS, method)) return { kind: "ignored" };
  const parsed = v.safeParse(NOTIFICATIONS[method as NotificationMethod] as v.GenericSchema, params);
  if (!parsed.success) return unexpected(method, parsed.issues);
  return { kind: "notification", notification: { method, params: parsed.output } as Notification };
}

function request(method: string, id: RequestId, params: unknown): Frame {
  if (!Object.hasOwn(SERVER_REQUESTS, method)) {
    return { kind: "request", request: { method: "other", id, name: method, params } };
  }
  const parsed = v.safeParse(SERVER_REQUESTS[method as ServerRequestMethod] as v.GenericSchema, params);
  if (!parsed.success) return unexpected(method, parsed.issues);
  return { kind: "request", request: { method, id, params: parsed.output } as ServerRequest };
}

function unexpected(name: string, issues: readonly v.BaseIssue<unknown>[]): Frame {
  return { kind: "unexpected", name, why: issue(issues) };
}

/** `turn.status: Invalid type: Expected string but received 5`. */
function issue(issues: readonly v.BaseIssue<unknown>[]): string {
  const [first] = issues;
  if (first === undefined) return "unknown form";
  const path = first.path?.map(({ key }) => String(key)).join(".") ?? "";
  return path === "" ? first.message : `${path}: ${first.message}`;
}

function typeOf(input: unknown): unknown {
  return typeof input === "object" && input !== null && "type" in input ? input.type : undefined;
}
