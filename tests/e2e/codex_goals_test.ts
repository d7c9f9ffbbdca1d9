/** Goals of the real Codex: the verb, and waits that never take the moments between two turns of a goal for its end. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { type CodexSandbox, createCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession } from "../support/codex_session.ts";
import { eventually, type RunOutput } from "../support/harness.ts";
import { step } from "../support/live_session.ts";

const WAIT_MS = 60_000;

/** A wait that is still under way after another one has timed out and a whole `status` has run, which says this. */
async function stillWaiting(session: CodexSession, wait: { done(): Promise<RunOutput> }, state: string) {
  let over: RunOutput | null = null;
  void wait.done().then((output) => over = output);
  strictEqual((await session.run("wait", "--next-turn", "-t", "1")).code, 124);
  strictEqual(await session.said("status"), state);
  strictEqual(over, null, `wait returned early: ${JSON.stringify(over)}`);
}

function startWait(codex: CodexSandbox, session: CodexSession, ...flags: string[]) {
  return codex.sandbox.start(["wait", session.id, "-t", "50", ...flags]);
}

async function goalOf(session: CodexSession): Promise<{ status: string; tokensUsed: number }> {
  const { code, stdout, stderr } = await session.run("goal", "--json");
  strictEqual(code, 0, stderr);
  return JSON.parse(stdout);
}

async function outcome(session: CodexSession, ...flags: string[]): Promise<[string, number, string]> {
  const { stdout, code, stderr } = await session.run("wait", "-t", "50", ...flags);
  return [stdout.trim(), code, stderr.trim()];
}

Deno.test("goals of one session", async (t) => {
  await using codex = await createCodexSandbox();
  const model = codex.model!;
  const session = await CodexSession.create(codex);
  const { id } = session;

  await step(t, "none at first", async () => {
    deepStrictEqual(await session.said("goal"), `No goal set for ${id}`);
    strictEqual(await session.said("goal", "--json"), "null");
    strictEqual(await session.said("goal", "--clear"), `No goal to clear for ${id}`);
    const waited = await session.run("wait", "--goal");
    deepStrictEqual([waited.code, waited.stderr], [2, `No goal set for ${id}\n`]);
    const paused = await session.run("goal", "--pause");
    strictEqual(paused.code, 2);
    match(paused.stderr, new RegExp(`^No goal set for ${id}\n  Give it one with: dev-sessions goal`));
  });

  await step(t, "complete in its fourth turn: not earlier, and idle only then", async () => {
    const set = await session.run("goal", "SCRIPT:goal", "4", "--budget", "100000", "--json");
    strictEqual(set.code, 0, set.stderr);
    const goal = JSON.parse(set.stdout);
    deepStrictEqual([goal.objective, goal.status, goal.tokenBudget], ["SCRIPT:goal 4", "active", 100_000]);
    deepStrictEqual(await outcome(session, "--goal"), ["complete", 0, ""]);
    strictEqual(await session.said("status"), "idle");
    strictEqual((await goalOf(session)).status, "complete");
    match(await session.said("last-message"), /^DONE after tool: .*"status":"complete"/);
    const status = JSON.parse(await session.said("status", "--json"));
    deepStrictEqual([status.state, status.goal.status], ["idle", "complete"]);
    strictEqual(model.requests().filter(({ isGoal }) => isGoal).length, 5);
    // At once for one that is over.
    deepStrictEqual(await outcome(session, "--goal"), ["complete", 0, ""]);
  });

  await step(t, "status never says idle while a goal of many turns goes on", async () => {
    await session.said("goal", "SCRIPT:goal 60", "--budget", "1000000");
    const wait = startWait(codex, session, "--goal");
    const said: string[] = [];
    for (let looks = 0; looks < 500; looks++) {
      const state = await session.said("status");
      said.push(state);
      if (state !== "working") break;
    }
    strictEqual(said.at(-1), "idle");
    // A goal never becomes active again by itself.
    strictEqual((await goalOf(session)).status, "complete", `after ${said.length} looks`);
    const { stdout, code } = await wait.doneWithin(WAIT_MS, "wait --goal");
    deepStrictEqual([stdout, code], ["complete\n", 0]);
  });

  await step(t, "ends at its budget, and goes on with a higher one", async () => {
    await session.said("goal", "SCRIPT:goal 999", "--budget", "100");
    const [word, code, why] = await outcome(session, "--goal");
    deepStrictEqual([word, code], ["budgetLimited", 6]);
    strictEqual(
      why,
      `The goal of "${id}" is not complete: its budget of tokens is used up. Look with: dev-sessions goal ${id}`,
    );
    const before = (await goalOf(session)).tokensUsed;
    ok(before >= 100);
    const raised = await session.run("goal", "--budget", "300");
    match(raised.stdout, /^status: budgetLimited$/m);
    match(raised.stderr, /Let it go on with: dev-sessions goal .* --resume/);
    match(await session.said("goal", "--resume"), /^status: active$/m);
    strictEqual((await outcome(session, "--goal"))[0], "budgetLimited");
    ok((await goalOf(session)).tokensUsed >= 300);
  });

  await step(t, "a new objective begins anew, with a budget that nobody had to give", async () => {
    const set = await session.run("goal", "SCRIPT:goal 1");
    match(set.stdout, /^tokens used: 0\ntoken budget: 500000$/m);
    match(set.stderr, /^No --budget was given: the goal ends at 500000 tokens\. /);
    strictEqual((await outcome(session, "--goal"))[0], "complete");
  });

  await step(t, "paused, it is over with the turn that runs", async () => {
    await session.said("goal", "SCRIPT:gate pausing", "--budget", "100000");
    await model.reached("pausing");
    match(await session.said("goal", "--pause"), /^status: paused$/m);
    const wait = startWait(codex, session, "--goal");
    await stillWaiting(session, wait, "working");
    model.open("pausing");
    const { stdout, code } = await wait.doneWithin(WAIT_MS, "wait --goal");
    deepStrictEqual([stdout, code], ["paused\n", 6]);
    strictEqual(await session.said("status"), "idle");
    strictEqual(await session.said("last-message"), "REPLY: gate pausing opened");
    strictEqual(await session.said("goal", "--clear"), `Cleared goal for ${id}`);
  });

  await step(t, "interrupted, it stops, and goes on with --resume", async () => {
    await session.said("goal", "SCRIPT:gate stopping", "--budget", "100000");
    await model.reached("stopping");
    const wait = startWait(codex, session, "--goal");
    await stillWaiting(session, wait, "working");
    strictEqual((await session.run("interrupt")).code, 0);
    const { stdout, code } = await wait.doneWithin(WAIT_MS, "wait --goal");
    deepStrictEqual([stdout, code], ["interrupted\n", 6]);
    strictEqual(await session.said("status"), "idle");
    strictEqual((await goalOf(session)).status, "active");
    await session.said("goal", "--resume");
    strictEqual(await session.said("status"), "working");
    const again = startWait(codex, session, "--goal");
    await stillWaiting(session, again, "working");
    strictEqual(await session.said("goal", "--clear"), `Cleared goal for ${id}`);
    model.open("stopping");
    strictEqual((await again.doneWithin(WAIT_MS, "wait --goal")).stdout, "cleared\n");
  });

  await step(t, "blocked by the agent, and by an error", async () => {
    await session.said("goal", "SCRIPT:goal 2 blocked", "--budget", "100000");
    deepStrictEqual((await outcome(session, "--goal")).slice(0, 2), ["blocked", 6]);
    await session.said("goal", "SCRIPT:err400", "--budget", "100000");
    const [word, code, why] = await outcome(session, "--goal");
    deepStrictEqual([word, code], ["blocked", 6]);
    match(why, /scripted invalid_request_error/);
  });

  await step(t, "a message while a goal goes on has its own turn, and wait means that one", async () => {
    await session.said("goal", "SCRIPT:gate between", "--budget", "100000");
    await model.reached("between");
    const asked = codex.sandbox.start(["ask", id, "-t", "50", "SCRIPT:plain in between"]);
    await eventually(() => /^receipt /.test(asked.stderr), { what: "the receipt" });
    await stillWaiting(session, asked, "working");
    model.open("between");
    const { stdout, code } = await asked.doneWithin(WAIT_MS, "ask");
    deepStrictEqual([stdout, code], ["REPLY: in between\n", 0]);
    await session.said("goal", "--clear");
    await session.becomes("idle");
  });

  await step(t, "an objective that is too long is refused before anything has changed", async () => {
    const { code, stderr } = await codex.sandbox.run(["goal", id, "-f", "-"], { stdin: "x".repeat(4_001) });
    strictEqual(code, 2);
    match(
      stderr,
      /^Cannot set the goal of ".*": it is longer than 4000 characters\. Save the details to a file/,
    );
  });
});

Deno.test("a wait for the next turn", async (t) => {
  await using codex = await createCodexSandbox();
  const model = codex.model!;
  const session = await CodexSession.create(codex);

  await step(t, "is over with the one that runs", async () => {
    await session.send("SCRIPT:gate running");
    await model.reached("running");
    const wait = startWait(codex, session, "--next-turn");
    await stillWaiting(session, wait, "working");
    model.open("running");
    const { stdout, code } = await wait.doneWithin(WAIT_MS, "wait --next-turn");
    deepStrictEqual([stdout, code], ["completed\n", 0]);
  });

  await step(t, "at rest waits for one to come", async () => {
    const wait = startWait(codex, session, "--next-turn");
    await stillWaiting(session, wait, "idle");
    await session.send("SCRIPT:plain later");
    deepStrictEqual((await wait.doneWithin(WAIT_MS, "wait --next-turn")).stdout, "completed\n");
    const late = await session.run("wait", "--next-turn", "-t", "0.3");
    deepStrictEqual([late.code, late.stderr], [
      124,
      `Timed out waiting for the next turn on ${session.id}\n`,
    ]);
  });

  await step(t, "in a goal is over with that turn, not with the goal", async () => {
    await session.said("goal", "SCRIPT:gate goal-turn", "--budget", "100000");
    await model.reached("goal-turn");
    const wait = startWait(codex, session, "--next-turn");
    await stillWaiting(session, wait, "working");
    await session.said("goal", "--pause");
    model.open("goal-turn");
    deepStrictEqual((await wait.doneWithin(WAIT_MS, "wait --next-turn")).stdout, "completed\n");
  });
});

Deno.test("a goal whose server is killed", async () => {
  await using codex = await createCodexSandbox();
  const model = codex.model!;
  const session = await CodexSession.create(codex);
  await session.said("goal", "SCRIPT:gate killed", "--budget", "100000");
  await model.reached("killed");
  const wait = startWait(codex, session, "--goal");
  await stillWaiting(session, wait, "working");
  for (const pid of await codex.servers()) Deno.kill(pid, "SIGKILL");
  const { stdout, code, stderr } = await wait.doneWithin(WAIT_MS, "wait --goal");
  deepStrictEqual([stdout, code], ["failed\n", 6]);
  match(stderr, /Codex's app-server ended before the turn was over/);
  strictEqual(await session.said("status"), "idle");
  strictEqual((await goalOf(session)).status, "active");
  // Nothing but the caller's word makes it go on.
  await session.said("goal", "--resume");
  strictEqual(await session.said("status"), "working");
  await session.said("goal", "--clear");
  model.open("killed");
  await session.becomes("idle");
});

Deno.test("sessions of other agents have no goals", async () => {
  await using codex = await createCodexSandbox();
  const created = await codex.sandbox.run(["create", "--quiet"]);
  strictEqual(created.code, 0, created.stderr);
  const id = created.stdout.trim();
  for (
    const [argv, what] of [
      [["goal", id], "Goals"],
      [["goal", id, "do it"], "Goals"],
      [["wait", id, "--goal"], "Goals"],
      [["wait", id, "--next-turn"], "--next-turn waits"],
    ] as const
  ) {
    const { code, stderr } = await codex.sandbox.run(argv);
    deepStrictEqual([code, stderr], [
      2,
      `${what} are only supported for codex sessions; ${id} is a claude session\n`,
    ]);
  }
});
