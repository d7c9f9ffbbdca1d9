/**
 * Ends a Claude that rests: decided under the lock of its senders from what its records prove and its screen shows, so
 * that neither work nor a draft is ever lost.
 */

import type { Deps } from "../../lib/deps.ts";
import { acquireLock } from "../../lib/file_lock.ts";
import type { Session, TurnState } from "../../lib/session.ts";
import type { RegistryEntry } from "./live_registry.ts";
import type { Observer } from "./observe.ts";
import { type InputBox, readInputBox } from "./screen.ts";
import { decideState } from "./state.ts";
import { sequence, TIDY_TIMEOUT_MS, type Tmux, TOKEN_OPTION } from "./tmux.ts";

export interface RestEvidence {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly state: TurnState;
  readonly registry: Pick<RegistryEntry, "status"> | null;
  /** Null: tmux does not show it, or not as this session's. */
  readonly screen: {
    readonly attached: boolean;
    /** Somebody has opened another window or pane in its tmux session. */
    readonly shared: boolean;
    /** Somebody scrolls or searches in it. */
    readonly inMode: boolean;
    readonly box: InputBox["kind"];
  } | null;
}

/** Whether it is proven to be at rest for so long, with nobody at it and nothing in its input box. Pure. */
export function isAtRest({ now, state, registry, screen }: RestEvidence, idleMs: number): boolean {
  if (state.state !== "idle" || state.since === null || now - Date.parse(state.since) < idleMs) return false;
  // `shell`: the turn is over, and a background shell runs.
  if (state.background.length > 0 || registry !== null && registry.status !== "idle") return false;
  if (screen === null || screen.attached || screen.shared || screen.inMode) return false;
  return screen.box === "empty";
}

export interface RestContext {
  readonly deps: Deps;
  readonly tmux: Tmux;
  readonly observer: Observer;
  readonly sendLock: string;
}

/** @param end ends the agent; called at most once. Returns whether it was. */
export async function endIfIdle(
  session: Session,
  idleMs: number,
  context: RestContext,
  end: () => Promise<void>,
): Promise<boolean> {
  const { deps, sendLock } = context;
  const { signal } = new AbortController();
  using lock = await acquireLock(sendLock, { timeoutMs: 0, clock: deps.clock, signal }).catch(() => null);
  if (lock === null || !isAtRest(await look(session, context), idleMs)) return false;
  await end();
  return true;
}

async function look(session: Session, { deps, tmux, observer }: RestContext): Promise<RestEvidence> {
  const [evidence, screen] = await Promise.all([
    observer.evidence({ all: true }),
    lookAtScreen(session, tmux, observer.handle.pane),
  ]);
  return { now: deps.clock.now(), state: decideState(evidence), registry: evidence.registry, screen };
}

async function lookAtScreen(
  session: Session,
  tmux: Tmux,
  pane: string | null,
): Promise<RestEvidence["screen"]> {
  if (pane === null) return null;
  const format =
    `#{${TOKEN_OPTION}}\t#{session_attached}\t#{pane_in_mode}\t#{cursor_x}\t#{cursor_y}\t#{pane_dead}` +
    "\t#{session_windows}\t#{window_panes}";
  const result = await tmux.run(
    sequence(["display-message", "-p", "-t", pane, format], ["capture-pane", "-p", "-e", "-t", pane]),
    TIDY_TIMEOUT_MS,
  );
  if (result.kind !== "ok") return null;
  const line = result.stdout.indexOf("\n");
  const [token, attached, mode, x, y, dead, windows, panes] = result.stdout.slice(0, line).split("\t");
  if (token !== session.token || dead === "1") return null;
  const text = result.stdout.slice(line + 1);
  return {
    attached: attached !== "0",
    shared: windows !== "1" || panes !== "1",
    inMode: mode !== "0",
    box: readInputBox({ text, cursorX: Number(x), cursorY: Number(y) }).kind,
  };
}
