/**
 * The real Codex calls a thread idle while it goes on, and a turn interrupted while it ends. Looked at as fast as possible,
 * over many turns: `wait` and `status` say neither too early nor too late what is true.
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { openService } from "../../lib/manager.ts";
import type { SessionService, WaitRequest } from "../../lib/service.ts";
import { type CodexSandbox, createCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession } from "../support/codex_session.ts";

const TURNS = 60;
const QUEUES = 4;
const QUEUED = 8;
const GOALS = 5;
const signal = new AbortController().signal;

async function outcomeOf(
  service: SessionService,
  id: string,
  receipt: string | null,
  until: WaitRequest["until"] = "message",
): Promise<string> {
  const request = {
    ids: [id],
    any: false,
    timeoutMs: 60_000,
    pollMs: null,
    receipt,
    background: false,
    until,
  };
  for await (const { outcome } of service.wait(request, signal)) return outcome.outcome;
  return "none";
}

async function sendTo(service: SessionService, id: string, text: string) {
  const { receipt } = await service.send({ id, text, render: null, key: null, sender: null }, signal);
  return receipt;
}

/** In this process, where a look takes some milliseconds. */
async function withSession(run: (service: SessionService, id: string, codex: CodexSandbox) => Promise<void>) {
  await using codex = await createCodexSandbox();
  const { id } = await CodexSession.create(codex);
  const service = await openService(codex.deps());
  try {
    await run(service, id, codex);
  } finally {
    service.close();
  }
}

// A connection that a service closes ends a moment later.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test("turn after turn: its own end, its own reply, and idle behind it", options, async () => {
  await withSession(async (service, id) => {
    for (let i = 0; i < TURNS; i++) {
      const { receipt, result } = await sendTo(service, id, `SCRIPT:plain n${i}`);
      const outcome = await outcomeOf(service, id, receipt);
      const { state, lastTurn } = await service.status(id);
      deepStrictEqual(
        [result, outcome, state, lastTurn?.kind, await service.lastMessages(id, 1, receipt)],
        ["submitted", "completed", "idle", "completed", [`REPLY: n${i}`]],
        `turn ${i}`,
      );
    }
  });
});

Deno.test("queues, each message waited for by itself and all at once", options, async () => {
  await withSession(async (service, id, codex) => {
    for (let i = 0; i < QUEUES; i++) {
      const receipts: string[] = [];
      for (let k = 0; k < QUEUED; k++) {
        receipts.push((await sendTo(service, id, `SCRIPT:plain q${i}-${k}`)).receipt);
      }
      const services = await Promise.all(receipts.map(() => openService(codex.deps())));
      const outcomes = await Promise.all(
        receipts.map((receipt, k) => outcomeOf(services[k]!, id, receipt)),
      );
      for (const other of services) other.close();
      deepStrictEqual(outcomes, receipts.map(() => "completed"));
      strictEqual((await service.status(id)).state, "idle");
      const replies = await Promise.all(receipts.map((receipt) => service.lastMessages(id, 1, receipt)));
      deepStrictEqual(replies, receipts.map((_, k) => [`REPLY: q${i}-${k}`]));
    }
  });
});

Deno.test("goals: never idle before they are complete, and over exactly then", options, async () => {
  await withSession(async (service, id) => {
    const goal = async () => (await service.goal({ id, change: null }, signal)).goal?.status;
    for (let i = 0; i < GOALS; i++) {
      const begin = { kind: "begin", objective: "SCRIPT:goal 15", tokenBudget: 1_000_000 } as const;
      await service.goal({ id, change: begin }, signal);
      let state: string;
      do state = (await service.status(id)).state; while (state === "working");
      // It never becomes active again by itself.
      deepStrictEqual([state, await goal()], ["idle", "complete"], `goal ${i}`);
      strictEqual(await outcomeOf(service, id, null, "goal"), "complete");
    }
    for (let i = 0; i < GOALS; i++) {
      const begin = { kind: "begin", objective: "SCRIPT:goal 999", tokenBudget: 200 } as const;
      await service.goal({ id, change: begin }, signal);
      strictEqual(await outcomeOf(service, id, null, "goal"), "budgetLimited");
      await service.goal({ id, change: { kind: "adjust", status: "active", tokenBudget: 400 } }, signal);
      strictEqual(await outcomeOf(service, id, null, "goal"), "budgetLimited");
      strictEqual((await service.status(id)).state, "idle");
    }
  });
});
