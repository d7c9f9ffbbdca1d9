/** Starts Claude in a tmux session of its own and returns once it accepts input; what it began is in the row first. */

import type { AgentHandle, CreateSpec } from "../backend.ts";
import { NameTakenError } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { claudeStateFile, type Paths } from "../../lib/paths.ts";
import type { ProcessIdentity, Session } from "../../lib/session.ts";
import { agentEnvironment } from "./environment.ts";
import { type ClaudeHandle, handleOf } from "./handle.ts";
import { HookLog } from "./hook_log.ts";
import { hookScript } from "./hook_script.ts";
import {
  claudeArguments,
  launcherScript,
  type SessionFolder,
  sessionFolder,
  settingsJson,
} from "./launch_files.ts";
import { livingAt } from "./living.ts";
import { findEntryIn, findRegistryEntry, readRegistry } from "./live_registry.ts";
import { judgeReadiness } from "./readiness.ts";
import { readInputBox } from "./screen.ts";
import { trustsRepository } from "./trust.ts";
import { exactSession, REGISTRY_OPTION, sequence, TIDY_TIMEOUT_MS, Tmux, TOKEN_OPTION } from "./tmux.ts";
import { watchRecords } from "./watch.ts";

const COLUMNS = 200;
const ROWS = 50;
/** Between looks at the process while it starts; hook and registry wake it earlier. */
const START_POLL_MS = 150;
/** Before the first look at the screen, and between looks. */
const SCREEN_PATIENCE_MS = 800;
const SCREEN_INTERVAL_MS = 400;
/** A server that was asked for a hundred sessions at once is slow, but not stopped. */
const NEW_SESSION_TIMEOUT_MS = 20_000;
/** At the pane of an agent that is dead, and the pause between them. */
const LAST_LOOKS = 12;
const LAST_LOOK_MS = 25;
const PANE_GONE = [
  "tmux closed its pane",
  "Look in your tmux.conf for exit-unattached and for hooks that kill windows",
] as const;
/** Of the screen in an error. */
const SCREEN_LINES = 30;

export interface Launch {
  readonly binary: string;
  readonly mode: "yolo" | "native";
  /** Whether the session's conversation exists, and goes on. */
  readonly resume?: boolean;
}

/** Everything is written before tmux is called, so that a killed `create` can be rolled back from the row alone. */
export function writeLaunchFiles(deps: Deps, paths: Paths, spec: CreateSpec, launch: Launch): SessionFolder {
  const { session } = spec;
  const handle = handleOf(session);
  const folder = sessionFolder(paths.sessionFolder(session.token));
  const configFolder = deps.env["CLAUDE_CONFIG_DIR"] ? handle.configFolder : null;
  // The worktree is the same code; not every version of Claude looks for the repository that it belongs to.
  const trusted = launch.mode === "yolo" || spec.trust ||
    trustsRepository(claudeStateFile(paths.home, configFolder), session);
  for (const path of [folder.events, folder.requests, folder.answers]) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  const write = (path: string, text: string) => Deno.writeTextFileSync(path, text, { mode: 0o600 });
  write(folder.hook, hookScript(folder.events));
  write(folder.settings, settingsJson(folder.hook, launch.mode));
  write(
    folder.launcher,
    launcherScript({
      env: agentEnvironment(deps.env, {
        id: session.id,
        trusted,
        configFolder,
      }),
      cwd: session.path,
      command: claudeArguments({
        binary: launch.binary,
        sessionId: session.agentSessionId ?? "",
        resume: launch.resume ?? false,
        settings: folder.settings,
        mode: launch.mode,
        model: session.model,
        agentArgs: spec.agentArgs,
      }),
    }),
  );
  return folder;
}

/**
 * @throws NameTakenError when tmux has a session of that name.
 * @throws AppError when the agent does not come to accept input; with its last screen.
 */
export async function startClaude(
  deps: Deps,
  tmux: Tmux,
  spec: CreateSpec & { readonly action?: string },
  folder: SessionFolder,
  registry: string,
  signal: AbortSignal,
): Promise<AgentHandle> {
  const { session, action = `create a session in "${session.path}"` } = spec;
  const begin = deps.clock.monotonic();
  const hooks = new HookLog(folder.events);
  // A session that lived before has events of then, which prove nothing now.
  const before = new Set(hooks.names());
  const started = await openPane(deps, tmux, session, folder, { registry, action });
  let handle: ClaudeHandle = { ...handleOf(session), pane: started.pane };
  const found = (process: ProcessIdentity | null, readyProven: boolean): AgentHandle => ({
    handle,
    process,
    agentSessionId: session.agentSessionId,
    readyProven,
  });
  let process = started.process;

  let screen = { text: "", since: begin };
  let capture: Look | null = null;
  let lastLook = -Infinity;
  let idleSince: number | null = null;
  const over = new AbortController();
  const places = () => ({
    events: folder.events,
    files: process === null || handle.container !== undefined
      ? []
      : [`${handle.configFolder}/sessions/${process.pid}.json`],
  });
  const stop = AbortSignal.any([signal, over.signal]);
  for await (const _ of watchRecords(places, START_POLL_MS, deps.clock, stop)) {
    const now = deps.clock.monotonic();
    let live = contained(handle, session) ??
      (process === null ? null : readRegistry(handle.configFolder, process));
    if (live !== null && handle.container?.by === "docker") {
      handle = { ...handle, container: { ...handle.container, agentPid: live.pid } };
    }
    if (live === null && handle.container === undefined && now - begin >= SCREEN_PATIENCE_MS) {
      // Behind a wrapper the agent's pid is not the pane's.
      const [wrapped] = await livingAt(deps, handle.configFolder, session.agentSessionId ?? "");
      live = wrapped === undefined ? null : readRegistry(handle.configFolder, wrapped);
      if (live !== null) process = wrapped!;
    }
    idleSince = live?.status === "idle" ? idleSince ?? now : null;
    const hook = hooks.newestOf(hooks.names().filter((name) => !before.has(name)), ["SessionStart"]);
    // A hundred that start at once must not keep tmux busy: it is asked at the end, or where the records are silent.
    const ready = hook !== null && idleSince !== null;
    if (ready || now - begin >= SCREEN_PATIENCE_MS && now - lastLook >= SCREEN_INTERVAL_MS) {
      lastLook = now;
      capture = await look(tmux, started.pane);
      if (capture !== null && capture.text !== screen.text) screen = { text: capture.text, since: now };
    }
    const alive = process === null ? "dead" : (await deps.processStates([process]))[0] ?? "unknown";
    const last = alive === "dead" ? await lastWords(deps, tmux, started.pane) : null;
    const verdict = judgeReadiness({
      process: alive,
      end: last?.end ?? null,
      hookAgeMs: hook === null ? null : Math.max(0, deps.clock.now() - hook.at),
      registry: live,
      registryIdleMs: idleSince === null ? 0 : now - idleSince,
      screen: last?.screen ?? capture?.plain ?? "",
      screenQuietMs: now - screen.since,
      box: capture === null ? "unrecognised" : readInputBox(capture).kind,
    });
    switch (verdict.kind) {
      case "ready":
        over.abort();
        return found(process, verdict.proven);
      case "failed":
        over.abort();
        if (last?.screen === null) throw notReady(action, ...PANE_GONE, "");
        throw notReady(
          action,
          verdict.reason,
          verdict.help,
          last?.screen ?? await tmux.screen(started.pane) ?? "",
        );
      case "not_yet":
        break;
    }
    if (now - begin >= spec.readyTimeoutMs) {
      over.abort();
      const seconds = spec.readyTimeoutMs / 1000;
      throw notReady(
        action,
        `it did not accept input within ${seconds} s`,
        "Wait longer with --ready-timeout, or run claude by hand in that folder to see why",
        await tmux.screen(started.pane) ?? "",
      );
    }
  }
  throw new AppError("interrupted", `Cannot ${spec.action ?? `create "${session.id}"`}: interrupted`);
}

/** What the live registry says of a Claude whose pid is one in a container. */
function contained({ container, configFolder }: ClaudeHandle, { agentSessionId }: Session) {
  switch (container?.by) {
    case undefined:
      return null;
    case "docker":
      return findEntryIn(container.registry, agentSessionId ?? "");
    case "clauded":
      return findRegistryEntry(configFolder, agentSessionId ?? "");
  }
}

async function openPane(
  deps: Deps,
  tmux: Tmux,
  session: Session,
  folder: SessionFolder,
  { registry, action }: { readonly registry: string; readonly action: string },
): Promise<{ pane: string; process: ProcessIdentity | null }> {
  const name = handleOf(session).tmuxSession;
  // With the colon it is the session's current window and pane, whatever its indexes begin with.
  const target = `${exactSession(name)}:`;
  const result = await tmux.unlessExiting(
    sequence(
      [
        "new-session",
        "-d",
        "-P",
        "-F",
        "#{pane_id}\t#{pane_pid}",
        "-s",
        name,
        "-n",
        name,
        "-x",
        String(COLUMNS),
        "-y",
        String(ROWS),
        "-c",
        session.path,
        "/bin/sh",
        folder.launcher,
      ],
      ["set-option", "-t", target, TOKEN_OPTION, session.token],
      ["set-option", "-t", target, REGISTRY_OPTION, registry],
      ["set-option", "-t", target, "destroy-unattached", "off"],
      ["set-option", "-w", "-t", target, "remain-on-exit", "on"],
      ["set-option", "-w", "-t", target, "allow-rename", "off"],
    ),
    NEW_SESSION_TIMEOUT_MS,
  );
  switch (result.kind) {
    case "ok": {
      const [pane, pid] = result.stdout.trim().split("\t");
      if (!/^%\d+$/.test(pane ?? "")) {
        throw new AppError(
          "failure",
          `Cannot ${action}: tmux answered "${result.stdout.trim()}"`,
        );
      }
      return { pane: pane!, process: await deps.identify(Number(pid)) };
    }
    case "unresponsive":
      throw tmuxUnresponsive(tmux.socket, action);
    case "failed":
      if (result.reason === "duplicate") throw new NameTakenError(`tmux already has a session named ${name}`);
      throw new AppError("failure", `Cannot ${action}: tmux says: ${result.message}`);
  }
}

export function tmuxUnresponsive(socket: string, action = "create a session"): AppError {
  return new AppError(
    "failure",
    `Cannot ${action}: the tmux server on ${socket} does not answer. ` +
      "See whether it is stopped (STAT T) with: ps -C tmux -o pid,stat,args",
  );
}

interface Look {
  readonly text: string;
  readonly plain: string;
  readonly cursorX: number;
  readonly cursorY: number;
  readonly end: string | null;
}

async function look(tmux: Tmux, pane: string): Promise<Look | null> {
  // The status may be known before all output is read; only a dead pane has it all.
  const format =
    "#{cursor_x}\t#{cursor_y}\t#{?pane_dead,#{pane_dead_status},}\t#{?pane_dead,#{pane_dead_signal},}";
  const result = await tmux.run(sequence(
    ["display-message", "-p", "-t", pane, format],
    ["capture-pane", "-p", "-e", "-t", pane],
  ));
  if (result.kind !== "ok") return null;
  const line = result.stdout.indexOf("\n");
  const [x, y, status, signal] = result.stdout.slice(0, line).split("\t");
  const text = result.stdout.slice(line + 1);
  return {
    text,
    // deno-lint-ignore no-control-regex
    plain: text.replace(/\x1b\[[0-9;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x0e\x0f]/g, ""),
    cursorX: Number(x),
    cursorY: Number(y),
    end: signal ? `signal ${signal}` : status ? `exit ${status}` : null,
  };
}

/** How a dead agent ended and all that it said; null when even its pane is gone. tmux may take a moment to learn of it. */
async function lastWords(
  deps: Deps,
  tmux: Tmux,
  pane: string,
): Promise<{ end: string | null; screen: string | null }> {
  for (let looks = 1;; looks++) {
    const end = (await look(tmux, pane))?.end ?? null;
    if (end !== null || looks === LAST_LOOKS) return { end, screen: await tmux.screen(pane) };
    // tmux 3.3a can miss the end of a child; starting one makes it look again.
    await tmux.run(["run-shell", "-b", "true"], TIDY_TIMEOUT_MS);
    await deps.clock.sleep(LAST_LOOK_MS);
  }
}

function notReady(action: string, reason: string, help: string, screen: string): AppError {
  const lines = screen.split("\n")
    .map((line) => line.trimEnd().replace(/([─━╌═])\1{40,}/gu, (_, rule: string) => rule.repeat(40)))
    .filter((line) => line !== "")
    .slice(-SCREEN_LINES);
  const shown = lines.length === 0 ? null : `Its last screen:\n${lines.join("\n")}`;
  return new AppError("failure", `Cannot ${action}: ${reason}. ${help}`, shown);
}
