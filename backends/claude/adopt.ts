/** Finds the agent of a session that an earlier version started, and proves that it is the one. */

import type { AgentHandle } from "../backend.ts";
import type { Deps } from "../../lib/deps.ts";
import type { Session } from "../../lib/session.ts";
import type { ClaudeHandle } from "./handle.ts";
import { findRegistryEntry } from "./live_registry.ts";
import { exactSession, type Tmux, TOKEN_OPTION } from "./tmux.ts";

/** From Claude up to the shell that tmux started for it. */
const ANCESTOR_LIMIT = 5;

/**
 * Proof is Claude's live registry naming this conversation, and its process living in the pane of the tmux session
 * with the session's name. Only then is that tmux session marked as ours.
 */
export async function adoptClaude(
  deps: Deps,
  tmux: Tmux,
  session: Session,
  handle: ClaudeHandle,
): Promise<AgentHandle | null> {
  const entry = session.agentSessionId === null
    ? null
    : findRegistryEntry(handle.configFolder, session.agentSessionId);
  const process = entry === null ? null : await deps.identify(entry.pid);
  if (entry === null || process === null) return null;
  const target = `${exactSession(handle.tmuxSession)}:`;
  const panes = await tmux.run(["list-panes", "-t", target, "-F", "#{pane_id}\t#{pane_pid}"]);
  if (panes.kind !== "ok") return null;
  const ancestors = await ancestorsOf(deps, entry.pid);
  const pane = panes.stdout.split("\n").map((line) => line.split("\t")).find(([, pid]) =>
    ancestors.has(Number(pid))
  );
  if (pane?.[0] === undefined) return null;
  const marked = await tmux.run(["set-option", "-t", target, TOKEN_OPTION, session.token]);
  if (marked.kind !== "ok") return null;
  return {
    handle: { ...handle, pane: pane[0] },
    process,
    agentSessionId: session.agentSessionId,
    readyProven: true,
  };
}

async function ancestorsOf(deps: Deps, pid: number): Promise<Set<number>> {
  const found = new Set([pid]);
  let current = pid;
  for (let step = 0; step < ANCESTOR_LIMIT && current > 1; step++) {
    const result = await deps.run("ps", ["-o", "ppid=", "-p", String(current)], {
      env: deps.env,
      timeoutMs: 2_000,
    });
    if (result.kind !== "exited" || result.code !== 0) break;
    current = Number(result.stdout.trim());
    found.add(current);
  }
  return found;
}
