/** What was asked of a server and is not answered is unproven, and who stops waiting has failed at nothing. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession } from "../support/codex_session.ts";
import { eventually } from "../support/harness.ts";
import { parseOutput } from "../support/stub_session.ts";

const END_MS = 30_000;
const OBJECTIVE = "STUB:hold never";

const goalOf = async (session: CodexSession) => (await session.thread()).goal?.objective ?? null;

Deno.test("a goal that was set without an answer is unproven", async () => {
  await using codex = await createStubCodexSandbox("lose=thread/goal/set");
  const session = await CodexSession.create(codex);
  const { code, error } = await session.json("goal", OBJECTIVE);
  strictEqual(code, 9, error);
  match(error, /^Cannot set the goal of ".*": .*It may have been done; look with: dev-sessions goal /);
  strictEqual(await goalOf(session), OBJECTIVE);
});

Deno.test("a goal whose forerunner was cleared without an answer is unproven, and not set", async () => {
  await using codex = await createStubCodexSandbox("lose=thread/goal/clear");
  const session = await CodexSession.create(codex);
  strictEqual((await session.json("goal", OBJECTIVE)).code, 0);
  const { code, error } = await session.json("goal", "another");
  strictEqual(code, 9, error);
  match(error, /^Cannot clear the goal of ".*": .*It may have been done; look with: dev-sessions goal /);
  strictEqual(await goalOf(session), null);
});

Deno.test("a goal whose thread could not be loaded was not set, and nobody says that it may have been", async () => {
  await using codex = await createStubCodexSandbox("lose=thread/resume");
  const session = await CodexSession.create(codex);
  const { code, error } = await session.json("goal", OBJECTIVE);
  strictEqual(code, 255, error);
  match(
    error,
    /^Cannot set the goal of ".*": its thread can't be loaded: .*\. Nothing was changed\. Try again$/,
  );
  strictEqual(await goalOf(session), null);
});

Deno.test("a goal that the server refuses has failed, in the server's words", async () => {
  await using codex = await createStubCodexSandbox("deny=thread/goal/set");
  const session = await CodexSession.create(codex);
  const { code, error } = await session.json("goal", OBJECTIVE);
  deepStrictEqual([code, error], [
    1,
    `Cannot set the goal of "${session.id}": stub denies thread/goal/set`,
  ]);
  strictEqual(await goalOf(session), null);
});

Deno.test("a goal that is being set when the command is stopped is set", async () => {
  await using codex = await createStubCodexSandbox("hush=thread/goal/set");
  const session = await CodexSession.create(codex);
  const setting = session.start("goal", OBJECTIVE, "--json");
  await eventually(async () => await goalOf(session) !== null, { what: "the goal, without an answer" });
  setting.kill("SIGINT");
  await session.open("thread/goal/set");
  const { code, json, stderr } = parseOutput(await setting.doneWithin(END_MS, "goal"));
  deepStrictEqual([code, json?.objective, json?.status], [0, OBJECTIVE, "active"], stderr);
});

Deno.test("a queue that is taken back without an answer is unproven, and what was taken back is told", async () => {
  await using codex = await createStubCodexSandbox("lose=thread/queue/delete@2");
  const session = await CodexSession.create(codex);
  const { receipt } = (await session.send("STUB:hold one")).json;
  for (const text of ["first", "second"]) await session.send(text);
  const { code, error } = await session.json("interrupt", "--all-queued");
  strictEqual(code, 9, error);
  match(
    error,
    /^Cannot interrupt ".*": what of its queue was taken back is not known: .*\nTaken back:\nfirst$/,
  );
  strictEqual(await session.said("status"), "working");
  await session.open("one");
  strictEqual(await session.said("wait", "--message", receipt), "completed");
});
