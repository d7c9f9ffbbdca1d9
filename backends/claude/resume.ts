/**
 * Starts Claude anew with a conversation of before. Claude itself would let two processes write to one conversation:
 * that it lives nowhere is proven first, and again right before the start.
 */

import type { AgentHandle, ResumePlan, ResumeSpec } from "../backend.ts";
import { NameTakenError } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { claudeConfigFolder, type Paths } from "../../lib/paths.ts";
import type { Session } from "../../lib/session.ts";
import { isLive } from "../../lib/store/revival.ts";
import { namedBehindWrapper } from "./behind_wrapper.ts";
import { type ClaudeHandle, handleOf } from "./handle.ts";
import { livingAt } from "./living.ts";
import { locateClaude } from "./locate.ts";
import type { Observer } from "./observe.ts";
import { startContained } from "./start_contained.ts";
import { startClaude, tmuxUnresponsive, writeLaunchFiles } from "./start.ts";
import { TIDY_TIMEOUT_MS, type Tmux } from "./tmux.ts";

/** Above any conversation: Claude asks how to resume one that is large and old, and nobody is there to answer. */
const NEVER_ASK_TOKENS = "1000000000";
/** Claude's own marks of a resumed run; inherited, they would make it go on by itself. */
const RESUME_MARK = /^CLAUDE_CODE_RESUME_/;

/** Options of Claude that choose a conversation, and whether a value follows. */
const CONVERSATION_OPTIONS: Readonly<Record<string, boolean>> = {
  "--continue": false,
  "-c": false,
  "--fork-session": false,
  "--resume": true,
  "-r": true,
  "--session-id": true,
};

/**
 * @param planned the session with a handle, also when an earlier version started it.
 * @throws AppError when it can't live again here, or lives elsewhere.
 */
export async function planResume(
  deps: Deps,
  tmux: Tmux,
  observer: Observer,
  session: Session,
  planned: Session,
): Promise<ResumePlan> {
  const handle = handleOf(planned);
  if (session.mode === "docker" && handle.container === undefined) {
    throw cannot(
      session,
      "no record says how its container was started",
      "Start another with: dev-sessions create",
    );
  }
  const conversation = observer.conversation();
  if (conversation === null) {
    throw cannot(session, "no record names its conversation", "Start another with: dev-sessions create");
  }
  const transcript = observer.transcript();
  const begun = isFile(transcript, session);
  if (!begun && (session.handle === null || wasPrompted(observer, conversation))) {
    const help = "Start another with: dev-sessions create";
    throw cannot(session, `its conversation is gone: there is no ${transcript}`, help);
  }
  await assertNowhereAlive(deps, tmux, session, handle.configFolder, conversation);
  return {
    handle: { ...handle, pane: null, ...unstarted(handle) },
    agentSessionId: session.agentSessionId,
    conversation,
    begun,
  };
}

/** @throws AppError when the agent does not come to accept input; with its last screen. */
export async function resumeClaude(
  deps: Deps,
  paths: Paths,
  tmux: Tmux,
  spec: ResumeSpec,
  signal: AbortSignal,
): Promise<AgentHandle> {
  const { session, conversation, begun } = spec;
  const handle = handleOf(session);
  await assertNowhereAlive(deps, tmux, session, handle.configFolder, conversation);
  const env = resumeEnvironment(deps.env, paths.home, handle);
  const started = {
    ...spec,
    session: { ...session, agentSessionId: conversation },
    agentArgs: withoutConversation(spec.agentArgs),
    action: `resume "${session.id}"`,
  };
  try {
    const found = session.mode === "docker"
      ? await startContained(
        handle.container?.by === "docker" ? deps : { ...deps, env },
        paths,
        tmux,
        started,
        begun,
        signal,
      )
      : await startClaude(
        deps,
        tmux,
        started,
        writeLaunchFiles({ ...deps, env }, paths, started, {
          binary: locateClaude(deps.env, paths.home),
          mode: session.mode === "native" ? "native" : "yolo",
          resume: begun,
        }),
        paths.state,
        signal,
      );
    // The session keeps the id of its first conversation: that is where its log begins.
    return { ...found, agentSessionId: session.agentSessionId };
  } catch (error) {
    if (!(error instanceof NameTakenError)) throw error;
    throw cannot(
      session,
      error.message,
      `Look at it, and end it by hand: tmux kill-session -t =${handle.tmuxSession}`,
    );
  }
}

async function assertNowhereAlive(
  deps: Deps,
  tmux: Tmux,
  session: Session,
  configFolder: string,
  conversation: string,
): Promise<void> {
  const [state] = session.process === null ? [] : await deps.processStates([session.process]);
  if (state === "alive") throw isLive(session.id);
  if (session.mode === "docker") await assertNoContainer(deps, session);
  const left = await namedBehindWrapper(deps, session, conversation);
  if (left !== null) {
    throw cannot(
      session,
      `Claude's live registry names its conversation ("${left}"), so that a container may still run it`,
      "See: docker ps. End it with docker stop; if none does, remove that file. Then repeat this",
    );
  }
  const [other] = await livingAt(deps, configFolder, conversation);
  if (other !== undefined) {
    throw cannot(
      session,
      `its conversation is live in another Claude (process ${other.pid})`,
      `End that one first; see it with: ps -o pid,tty,args -p ${other.pid}`,
    );
  }
  const marked = await tmux.marked();
  if (marked === "unknown") throw tmuxUnresponsive(tmux.socket, `resume "${session.id}"`);
  const pane = marked.get(session.token);
  if (pane === undefined) return;
  if (pane.shared || !pane.dead && await deps.identify(pane.pid) !== null) {
    const help = `Look at it with: tmux attach-session -t =${pane.session}`;
    throw cannot(session, `a process still lives in its tmux session ${pane.session}`, help);
  }
  // What is left of its agent, and in the way of the next one.
  await tmux.killMarked(session.token, TIDY_TIMEOUT_MS);
}

async function assertNoContainer(deps: Deps, session: Session): Promise<void> {
  if (session.handle === null) return;
  const { runsStill } = await import("./container.ts");
  switch (await runsStill(deps, session)) {
    case true:
      throw isLive(session.id);
    case "unknown":
      throw cannot(
        session,
        "the container engine does not say whether its container still runs",
        "See: docker version",
      );
    case false:
      return;
  }
}

/** The container of its former life is not that of the next. */
function unstarted({ container }: ClaudeHandle): Pick<ClaudeHandle, "container"> {
  if (container === undefined) return {};
  if (container.by !== "docker") return { container };
  return { container: { ...container, id: null, startedAt: null, agentPid: null } };
}

/** No transcript is begun without a prompt, so that without one after a prompt the conversation was deleted. */
function wasPrompted(observer: Observer, conversation: string): boolean {
  const { hooks, session } = observer;
  const prompt = hooks.newest("UserPromptSubmit");
  if (prompt !== null) return prompt.body.session_id === conversation;
  return session.lastSend !== null && hooks.newest("SessionStart") === null;
}

/** The caller's environment with the configuration folder that the session was created with. Pure. */
export function resumeEnvironment(
  caller: Deps["env"],
  home: string,
  handle: Pick<ClaudeHandle, "configFolder" | "configGiven">,
): Record<string, string> {
  const { CLAUDE_CONFIG_DIR: _, ...rest } = caller;
  const given = handle.configGiven ?? handle.configFolder !== claudeConfigFolder({}, home);
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !RESUME_MARK.test(name))),
    ...(given ? { CLAUDE_CONFIG_DIR: handle.configFolder } : {}),
    CLAUDE_CODE_RESUME_TOKEN_THRESHOLD: NEVER_ASK_TOKENS,
  };
}

/** Arguments of `create` without a choice of conversation, which is made; what follows `--` is a prompt. Pure. */
export function withoutConversation(agentArgs: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < agentArgs.length; index++) {
    const argument = agentArgs[index]!;
    if (argument === "--") break;
    const [name = "", value] = argument.split(/=(.*)/s);
    if (!Object.hasOwn(CONVERSATION_OPTIONS, name)) kept.push(argument);
    // The value of --resume may be left out.
    else if (CONVERSATION_OPTIONS[name] && value === undefined && !agentArgs[index + 1]?.startsWith("-")) {
      index++;
    }
  }
  return kept;
}

/** @throws AppError when that can't be told. */
function isFile(path: string, session: Session): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw cannot(session, `its conversation "${path}" can't be looked at: ${messageOf(error)}`, "");
  }
}

function cannot({ id }: Session, why: string, help: string): AppError {
  return new AppError("failure", `Cannot resume "${id}": ${why}${help === "" ? "" : `. ${help}`}`);
}
