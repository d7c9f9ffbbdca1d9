/**
 * The main job done for real, once with each agent: create, send, wait, last-message, kill. Whatever happens, its
 * session is killed and forgotten, and its folder removed.
 */

import { AppError, messageOf } from "../errors.ts";
import type { Deps } from "../deps.ts";
import type { SessionService, WaitResult } from "../service.ts";
import type { AgentKind, SessionId } from "../session.ts";

const READY_TIMEOUT_MS = 60_000;
/** One short answer of a model, with room for a slow day. */
const TURN_TIMEOUT_MS = 180_000;
const WORD_CHARS = 8;

export type StepName = "create" | "send" | "wait" | "last-message" | "kill" | "clean up";

export interface Step {
  readonly agent: AgentKind;
  readonly step: StepName;
  readonly ok: boolean;
  readonly ms: number;
  /** What proves it, or why it failed. */
  readonly evidence: string;
}

export interface SelftestOptions {
  readonly agents: readonly AgentKind[];
  /** The session whose agent runs this command, if any. */
  readonly caller: SessionId | null;
}

/** Yields each step as it ends; a failed one is followed by those that tidy up. Never throws for an agent's sake. */
export async function* selftest(
  service: SessionService,
  deps: Deps,
  { agents, caller }: SelftestOptions,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  for (const agent of agents) {
    if (signal.aborted) return;
    yield* testAgent(agent, service, deps, caller, signal);
  }
}

async function* testAgent(
  agent: AgentKind,
  service: SessionService,
  deps: Deps,
  caller: SessionId | null,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  const { clock } = deps;
  const word = `word-${deps.randomUuid().replaceAll("-", "").slice(0, WORD_CHARS)}`;
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "dev-sessions-selftest-" }));
  let id: SessionId | null = null;

  /** Runs one step; what it throws is its failure. */
  const run = async (step: StepName, action: () => Promise<string>): Promise<Step> => {
    const begin = clock.monotonic();
    const ended = (ok: boolean, evidence: string): Step => ({
      agent,
      step,
      ok,
      ms: Math.round(clock.monotonic() - begin),
      evidence,
    });
    try {
      return ended(true, await action());
    } catch (error) {
      const detail = error instanceof AppError && error.detail !== null ? `\n${error.detail}` : "";
      return ended(false, messageOf(error) + detail);
    }
  };

  const steps: readonly (readonly [StepName, () => Promise<string>])[] = [
    ["create", async () => {
      const { session, readyProven } = await service.create(request(agent, folder, caller), signal);
      id = session.id;
      return `${session.id} accepts input${readyProven ? "" : " (a quiet prompt; nothing proves it)"}`;
    }],
    ["send", async () => {
      const { receipt } = await service.send(
        { id: id!, text: prompt(word), render: null, key: null, sender: caller },
        signal,
      );
      const { result, reason, evidence } = receipt;
      if (result === "submitted" || result === "queued") {
        return `${result}: ${evidence ?? "on the agent's record"}`;
      }
      throw new Error(`${result}: ${reason ?? "no reason given"}`);
    }],
    ["wait", async () => judgeWait(await firstOf(service.wait(waitRequest(id!), signal)))],
    ["last-message", async () => {
      const reply = (await service.lastMessages(id!, 1)).at(-1) ?? "";
      if (reply.includes(word)) return `the reply has the word that was asked for (${word})`;
      throw new Error(`the reply does not have the word that was asked for (${word}): ${shortened(reply)}`);
    }],
  ];
  try {
    for (const [name, action] of steps) {
      const step = await run(name, action);
      yield step;
      if (!step.ok || signal.aborted) break;
    }
  } finally {
    // Also when the reader of these steps is gone: whoever stops a generator early gets no further steps.
    const tidied: Step[] = [];
    const created: SessionId | null = id;
    if (created !== null) {
      tidied.push(
        await run("kill", async () => {
          const { killed, failed } = await service.kill({
            ids: [created],
            tree: false,
            everyone: false,
            caller,
          });
          if (failed[0] !== undefined) throw new Error(failed[0].reason);
          return killed.includes(created) ? "it is proven to have ended" : "it had ended already";
        }),
      );
    }
    tidied.push(
      await run("clean up", async () => {
        await Deno.remove(folder, { recursive: true });
        if (created === null) return `removed ${folder}`;
        const { failed } = await service.prune({ ids: [created] });
        if (failed[0] !== undefined) throw new Error(failed[0].reason);
        return `forgot ${created}, removed ${folder}`;
      }),
    );
    yield* tidied;
  }
}

function request(agent: AgentKind, folder: string, caller: SessionId | null) {
  return {
    path: folder,
    agent,
    // Its own prompts would wait for somebody, and the folder is new to the agent.
    mode: "yolo" as const,
    description: "dev-sessions doctor --selftest",
    model: null,
    group: null,
    id: null,
    parent: caller,
    agentArgs: [],
    trust: false,
    worktree: null,
    readyTimeoutMs: READY_TIMEOUT_MS,
    key: null,
  };
}

function waitRequest(id: SessionId) {
  return {
    ids: [id],
    any: false,
    timeoutMs: TURN_TIMEOUT_MS,
    pollMs: null,
    receipt: null,
    background: false,
  };
}

function prompt(word: string): string {
  return `This is a test of the connection. Use no tools. Reply with this word and nothing else: ${word}`;
}

async function firstOf(results: AsyncIterable<WaitResult>): Promise<WaitResult | null> {
  for await (const result of results) return result;
  return null;
}

/** What proves that the turn is over. @throws Error that says how else it ended. Pure. */
export function judgeWait(result: WaitResult | null): string {
  if (result === null) throw new Error("the wait ended without a result");
  const { outcome } = result;
  switch (outcome.outcome) {
    case "completed":
      return "completed: the agent's own record has the end of the turn";
    case "idle":
      throw new Error("the session is idle, as if nothing had been sent");
    case "failed":
      throw new Error(`the turn failed: ${outcome.error ?? "no reason given"}`);
    case "gone":
      throw new Error(`the agent is gone: ${outcome.reason}`);
    case "interrupted":
      throw new Error("the turn was interrupted");
    case "waiting_for_input":
      throw new Error(`it waits for an answer: ${outcome.pending.summary}`);
    case "timed_out":
      throw new Error(`the turn did not end within ${TURN_TIMEOUT_MS / 1000} s`);
    case "complete":
    case "paused":
    case "blocked":
    case "usageLimited":
    case "budgetLimited":
    case "cleared":
      throw new Error(`the wait ended with a goal (${outcome.outcome}), and none was given`);
  }
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line === "" ? "it is empty" : line.length <= 200 ? line : `${line.slice(0, 200)}...`;
}
