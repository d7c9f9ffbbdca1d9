/** Names what a session waits for, from the hook that asked, else from the transcript's open tool call. Pure. */

import type { PendingInput, PendingKind, Question } from "../../lib/session.ts";
import { suggestionInWords, usableSuggestions } from "./decision.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import type { HookEvent } from "./hook_log.ts";
import { isEndEvent } from "./turn_end.ts";

const SUMMARY_UNITS = 200;
export const UNREAD_REQUEST = "a request that is too large to be read";
/** From the hook to the registry's word (measured: under 0.5 s), with room for a busy machine. */
const REQUEST_LAG_MS = 5_000;

/**
 * What the session waits for, the request that its screen shows first. A sub-agent's request whose hook waits is open
 * although nothing shows it: Claude opens its dialog once the hook has ended.
 */
export function openInputs(evidence: ClaudeEvidence): PendingInput[] {
  const { registry } = evidence;
  const held = evidence.held
    .filter((event) => isHeldOpen(event, evidence) && !hasResult(evidence, event))
    .map(heldInput);
  const own = held.filter(({ subagent }) => subagent === null);
  const others = held.filter(({ subagent }) => subagent !== null);
  if (own.length > 0) return [...own, ...others];
  if (registry?.status === "waiting") return [pendingInput(evidence, registry.waitingFor), ...others];
  if (registry === null && evidence.hooks && openRequest(withoutHeld(evidence)) !== null) {
    return [pendingInput(evidence, null), ...others];
  }
  return others;
}

/** Answered at the terminal, it is over: the hook that still waits has not noticed yet. */
function isHeldOpen(event: HookEvent, { registry, events }: ClaudeEvidence): boolean {
  if (isSubagents(event)) return true;
  if (events.some((later) => isEndEvent(later) && later.name > event.name)) return false;
  if (registry === null || registry.statusUpdatedAt < event.at) return true;
  return registry.status === "waiting" && hasHook(registry.waitingFor);
}

/** Of several calls that ask side by side one may be answered while the registry waits on. */
function hasResult({ marks }: ClaudeEvidence, { body }: HookEvent): boolean {
  const input = JSON.stringify(body.tool_input);
  const calls = marks.filter((mark) =>
    mark.kind === "tool_use" && mark.name === body.tool_name && JSON.stringify(mark.input) === input
  );
  return calls.length > 0 &&
    calls.every((call) =>
      marks.some((mark) => mark.kind === "tool_result" && call.kind === "tool_use" && mark.id === call.id)
    );
}

function isSubagents(event: HookEvent): boolean {
  return event.body.agent_id !== undefined;
}

function heldInput(event: HookEvent): PendingInput {
  const { id, since, suggestions, subagent } = requestOf(event);
  if (event.unread) return unreadInput(id, since);
  const { tool_name, tool_input } = event.body;
  return {
    ...describe(tool_name ?? "tool", tool_input ?? null, suggestions),
    subagent,
    answerable: "direct",
    requestId: id,
    since,
  };
}

/** Nobody may say yes to what can't be shown. */
function unreadInput(requestId: string | null, since: string | null): PendingInput {
  return { ...dialog(UNREAD_REQUEST, since), kind: "permission", requestId };
}

function withoutHeld(evidence: ClaudeEvidence): ClaudeEvidence {
  const held = new Set(evidence.held.map(({ name }) => name));
  return { ...evidence, events: evidence.events.filter(({ name }) => !held.has(name)) };
}

/**
 * A dialog that no hook waits beside.
 *
 * @param waitingFor the live registry's word; null without a registry.
 */
export function pendingInput(given: ClaudeEvidence, waitingFor: string | null): PendingInput {
  const evidence = withoutHeld(given);
  const since = evidence.registry === null ? null : new Date(evidence.registry.statusUpdatedAt).toISOString();
  if (waitingFor === "dialog open") return dialog("a dialog is open in its terminal", since);
  // Without a hook an older request is not what it waits for.
  const request = hasHook(waitingFor) ? openRequest(evidence) ?? latestRequest(evidence) : null;
  if (request !== null) {
    if (evidence.events.some((event) => event.unread && requestId(event.name) === request.id)) {
      return unreadInput(request.id, request.since);
    }
    const described = describe(request.tool, request.input, request.suggestions);
    return {
      ...described,
      // A key can't say more than yes, no, or one of a list.
      always: null,
      options: described.options.filter((option) => described.kind !== "permission" || option !== "always"),
      subagent: request.subagent,
      answerable: evidence.registry === null || described.questions.length > 1 ||
          described.questions[0]?.multiSelect
        ? "terminal"
        : "keys",
      requestId: request.id,
      since: request.since ?? since,
    };
  }
  switch (waitingFor) {
    case "input needed":
      return { ...dialog("a question", since), kind: "question" };
    case "permission prompt":
      return { ...dialog("a permission", since), kind: "permission" };
    default:
      return dialog(waitingFor ?? "a dialog is open in its terminal", since);
  }
}

/** What must be answered before any key may be pressed: the registry's word, or a request newer than it. */
export function awaitedInput(evidence: ClaudeEvidence): PendingInput | null {
  const [open] = openInputs(evidence);
  if (open !== undefined) return open;
  const newest = evidence.events.at(-1);
  const request = newest?.event === "PermissionRequest" ? openRequest(evidence) : null;
  if (request === null || newest === undefined) return null;
  const registryIsNewer = evidence.registry !== null && evidence.registry.statusUpdatedAt > newest.at;
  return registryIsNewer ? null : pendingInput(evidence, null);
}

/** Whether what the registry waits for has raised a PermissionRequest. */
function hasHook(waitingFor: string | null): boolean {
  return waitingFor === null || waitingFor === "permission prompt" || waitingFor === "input needed";
}

interface OpenRequest {
  readonly tool: string;
  readonly input: unknown;
  readonly id: string | null;
  readonly since: string | null;
  readonly suggestions: unknown;
  readonly subagent: string | null;
}

/** The newest request that nothing in the records has answered. */
export function openRequest(evidence: ClaudeEvidence): OpenRequest | null {
  for (const event of evidence.events.toReversed()) {
    switch (event.event) {
      case "PermissionRequest": {
        if (evidence.registry === null && isAnswered(evidence, event)) return null;
        return requestOf(event);
      }
      case "Stop":
      case "StopFailure":
      case "SessionStart":
      case "SessionEnd":
        return null;
    }
  }
  const open = evidence.marks.findLast((mark) => mark.kind === "tool_use");
  if (open === undefined || evidence.hooks) return null;
  const answered = evidence.marks.some((mark) => mark.kind === "tool_result" && mark.id === open.id);
  if (answered) return null;
  const { name: tool, input } = open;
  return { tool, input, id: null, since: isoOrNull(open.at), suggestions: null, subagent: null };
}

/** A sub-agent may ask before the main turn's Stop: its request is the one with which the waiting began. */
function latestRequest(evidence: ClaudeEvidence): OpenRequest | null {
  const since = evidence.registry?.statusUpdatedAt;
  const event = evidence.events.findLast((found) => found.event === "PermissionRequest");
  if (since === undefined || event === undefined || Math.abs(since - event.at) > REQUEST_LAG_MS) return null;
  return requestOf(event);
}

function requestOf(event: HookEvent): OpenRequest {
  return {
    tool: event.body.tool_name ?? "tool",
    input: event.body.tool_input ?? null,
    id: requestId(event.name),
    since: new Date(event.at).toISOString(),
    suggestions: event.body.permission_suggestions,
    subagent: isSubagents(event) ? event.body.agent_type ?? "sub-agent" : null,
  };
}

/** Names a request after its hook event's file. */
export function requestId(eventName: string): string {
  return eventName.replace(/\.json$/, "");
}

/** By the result of that tool call; where the transcript does not have the call, by anything that came later. */
function isAnswered(evidence: ClaudeEvidence, request: HookEvent): boolean {
  const input = JSON.stringify(request.body.tool_input);
  const call = evidence.marks.findLast((mark) =>
    mark.kind === "tool_use" && mark.name === request.body.tool_name && JSON.stringify(mark.input) === input
  );
  return evidence.marks.some((mark) => {
    const later = mark.at !== null && mark.at >= request.at;
    switch (mark.kind) {
      case "tool_result":
        return call?.kind === "tool_use" ? mark.id === call.id : later;
      case "interrupted":
      case "turn_end":
        return later;
      default:
        return false;
    }
  });
}

/** Kind, one line, options and questions of a tool's request. */
export function describe(
  tool: string,
  input: unknown,
  suggestions: unknown = null,
): Pick<PendingInput, "kind" | "tool" | "input" | "summary" | "detail" | "options" | "questions" | "always"> {
  switch (tool) {
    case "AskUserQuestion": {
      const questions = questionsOf(input);
      return {
        kind: "question",
        tool,
        input,
        summary: oneLine(questions.map((question) => question.question).join(" / ") || "a question"),
        detail: null,
        options: questions.flatMap((question) => question.options.map(({ label }) => label)),
        questions,
        always: null,
      };
    }
    case "ExitPlanMode": {
      const plan = fieldOf(input, "plan");
      return {
        kind: "plan",
        tool,
        input,
        summary: "approval of its plan",
        detail: typeof plan === "string" ? plan.trim() : null,
        options: ["approve", "deny"],
        questions: [],
        always: null,
      };
    }
    default: {
      const always = suggestionInWords(usableSuggestions(suggestions));
      const whole = mainArgument(input).trim();
      const summary = oneLine(`${tool}: ${whole}`);
      return {
        kind: "permission",
        tool,
        input,
        summary,
        detail: summary.endsWith(whole) ? null : whole,
        options: ["approve", ...(always === null ? [] : ["always"]), "deny"],
        questions: [],
        always,
      };
    }
  }
}

function questionsOf(input: unknown): Question[] {
  const questions = fieldOf(input, "questions");
  if (!Array.isArray(questions)) return [];
  return questions.map((question) => {
    const options = fieldOf(question, "options");
    return {
      question: textOf(fieldOf(question, "question")),
      header: textOf(fieldOf(question, "header")),
      multiSelect: fieldOf(question, "multiSelect") === true,
      options: Array.isArray(options)
        ? options.map((option) => ({
          label: textOf(fieldOf(option, "label")),
          description: textOf(fieldOf(option, "description")),
        }))
        : [],
    };
  });
}

function textOf(value: unknown): string {
  return String(value ?? "");
}

/** What a person recognises the request by. */
export function mainArgument(input: unknown): string {
  for (const name of ["command", "file_path", "path", "url", "query", "pattern", "prompt"]) {
    const value = fieldOf(input, name);
    if (typeof value === "string") return value;
  }
  return JSON.stringify(input) ?? "";
}

function dialog(summary: string, since: string | null): PendingInput {
  return {
    kind: "dialog" as PendingKind,
    tool: null,
    input: null,
    summary,
    detail: null,
    options: [],
    questions: [],
    always: null,
    subagent: null,
    answerable: "terminal",
    requestId: null,
    since,
  };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > SUMMARY_UNITS ? `${line.slice(0, SUMMARY_UNITS - 1)}…` : line;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function isoOrNull(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
