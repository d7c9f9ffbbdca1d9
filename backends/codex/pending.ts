/** Names what a session waits for, from the server's open requests. Pure. */

import type { PendingInput, Question } from "../../lib/session.ts";
import { isoOrNull } from "./course.ts";
import type { CodexEvidence, OpenRequest } from "./evidence.ts";
import type { ServerRequest, ThreadItem } from "./frames.ts";

const SUMMARY_UNITS = 200;

/** Oldest first. Empty when nothing waits. */
export function openInputs({ thread, requests }: Pick<CodexEvidence, "thread" | "requests">): PendingInput[] {
  if (thread?.status.type !== "active") return [];
  if (requests.length > 0) return requests.map(pendingInput);
  const { activeFlags } = thread.status;
  if (activeFlags.includes("waitingOnApproval")) return [unseen("permission", "a permission")];
  if (activeFlags.includes("waitingOnUserInput")) return [unseen("question", "a question")];
  return [];
}

/**
 * Names a request: the server's own numbers begin anew with each server, and one item may ask more than once.
 */
export function requestIdOf(request: ServerRequest): string {
  return request.method === "other" ? `request.${request.id}` : `${request.params.itemId}.${request.id}`;
}

function pendingInput(open: OpenRequest): PendingInput {
  const { request } = open;
  const since = request.method === "other" ? open.since : open.since ?? request.params.startedAtMs;
  return {
    ...describe(open),
    subagent: null,
    requestId: requestIdOf(request),
    since: isoOrNull(since),
  };
}

type Description = Omit<PendingInput, "subagent" | "requestId" | "since">;

function describe({ request, item }: OpenRequest): Description {
  switch (request.method) {
    case "item/commandExecution/requestApproval": {
      const { kind, reason, command, cwd } = request.params;
      const whole = command ?? commandOf(item) ?? "";
      const tool = kind === "writeStdin" ? "write_stdin" : "shell";
      const input = {
        command: whole,
        ...(cwd === null ? {} : { cwd }),
        ...(reason === null ? {} : { reason }),
      };
      const plain = withoutShell(whole);
      const always = "run this same command without asking";
      return permission(tool, input, plain || "a command", detail([reason, plain]), always);
    }
    case "item/fileChange/requestApproval": {
      const { reason, grantRoot } = request.params;
      const changes = item?.type === "fileChange" ? item.changes : [];
      const files = changes.map(({ kind, path }) => `${kind.type} ${path}`);
      const diffs = changes.map(({ kind, path, diff }) => `${kind.type} ${path}\n${diff.trimEnd()}`);
      const always = grantRoot === null
        ? "change these files without asking"
        : `change files under ${grantRoot} without asking`;
      const input = {
        changes: changes.map(({ kind, path, diff }) => ({ kind: kind.type, path, diff })),
        reason,
      };
      return permission(
        "file change",
        input,
        files.join(", ") || "files",
        detail([reason, ...diffs]),
        always,
      );
    }
    case "item/permissions/requestApproval": {
      const { reason, permissions } = request.params;
      const wanted = permissionsInWords(permissions);
      return permission(
        "permissions",
        permissions,
        wanted.join(", ") || "more permissions",
        detail([reason, ...wanted]),
        "keep these permissions for the rest of this session",
      );
    }
    case "item/tool/requestUserInput": {
      const questions: Question[] = request.params.questions.map(({ question, header, options }) => ({
        question,
        header,
        multiSelect: false,
        options: (options ?? []).map(({ label, description }) => ({ label, description })),
      }));
      return {
        kind: "question",
        tool: "request_user_input",
        input: { questions },
        summary: oneLine(questions.map(({ question }) => question).join(" / ") || "a question"),
        detail: null,
        options: questions.flatMap(({ options }) => options.map(({ label }) => label)),
        questions,
        always: null,
        answerable: "direct",
      };
    }
    case "other":
      return {
        kind: "dialog",
        tool: null,
        input: request.params ?? null,
        summary: oneLine(`a request that this version can't answer (${request.name})`),
        detail: null,
        options: [],
        questions: [],
        always: null,
        answerable: "terminal",
      };
  }
}

function permission(
  tool: string,
  input: unknown,
  what: string,
  whole: string,
  always: string,
): Description {
  const summary = oneLine(`${tool}: ${what}`);
  return {
    kind: "permission",
    tool,
    input,
    summary,
    detail: whole === "" || summary === `${tool}: ${whole}` ? null : whole,
    options: ["approve", "always", "deny"],
    questions: [],
    always,
    answerable: "direct",
  };
}

/** The thread says that it waits, and no connection of ours was told for what. */
function unseen(kind: "permission" | "question", what: string): PendingInput {
  return {
    kind,
    tool: null,
    input: null,
    summary: what,
    detail: null,
    options: [],
    questions: [],
    always: null,
    subagent: null,
    answerable: "terminal",
    requestId: null,
    since: null,
  };
}

/** `network; write /srv`: what the agent wants beyond its sandbox. */
function permissionsInWords({ network, fileSystem }: {
  readonly network?: unknown;
  readonly fileSystem?: unknown;
}): string[] {
  const words: string[] = [];
  if (fieldOf(network, "enabled") === true) words.push("network");
  for (const access of ["read", "write"]) {
    const paths = fieldOf(fileSystem, access);
    if (Array.isArray(paths)) words.push(...paths.map((path) => `${access} ${path}`));
  }
  const entries = fieldOf(fileSystem, "entries");
  for (const entry of Array.isArray(entries) ? entries : []) {
    const place = fieldOf(entry, "path");
    const where = fieldOf(place, "path") ?? fieldOf(place, "pattern") ??
      JSON.stringify(fieldOf(place, "value"));
    const line = `${fieldOf(entry, "access")} ${where}`;
    if (!words.includes(line)) words.push(line);
  }
  return words;
}

function commandOf(item: ThreadItem | null): string | null {
  return item?.type === "commandExecution" ? item.command : null;
}

/** What the agent wants to run, without the shell that the server puts around it. */
export function withoutShell(command: string): string {
  const [, quoted] = /^\S*\/(?:ba|z|da)?sh -l?c '((?:[^']|'\\'')*)'$/.exec(command) ?? [];
  if (quoted !== undefined) return quoted.replaceAll("'\\''", "'");
  const [, plain] = /^\S*\/(?:ba|z|da)?sh -l?c (\S+)$/.exec(command) ?? [];
  return plain ?? command;
}

function detail(parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null && part.trim() !== "").join("\n");
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > SUMMARY_UNITS ? `${line.slice(0, SUMMARY_UNITS - 1)}…` : line;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
