/** What a Codex server was asked to change and does not answer is not known; who stops waiting has failed at nothing. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { Ending } from "../../../backends/codex/ending.ts";
import { CodexGoals } from "../../../backends/codex/goals.ts";
import { lastMessages } from "../../../backends/codex/conversation_reader.ts";
import { Interrupter } from "../../../backends/codex/interrupt.ts";
import { Requests } from "../../../backends/codex/requests.ts";
import { ConnectionLost, NoAnswer, RpcError, UnexpectedFrame } from "../../../backends/codex/rpc_errors.ts";
import type { SessionThread } from "../../../backends/codex/session_thread.ts";
import type { Deps } from "../../../lib/deps.ts";
import { AppError } from "../../../lib/errors.ts";
import { realClock } from "../../../lib/real_deps.ts";
import type { GoalChange, Session } from "../../../lib/session.ts";

const SESSION = { id: "fizz-top" } as Session;
const BEGIN: GoalChange = { kind: "begin", objective: "all green", tokenBudget: 1_000 };
const GOAL = { objective: "old", status: "paused", tokensUsed: 0, tokenBudget: null, timeUsedSeconds: 0 };
const never = () => new AbortController().signal;

type Answer = (method: string, signal: AbortSignal | undefined) => Promise<unknown>;

/** A thread that has a goal and two queued messages, on a server that answers so. */
function threadOf(answer: Answer): SessionThread {
  const queued = ["one", "two"].map((text) => ({ id: text, input: [{ text }] }));
  const evidence = { server: "up", goal: GOAL, turns: [], queued, thread: { status: { type: "idle" } } };
  const call = (method: string, _: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    answer(method, signal);
  return {
    id: "t",
    deps: { clock: realClock },
    link: { connection: () => Promise.resolve({ call }) },
    subscribe: () => Promise.resolve(true),
    gather: () => Promise.resolve(evidence),
    gatherOrFail: () => Promise.resolve(evidence),
  } as unknown as SessionThread;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  let code = "none";
  await rejects(work, (error) => {
    code = error instanceof AppError ? error.code : `no AppError: ${error}`;
    return true;
  });
  return code;
}

Deno.test("a goal whose change is not answered is unproven", async (t) => {
  const table: [holds: string, at: string, error: Error, code: string][] = [
    ["no answer", "thread/goal/set", new NoAnswer("thread/goal/set", 1), "unproven"],
    ["a lost connection", "thread/goal/set", new ConnectionLost("closed", "gone", true), "unproven"],
    ["an odd answer", "thread/goal/set", new UnexpectedFrame("it", "odd"), "unproven"],
    ["the old one may be cleared", "thread/goal/clear", new NoAnswer("thread/goal/clear", 1), "unproven"],
    ["never asked", "thread/goal/set", new ConnectionLost("closed", "gone", false), "transport"],
    ["refused", "thread/goal/set", new RpcError("thread/goal/set", 1, "too long"), "failure"],
  ];
  for (const [holds, at, error, code] of table) {
    await t.step(holds, async () => {
      const thread = threadOf((method) =>
        method === at ? Promise.reject(error) : Promise.resolve({ goal: GOAL })
      );
      strictEqual(await codeOf(new CodexGoals(() => thread).set(SESSION, BEGIN, never())), code);
    });
  }
});

Deno.test("a goal that is being set when the command is stopped is set", async () => {
  const stop = new AbortController();
  const thread = threadOf(async (method, signal) => {
    if (method === "thread/goal/set") stop.abort();
    await Promise.resolve();
    signal?.throwIfAborted();
    return { goal: { ...GOAL, objective: "all green", status: "active" } };
  });
  const goal = await new CodexGoals(() => thread).set(SESSION, BEGIN, stop.signal);
  deepStrictEqual([goal.objective, goal.status], ["all green", "active"]);
});

Deno.test("a queue that is taken back without an answer is unproven, and what was taken back is told", async () => {
  const lock = await Deno.makeTempFile();
  let asked = 0;
  const thread = threadOf((method) =>
    ++asked === 1 ? Promise.resolve({ deleted: true }) : Promise.reject(new NoAnswer(method, 1))
  );
  const interrupter = new Interrupter({ clock: realClock } as Deps, SESSION, thread, lock);
  await rejects(interrupter.interrupt({ allQueued: true }, never()), (error) => {
    const { code, detail } = error as AppError;
    deepStrictEqual([code, detail], ["unproven", "Taken back:\none"]);
    return true;
  });
  await Deno.remove(lock);
});

Deno.test("an answer that is stopped while others keep the lock is interrupted", async () => {
  const lock = await Deno.makeTempFile();
  using held = await Deno.open(lock, { read: true, write: true });
  held.lockSync(true);
  const requests = new Requests(
    { clock: realClock } as Deps,
    SESSION,
    threadOf(() => Promise.resolve()),
    lock,
  );
  const pending = {} as Parameters<typeof requests.answer>[0];
  const answer = requests.answer(pending, { kind: "approve" }, AbortSignal.timeout(30));
  strictEqual(await codeOf(answer), "interrupted");
  await Deno.remove(lock);
});

Deno.test("a server that does not tell of a turn has not said that nothing was said in it", async () => {
  const server = (state: "up" | "unknown") => {
    const thread = { ...threadOf(() => Promise.reject(new Error("not asked"))), session: SESSION };
    const evidence = { server: state, thread: null, turns: [], queued: [] };
    return { ...thread, gather: () => Promise.resolve(evidence) } as unknown as SessionThread;
  };
  const anchor = { v: 1, clientId: "r-1", afterTurn: null, at: 0, mode: "queue" } as const;
  strictEqual(await codeOf(lastMessages(server("unknown"), 1, anchor)), "transport");
  deepStrictEqual(await lastMessages(server("up"), 1, anchor), []);
});

Deno.test("a server that does not tell of a dead session's thread has not said that it was deleted", async () => {
  const ending = new Ending({} as Deps, {} as ConstructorParameters<typeof Ending>[1]);
  const gather = (server: string) => ({ gather: () => Promise.resolve({ server, thread: null }) });
  const reap = (server: string) =>
    ending.reap({ ...SESSION, handle: null }, gather(server) as unknown as SessionThread);
  strictEqual(await reap("unknown"), "its thread was gone from its server");
  strictEqual(await reap("up"), "its thread was deleted");
});
