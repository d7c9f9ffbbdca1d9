/**
 * Ends Claude and removes what was begun for it: only what carries the session's token, only the very process that its
 * row or pane names, and the end is told only once it is proven.
 */

import { commandLines } from "../../lib/command_lines.ts";
import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { Paths } from "../../lib/paths.ts";
import { removeTree } from "../../lib/remove_tree.ts";
import type { ProcessIdentity, Session } from "../../lib/session.ts";
import { handleOf, tmuxSessionName } from "./handle.ts";
import { sessionFolder } from "./launch_files.ts";
import { exactSession, type MarkedPane, TIDY_TIMEOUT_MS, type Tmux } from "./tmux.ts";

/** SIGHUP ends Claude in 1.2 s (measured); then it is asked again, then killed. */
const KILL_PATIENCE_MS = 4_000;
const KILL_POLL_MS = 25;
/** Between two Ctrl-C: Claude takes the second one for an exit within 0.8 s. */
const EXIT_KEY_PAUSE_MS = 250;
/** At a dead agent's pane, each `KILL_POLL_MS` after the other. */
const REAP_LOOKS = 12;

export class Ending {
  constructor(private readonly deps: Deps, private readonly paths: Paths, private readonly tmux: Tmux) {}

  /** Of a session that has a container of ours, the container; loaded only then. */
  async #endContainer(session: Session, lookAgain: boolean): Promise<"gone" | "unknown"> {
    if (session.mode !== "docker" || session.handle === null) return "gone";
    const { removeContainer } = await import("./container.ts");
    return await removeContainer(this.deps, session, { lookAgain });
  }

  /** Removes what a `create` left that did not come to its end; `unknown` when that can't be told now. */
  async rollback(session: Session): Promise<"removed" | "unknown"> {
    if (await this.#endMarked(session) === "unknown") return "unknown";
    await removeTree(this.paths.sessionFolder(session.token), this.deps);
    return "removed";
  }

  /** As `rollback`, of a `resume`: the session's events and last screen stay, since they are of its life before. */
  async rollBackResume(session: Session): Promise<"removed" | "unknown"> {
    if (await this.#endMarked(session) === "unknown") return "unknown";
    // It holds the environment of whoever wanted to resume it.
    await removeTree(sessionFolder(this.paths.sessionFolder(session.token)).launcher, this.deps);
    return "removed";
  }

  /** Ends the tmux session with this token and the process in it. */
  async #endMarked(session: Session): Promise<"removed" | "unknown"> {
    const marked = await this.tmux.marked(TIDY_TIMEOUT_MS);
    if (marked === "unknown") return "unknown";
    const pane = marked.get(session.token);
    if (pane === undefined && await this.#mayRunElsewhere(session)) return "unknown";
    // Known from its pane alone, since the row has no process before the session is live.
    const process = pane === undefined || pane.dead ? null : await this.deps.identify(pane.pid);
    if (await this.tmux.killMarked(session.token, TIDY_TIMEOUT_MS) === "unknown") return "unknown";
    if (process !== null && !await this.#endProcess(process, "gone")) return "unknown";
    // After its terminal, which would have started it.
    return await this.#endContainer(session, true) === "gone" ? "removed" : "unknown";
  }

  /**
   * A tmux server whose socket somebody removed is not found, and runs on with the agent in it. The `new-session` that
   * asked for the pane does not count: the server keeps it for its command line, and a late one finds no launcher.
   */
  async #mayRunElsewhere({ token }: Session): Promise<boolean> {
    const folder = this.paths.sessionFolder(token);
    const lines = await commandLines(this.deps);
    return lines === null || lines.some((line) => line.includes(folder) && !line.includes(" new-session "));
  }

  /** @throws AppError when the agent is not proven to be gone. */
  async kill(session: Session): Promise<void> {
    await this.#keepScreen(session);
    if (await this.#endContainer(session, false) === "unknown") throw cannotKill(session, "no_engine");
    await this.#endBehindWrapper(session);
    const pane = await this.tmux.killMarked(session.token, TIDY_TIMEOUT_MS);
    if (session.process === null || !await this.#endProcess(session.process, pane)) {
      throw cannotKill(session, pane);
    }
    await this.#assertNothingBehindWrapper(session);
    await removeTree(sessionFolder(this.paths.sessionFolder(session.token)).deliveries, this.deps);
    // A pane that could not be removed now is dead, and the next create removes it.
    if (pane === "unknown") await this.tmux.killMarked(session.token, TIDY_TIMEOUT_MS);
  }

  /** Why an agent that is dead ended, for people; its pane goes, unless somebody looks at it or works beside it. */
  async reap(session: Session): Promise<string> {
    const pane = await this.#deadPane(session);
    if (pane === "unknown") return "its agent's process is gone";
    if (pane === undefined) return "its tmux session is gone";
    const reason = pane.end ?? "its agent's process is gone";
    if (isOnlyLeft(pane)) {
      await this.#keepScreen(session);
      await this.tmux.killMarked(session.token, TIDY_TIMEOUT_MS);
    }
    await this.#endContainer(session, false);
    return reason;
  }

  /**
   * Panes of this registry whose agent is dead and whose row is gone or ended: left while tmux did not answer, or by
   * a `create` that was killed before tmux had opened its session. Never one that somebody looks at or works beside.
   */
  async removeDeadPanes(isLive: (token: string) => boolean): Promise<"done" | "unknown"> {
    const marked = await this.tmux.marked();
    if (marked === "unknown") return "unknown";
    for (const [token, pane] of marked) {
      if (isOnlyLeft(pane) && pane.registry === this.paths.state && !isLive(token)) {
        await this.tmux.killMarked(token, TIDY_TIMEOUT_MS);
      }
    }
    return "done";
  }

  /**
   * An earlier version's session without an agent to be found is over when tmux has none of its name. One that it has
   * may be anybody's.
   */
  async assertNoSuchPane(session: Session): Promise<void> {
    const name = tmuxSessionName(session.id);
    const found = await this.tmux.run(["has-session", "-t", exactSession(name)], TIDY_TIMEOUT_MS);
    switch (found.kind) {
      case "unresponsive":
        throw cannotKill(session, "unknown");
      case "failed":
        if (found.reason === "other") throw cannotKill(session, "unknown");
        return;
      case "ok":
        throw new AppError(
          "failure",
          `Cannot kill "${session.id}": its agent could not be found, and nothing proves that tmux's session ` +
            `${name} is its own. Look at it, and end it by hand: tmux kill-session -t =${name}`,
        );
    }
  }

  /** Asks ever more firmly; false when it is not proven to be dead in the end. */
  async #endProcess(process: ProcessIdentity, pane: "gone" | "unknown"): Promise<boolean> {
    const begin = this.deps.clock.monotonic();
    let asked: Deno.Signal | null = null;
    for (;;) {
      const [state] = await this.deps.processStates([process]);
      if (state === "dead") return true;
      const waited = this.deps.clock.monotonic() - begin;
      if (state !== "alive" || waited > 2 * KILL_PATIENCE_MS) return false;
      const signal = nextSignal(waited, pane);
      // The identity was checked a moment ago, so that the signal reaches this process and no successor.
      if (signal !== null && signal !== asked) {
        sendSignal(process.pid, signal);
        asked = signal;
      }
      await this.deps.clock.sleep(KILL_POLL_MS);
    }
  }

  /** tmux may take a moment to learn how the agent ended. */
  async #deadPane(session: Session): Promise<MarkedPane | undefined | "unknown"> {
    for (let look = 0;; look++) {
      const marked = await this.tmux.marked(TIDY_TIMEOUT_MS);
      if (marked === "unknown") return "unknown";
      const pane = marked.get(session.token);
      if (pane === undefined || pane.end !== null || look === REAP_LOOKS) return pane;
      // tmux 3.3a can miss the end of a child; starting one makes it look again.
      await this.tmux.run(["run-shell", "-b", "true"], TIDY_TIMEOUT_MS);
      await this.deps.clock.sleep(KILL_POLL_MS);
    }
  }

  /**
   * Docker's own command line leaves its container running when its terminal goes away, so the Claude behind a wrapper is
   * asked to end as a person would; what it does not do then, the end of the wrapper has to.
   */
  async #endBehindWrapper(session: Session): Promise<void> {
    if (session.mode !== "docker" || session.process === null) return;
    const { container, pane } = handleOf(session);
    if (container?.by !== "clauded" || pane === null) return;
    const deadline = this.deps.clock.monotonic() + KILL_PATIENCE_MS;
    while (this.deps.clock.monotonic() < deadline) {
      const [state] = await this.deps.processStates([session.process]);
      if (state !== "alive") return;
      // The first ones stop a turn and clear the box.
      if ((await this.tmux.run(["send-keys", "-t", pane, "C-c"], TIDY_TIMEOUT_MS)).kind !== "ok") return;
      await this.deps.clock.sleep(EXIT_KEY_PAUSE_MS);
    }
  }

  /** Claude may be at its end a moment longer than the wrapper. */
  async #assertNothingBehindWrapper(session: Session): Promise<void> {
    if (session.mode !== "docker") return;
    const { namedBehindWrapper } = await import("./behind_wrapper.ts");
    const deadline = this.deps.clock.monotonic() + KILL_PATIENCE_MS;
    for (;;) {
      const file = await namedBehindWrapper(this.deps, session);
      if (file === null) return;
      if (this.deps.clock.monotonic() >= deadline) throw cannotKillBehind(session, file);
      await this.deps.clock.sleep(KILL_POLL_MS);
    }
  }

  /** For people who ask later why it died. */
  async #keepScreen(session: Session): Promise<void> {
    const { pane } = handleOf(session);
    const screen = pane === null ? null : await this.tmux.screen(pane);
    if (screen === null) return;
    const { lastScreen } = sessionFolder(this.paths.sessionFolder(session.token));
    await Deno.writeTextFile(lastScreen, screen, { mode: 0o600 }).catch(() => {});
  }
}

/** Whether nothing would be lost with its tmux session, as far as tmux tells. Pure. */
export function isOnlyLeft({ dead, attached, shared }: MarkedPane): boolean {
  return dead && !attached && !shared;
}

const WHY_NOT_KILLED = {
  unknown: "tmux does not answer",
  gone: "its process is not proven to be gone",
  no_engine: "its container is not proven to be gone, since the engine does not say so",
} as const;

function cannotKill(session: Session, cause: keyof typeof WHY_NOT_KILLED): AppError {
  const why = WHY_NOT_KILLED[cause];
  return new AppError(
    "failure",
    `Cannot kill "${session.id}": ${why}; its record stays. See: dev-sessions status ${session.id} --explain`,
  );
}

/** Which container is meant, only its user knows. */
function cannotKillBehind({ id }: Session, file: string): AppError {
  return new AppError(
    "failure",
    `Cannot kill "${id}": its wrapper has ended, but Claude's live registry still names its conversation ` +
      `("${file}"), so that its container may still run; its record stays. See: docker ps. End it with docker stop; ` +
      "if none runs, remove that file. Then repeat this",
  );
}

/** tmux has sent SIGHUP already, unless it did not answer. */
function nextSignal(waitedMs: number, tmux: "gone" | "unknown"): Deno.Signal | null {
  if (waitedMs >= KILL_PATIENCE_MS) return "SIGKILL";
  if (tmux === "unknown" || waitedMs >= KILL_PATIENCE_MS / 2) return "SIGTERM";
  return null;
}

function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended, or is not ours to end: the next look at it tells.
  }
}
