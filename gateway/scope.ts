/** What a token permits: decisions about requests before anything is done for them. Pure. */

import * as v from "valibot";
import { STRICTNESS } from "../lib/families.ts";
import { AppError } from "../lib/errors.ts";
import { isWithin } from "../lib/posix_path.ts";
import { checkTemplate } from "../lib/render.ts";
import type { CreateRequest, RenderRequest } from "../lib/service.ts";
import { AGENT_KINDS, MODES } from "../lib/session.ts";
import { SCOPED_VERB_NAMES } from "./verbs.ts";

const MAX_READY_TIMEOUT_MS = 600_000;
const MAX_DESCRIPTION_CHARACTERS = 1_000;
/** Becomes an argument of the agent. */
const MODEL = /^[A-Za-z0-9][A-Za-z0-9._:/@[\]-]{0,127}$/;

const path = v.pipe(v.string(), v.startsWith("/"));

/** As the registry keeps it. What a newer version adds there may narrow a token, so that it is not passed over. */
export const scopeSchema = v.strictObject({
  /** Folders below which it may create sessions: as they were named, and what they really are. */
  roots: v.array(v.object({ named: path, real: path })),
  /** The least strict mode. */
  mode: v.picklist(MODES),
  agents: v.array(v.picklist(AGENT_KINDS)),
  /** Null: all that a token may permit. */
  verbs: v.nullable(v.array(v.picklist(SCOPED_VERB_NAMES))),
  /** That may live at once. */
  maxSessions: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** The session (`Session.token`) in whose container it is: valid as long as that lives. Null: bound to none. */
  boundTo: v.nullable(v.string()),
});
export type Scope = v.InferOutput<typeof scopeSchema>;

/** Options of `create` that a token's holder may use; all others must be left as they are by default. */
type Option = keyof CreateRequest;
const PERMITTED: ReadonlySet<string> = new Set<Option>([
  "path",
  "agent",
  "mode",
  "description",
  "model",
  "group",
  "parent",
  "sandbox",
  "readyTimeoutMs",
  "key",
]);
/** What the others are called by people. */
const FLAGS: Readonly<Record<string, string>> = { agentArgs: "--agent-arg" };

/**
 * The request as it may be carried out. Its path, its parent and its key are still to be checked.
 *
 * @throws AppError (refused) that names what is not permitted.
 */
export function permittedCreate(scope: Scope, request: CreateRequest): CreateRequest {
  for (const [option, value] of Object.entries(request)) {
    if (!PERMITTED.has(option) && isGiven(value)) {
      throw refused("create a session", `${FLAGS[option] ?? `--${option}`} is not permitted with this token`);
    }
  }
  const mode = request.mode ?? scope.mode;
  if (STRICTNESS[mode] < STRICTNESS[scope.mode]) {
    throw refused(
      "create a session",
      `--mode ${mode} is not permitted with this token, only ${modesOf(scope)}`,
    );
  }
  const [only, ...others] = scope.agents;
  const agent = request.agent ?? (others.length === 0 ? only ?? null : null);
  if (agent !== null && !scope.agents.includes(agent)) {
    throw refused(
      "create a session",
      `--cli ${agent} is not permitted with this token, only ${scope.agents.join(", ")}`,
    );
  }
  if (request.sandbox === "full" && mode !== "yolo") {
    throw refused("create a session", "--sandbox full is not permitted with this token");
  }
  if (request.model !== null && !MODEL.test(request.model)) {
    throw refused("create a session", "--model must be the name of a model");
  }
  if ((request.description?.length ?? 0) > MAX_DESCRIPTION_CHARACTERS) {
    throw refused("create a session", `--description is limited to ${MAX_DESCRIPTION_CHARACTERS} characters`);
  }
  const { path, description, model, group, parent, key, sandbox } = request;
  return {
    path,
    agent,
    mode,
    description,
    model,
    group,
    parent,
    key,
    ...(sandbox === undefined ? {} : { sandbox }),
    id: null,
    agentArgs: [],
    trust: false,
    worktree: null,
    readyTimeoutMs: Math.min(request.readyTimeoutMs, MAX_READY_TIMEOUT_MS),
  };
}

/**
 * The host asks git nothing for a token's holder: what stands in a repository's configuration may be a command.
 *
 * @throws AppError (refused, usage).
 */
export function assertPermittedTemplate(template: string, { vars }: RenderRequest): void {
  const asksGit = checkTemplate(template, vars).find((name) => name.startsWith("git."));
  if (asksGit === undefined) return;
  throw refused("send", `{{${asksGit}}} is not permitted with this token`);
}

/**
 * Whether a path, as it was named, may be looked at; what it really is must be below a root, too. `/work` does not
 * contain `/workspace`.
 */
export function isNamedBelow(scope: Scope, path: string): boolean {
  return scope.roots.some(({ named, real }) => isWithin(path, named) || isWithin(path, real));
}

/** @param path without symlinks. */
export function isReallyBelow(scope: Scope, path: string): boolean {
  return scope.roots.some(({ real }) => isWithin(path, real));
}

export function refused(action: string, why: string): AppError {
  return new AppError("refused", `Cannot ${action}: ${why}. Ask whoever made the token`);
}

function modesOf({ mode }: Scope): string {
  return MODES.filter((one) => STRICTNESS[one] >= STRICTNESS[mode]).join(", ");
}

function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== null && value !== undefined && value !== false;
}
