/** `create`: starts an agent and returns when it accepts input, or fails with the agent's own words. */

import { usualWorkspace } from "../client_settings.ts";
import { resolvePath } from "../posix_path.ts";
import { buildCommand } from "@stricli/core";
import {
  AGENT_KINDS,
  type AgentKind,
  type Mode,
  MODES,
  OFFERED_AGENTS,
  OFFERED_MODES,
  SANDBOX_KINDS,
  type SandboxKind,
} from "../session.ts";
import type { CreateRequest } from "../service.ts";
import { note, type Result } from "./output.ts";
import {
  anyText,
  callingSession,
  choice,
  groupName,
  key,
  milliseconds,
  modelName,
  nonEmpty,
  sessionId,
  sshHost,
} from "./parsers.ts";
import { canAsk } from "./prompts.ts";
import { sessionRecord } from "./record.ts";
import { type FirstMessage, firstMessage, readFirst, sendFirst } from "./first_message.ts";
import { RENDER_FLAGS, type RenderFlags } from "./render_flags.ts";
import type { CliContext, ParseContext } from "./verb.ts";

const READY_TIMEOUT_MS = 60_000;
const NATIVE_NOTE =
  "[dev-sessions] native mode: the agent asks for its own permissions, and someone has to answer; " +
  "what 0.4.4 called native is now yolo, the default";

interface Flags extends RenderFlags {
  readonly path: string | undefined;
  readonly description: string | undefined;
  readonly cli: AgentKind | undefined;
  readonly mode: Mode | undefined;
  readonly model: string | undefined;
  readonly group: string | undefined;
  readonly host: string | undefined;
  readonly agentArg: readonly string[] | undefined;
  readonly trust: boolean;
  readonly sandbox: SandboxKind | undefined;
  readonly worktree: string | undefined;
  readonly message: string | undefined;
  readonly file: string | undefined;
  readonly readyTimeout: number | undefined;
  readonly key: string | undefined;
  readonly id: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

export interface CreateOptions {
  readonly request: CreateRequest;
  /** Whether a person may be asked: only one who has said nothing. */
  readonly mayAsk: boolean;
  readonly explainNative: boolean;
  /** Null: it starts without a task. */
  readonly first: FirstMessage | null;
  readonly json: boolean;
  readonly quiet: boolean;
}

function createOptions(flags: Flags, env: ParseContext["env"], cwd: () => string): CreateOptions {
  const request: CreateRequest = {
    ...place(flags, env, cwd),
    agent: flags.cli ?? null,
    mode: flags.mode ?? null,
    description: flags.description ?? null,
    model: flags.model ?? null,
    group: flags.group ?? null,
    id: flags.id ?? null,
    parent: callingSession(env),
    agentArgs: flags.agentArg ?? [],
    trust: flags.trust,
    ...(flags.sandbox === undefined ? {} : { sandbox: flags.sandbox }),
    worktree: flags.worktree === undefined ? null : { branch: flags.worktree === "" ? null : flags.worktree },
    readyTimeoutMs: flags.readyTimeout ?? READY_TIMEOUT_MS,
    key: flags.key ?? null,
  };
  const { json, quiet } = flags;
  const mayAsk = Object.values(flags).every((value) =>
    value === undefined || value === false || Array.isArray(value) && value.length === 0
  );
  return { request, mayAsk, explainNative: flags.mode === "native", first: firstMessage(flags), json, quiet };
}

/** A path on another host is that host's business; without one, the home folder there is meant. */
function place(
  { path, host }: Pick<Flags, "path" | "host">,
  env: ParseContext["env"],
  cwd: () => string,
): Pick<CreateRequest, "path" | "host"> {
  if (host === undefined) return { path: resolvePath(cwd, path ?? usualWorkspace(env)) };
  return { path: path ?? "~", host };
}

export async function* run(options: CreateOptions, context: CliContext): AsyncIterable<Result> {
  let { request } = options;
  if (options.mayAsk && canAsk(context.deps)) {
    request = await (await import("./create_questions.ts")).askForRequest(request, context);
  }
  if (options.explainNative) yield note(NATIVE_NOTE);
  // Read and checked before there is anything to undo.
  const text = options.first === null ? null : await readFirst(options.first, request, context);
  const service = await context.service();
  const { session, readyProven, repeated, notes = [] } = await service.create(
    request,
    context.signal,
  );
  yield note(...notes.map((line) => `[dev-sessions] ${line}`));
  if (!readyProven) {
    yield note(`[dev-sessions] ${session.id} shows a quiet prompt, but nothing proves that it is ready`);
  }
  const created = {
    text: options.quiet ? session.id : `Created session ${session.id}${on(session.host)}`,
    json: sessionRecord(session, {
      worktree: session.worktree,
      ready: readyProven ? "proven" : "unproven",
      repeated,
    }),
  };
  if (text === null || options.first === null) return yield created;

  // Printed before it is sent, so that the id is known whatever becomes of the message; JSON is one document.
  if (!options.json) yield created;
  const sent = await sendFirst(session.id, text, options.first, request, service, context.signal);
  yield {
    text: options.quiet ? null : sent.text ?? null,
    json: { ...created.json, send: sent.json ?? null },
    failure: sent.failure ?? null,
  };
}

function on(host: string | undefined): string {
  return host === undefined ? "" : ` on ${host}`;
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Start an agent",
    fullDescription:
      `Start an agent and return when it accepts input. Without any option at a terminal, it asks what to start.

Examples:
  # Here, with a name for people
  dev-sessions create -d "fix the login form"

  # Elsewhere, keeping the id for a script
  id=$(dev-sessions create -q -p ~/src/api --group api)

  # With its first task, which is sent as any other message
  dev-sessions create --message "Run the tests and fix what fails"

  # In a git worktree of its own, on a new branch
  dev-sessions create --worktree -p ~/src/api --file brief.md

  # In a container, as docker in ~/.dev-sessions/config.json says
  dev-sessions create --mode docker

  # Codex, whose commands may write to the workspace only
  dev-sessions create --cli codex --sandbox workspace

  # On another host, in a folder below the home folder there
  dev-sessions create --host build.example -p src/api

  # Give an argument to the agent itself; for Codex, one of its settings
  dev-sessions create --agent-arg --add-dir --agent-arg ../shared
  dev-sessions create --cli codex --agent-arg model_reasoning_effort=high`,
  },
  parameters: {
    flags: {
      path: {
        kind: "parsed",
        parse: nonEmpty("--path"),
        optional: true,
        brief: "Workspace (the current folder)",
        placeholder: "path",
      },
      description: {
        kind: "parsed",
        parse: anyText,
        optional: true,
        brief: "What it is for",
        placeholder: "text",
      },
      cli: {
        kind: "parsed",
        parse: choice("cli", OFFERED_AGENTS, AGENT_KINDS),
        optional: true,
        brief: "Agent to start: claude (the default) or codex",
        placeholder: "cli",
      },
      mode: {
        kind: "parsed",
        parse: choice("mode", OFFERED_MODES, MODES),
        optional: true,
        brief: "yolo (never asks, the default), native (asks for permissions) or docker (in a container)",
        placeholder: "mode",
      },
      sandbox: {
        kind: "parsed",
        parse: choice("sandbox", SANDBOX_KINDS, SANDBOX_KINDS),
        optional: true,
        brief: "What Codex's commands may reach: read-only, workspace or full (of the mode)",
        placeholder: "what",
      },
      model: {
        kind: "parsed",
        parse: modelName,
        optional: true,
        brief: "Model, as the agent names it",
        placeholder: "model",
      },
      group: {
        kind: "parsed",
        parse: groupName,
        optional: true,
        brief: "Group it belongs to",
        placeholder: "name",
      },
      host: {
        kind: "parsed",
        parse: sshHost,
        optional: true,
        brief: "Start it on another host, as ssh names it",
        placeholder: "target",
      },
      agentArg: {
        kind: "parsed",
        parse: anyText,
        optional: true,
        variadic: true,
        brief: "Argument for the agent; repeatable",
        placeholder: "arg",
      },
      trust: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Trust the workspace in native mode",
      },
      worktree: {
        kind: "parsed",
        parse: anyText,
        inferEmpty: true,
        optional: true,
        brief: "Work in a git worktree beside the repository (on a new branch)",
        placeholder: "branch",
      },
      message: {
        kind: "parsed",
        parse: anyText,
        optional: true,
        brief: "First message",
        placeholder: "text",
      },
      file: {
        kind: "parsed",
        parse: nonEmpty("--file"),
        optional: true,
        brief: "Read the first message from a file (- is stdin)",
        placeholder: "path",
      },
      ...RENDER_FLAGS,
      readyTimeout: {
        kind: "parsed",
        parse: milliseconds("--ready-timeout", "a positive number of seconds"),
        optional: true,
        brief: "Seconds until it must accept input (60)",
        placeholder: "s",
      },
      key: {
        kind: "parsed",
        parse: key,
        optional: true,
        brief: "Repeat with the same key: the same session",
        placeholder: "key",
      },
      id: {
        kind: "parsed",
        parse: sessionId,
        optional: true,
        hidden: true,
        brief: "Id to take",
        placeholder: "id",
      },
      yes: { kind: "boolean", default: false, withNegated: false, brief: "Do not ask" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print the record as JSON" },
      quiet: { kind: "boolean", default: false, withNegated: false, brief: "Print only the id" },
    },
    aliases: { p: "path", d: "description", m: "mode", f: "file", q: "quiet" },
  },
  func(flags) {
    const options = createOptions(flags, this.env, this.cwd);
    this.accept({ json: flags.json, long: true, run: (context) => run(options, context) });
  },
});
