/** Names what a session waits for, from the hook that asked, else from the transcript's open tool call. Pure. */

import type { PendingInput, PendingKind } from "../../lib/session.ts";
import type { ClaudeEvidence } from "./evidence.ts";
import type { HookEvent } from "./hook_log.ts";

const SUMMARY_UNITS = 200;
/** From the hook to the registry's word (measured: under 0.5 s), with room for a busy machine. */
const REQUEST_LAG_MS = 5_000;

/** @param waitingFor the live registry's word; null without a registry. */
export function pendingInput(evidence: ClaudeEvidence, waitingFor: string | null): PendingInput {
  const since = evidence.registry === null ? null : new Date(evidence.registry.statusUpdatedAt).toISOString();
  if (waitingFor === "dialog open") return dialog("a dialog is open in its terminal", since);
  // Anything else than these two has no hook: an older request is not what it waits for.
  const asked = waitingFor === null || waitingFor === "permission prompt" || waitingFor === "input needed";
  const request = asked ? openRequest(evidence) ?? latestRequest(evidence) : null;
  if (request !== null) {
    return { ...describe(request.tool, request.input), requestId: request.id, since: request.since ?? since };
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

interface OpenRequest {
  readonly tool: string;
  readonly input: unknown;
  readonly id: string | null;
  readonly since: string | null;
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
  return answered ? null : { tool: open.name, input: open.input, id: null, since: isoOrNull(open.at) };
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

/** Kind, one line and options of a tool's request. */
export function describe(
  tool: string,
  input: unknown,
): Pick<PendingInput, "kind" | "tool" | "input" | "summary" | "options"> {
  switch (tool) {
    case "AskUserQuestion": {
      const questions = questionsOf(input);
      return {
        kind: "question",
        tool,
        input,
        summary: oneLine(questions.map((question) => question.text).join(" / ") || "a question"),
        options: questions.flatMap((question) => question.options),
      };
    }
    case "ExitPlanMode":
      return { kind: "plan", tool, input, summary: "approval of its plan", options: [] };
    default:
      return {
        kind: "permission",
        tool,
        input,
        summary: oneLine(`${tool}: ${mainArgument(input)}`),
        options: [],
      };
  }
}

function questionsOf(input: unknown): { text: string; options: string[] }[] {
  const questions = fieldOf(input, "questions");
  if (!Array.isArray(questions)) return [];
  return questions.map((question) => {
    const options = fieldOf(question, "options");
    return {
      text: String(fieldOf(question, "question") ?? ""),
      options: Array.isArray(options) ? options.map((option) => String(fieldOf(option, "label") ?? "")) : [],
    };
  });
}

function mainArgument(input: unknown): string {
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
    options: [],
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
