/** The gateway under load: nothing is lost, and nothing piles up. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { startGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { descriptors, MAX_GROWTH_BYTES, MB, onLinux, residentBytes } from "../support/resources.ts";
import { created } from "../support/sandbox_state.ts";

const WAITS = 200;
const SESSIONS = 4;
const FOLLOWERS = 5;
const PER_SECOND = 50;
const SECONDS = 60;

Deno.test(`${WAITS} waits at once and ${PER_SECOND} requests a second for a minute`, onLinux, async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const { pid } = gateway.process;
  const ids: string[] = [];
  for (let i = 0; i < SESSIONS; i++) ids.push(await created(sandbox));
  const gates = ids.map((id) => `${sandbox.root}/${id}.gate`);
  const receipts: string[] = [];
  for (const [index, id] of ids.entries()) {
    const sent = await gateway.result("send", { id, text: `SCRIPT:gate ${gates[index]}` });
    receipts.push(sent.receipt.receipt);
  }
  const quiet = descriptors(pid);
  const waits = await Promise.all(
    Array.from({ length: WAITS }, (_, index) => {
      const which = index % SESSIONS;
      const body = { ids: [ids[which]], receipt: receipts[which], timeoutMs: 600_000 };
      return gateway.stream("wait", body);
    }),
  );
  const followers = await Promise.all(
    Array.from({ length: FOLLOWERS }, () => gateway.stream("events", { ids: null, follow: true })),
  );
  const ended = waits.map((wait) => wait.rest());
  let over = 0;
  for (const end of ended) void end.then(() => over++);

  const answers = new Map<number, number>();
  const asked: Promise<void>[] = [];
  const ask = async (index: number) => {
    const id = ids[index % SESSIONS];
    const [operation, body] = [
      ["status", { id }],
      ["list", {}],
      ["lastMessages", { id }],
      ["inspect", { id }],
      ["status", { id, explain: true }],
    ][index % 5] as [string, unknown];
    const { status, json } = await gateway.ask(operation, body);
    ok("result" in json, JSON.stringify(json));
    answers.set(status, (answers.get(status) ?? 0) + 1);
  };
  let warm = 0;
  for (let second = 0; second < SECONDS; second++) {
    const begin = performance.now();
    for (let i = 0; i < PER_SECOND; i++) {
      asked.push(ask(second * PER_SECOND + i));
      const due = begin + (i + 1) * (1000 / PER_SECOND);
      const left = due - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
    if (second === SECONDS / 4) warm = residentBytes(pid);
  }
  await Promise.all(asked);
  const last = residentBytes(pid);
  deepStrictEqual([...answers], [[200, SECONDS * PER_SECOND]], "every request has its answer");
  strictEqual(over, 0, "no wait has ended before its turn has");
  ok(last - warm < MAX_GROWTH_BYTES, `${warm / MB} MB, then ${last / MB} MB`);

  for (const gate of gates) await Deno.writeTextFile(gate, "");
  for (const [index, lines] of (await Promise.all(ended)).entries()) {
    strictEqual(lines.length, 2, JSON.stringify(lines));
    deepStrictEqual(
      [lines[0].item.id, lines[0].item.outcome.outcome, lines[1]],
      [ids[index % SESSIONS], "completed", { end: true }],
    );
  }
  for (const follower of followers) {
    const completed = new Set<string>();
    while (completed.size < SESSIONS) {
      const line = await follower.next();
      ok(line !== null, "events have ended");
      if (line.item.body.type === "turn_completed") {
        ok(!completed.has(line.item.id), "told once");
        completed.add(line.item.id);
      }
    }
    await follower.hangUp();
  }
  await sandbox.eventually(() => descriptors(pid) <= quiet + 8, {
    what: `what the waits held is let go of: ${quiet} descriptors before`,
    timeoutMs: 30_000,
  });
  const complaints = gateway.log.filter(({ level }) => level === "error" || level === "warning");
  deepStrictEqual(complaints, []);
});

/** What came back, up to the end of the connection. */
