/** The scripted model and the stub are what they claim: the real Codex does with them what it does with real ones. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Connection } from "../../backends/codex/rpc.ts";
import { RpcError } from "../../backends/codex/rpc_errors.ts";
import { connectServer } from "../../backends/codex/server.ts";
import { type CodexSandbox, createCodexSandbox, createStubCodexSandbox } from "../support/codex_sandbox.ts";
import {
  endOfTurn,
  hearUntil,
  methodOf,
  replyOf,
  requestOf,
  startThread,
  textInput,
  turnOf,
} from "../support/codex_turns.ts";
import { step } from "../support/live_session.ts";

const signal = new AbortController().signal;

async function joinServer(codex: CodexSandbox): Promise<Connection> {
  await codex.connected();
  return (await connectServer({ deps: codex.deps(), signal })).connection;
}

/** Of a provider that gives up at once. */
const NO_RETRIES = {
  "model_providers.scripted.request_max_retries": 0,
  "model_providers.scripted.stream_max_retries": 0,
};

Deno.test("the scripted model", async (t) => {
  await using codex = await createCodexSandbox();
  const model = codex.model!;
  await using connection = await joinServer(codex);
  const cwd = codex.sandbox.workspace;
  const threadId = await startThread(connection, {
    cwd,
    approvalPolicy: "never",
    sandbox: "danger-full-access",
    config: NO_RETRIES,
  });
  const turn = (text: string) => turnOf(connection, threadId, text);

  await step(t, "repeats what has no script", async () => {
    strictEqual(replyOf((await turn("  plain words ")).turn), "REPLY: plain words");
  });
  await step(t, "runs a shell command", async () => {
    const { turn: { status }, heard } = await turn("SCRIPT:shell echo $((40 + 2)); pwd");
    strictEqual(status, "completed");
    const [command] = heard.flatMap(({ method, params }) =>
      method === "item/completed" && params.item.type === "commandExecution" ? [params.item] : []
    );
    deepStrictEqual([command?.exitCode, command?.aggregatedOutput], [0, `42\n${cwd}\n`]);
  });
  await step(t, "runs several, one after the other", async () => {
    strictEqual(replyOf((await turn("SCRIPT:rounds 3 true")).turn), "REPLY: 3 rounds done");
  });
  await step(t, "applies a patch", async () => {
    const { heard } = await turn("SCRIPT:patch new.txt some words");
    const [change] = heard.flatMap(({ method, params }) =>
      method === "item/completed" && params.item.type === "fileChange" ? params.item.changes : []
    );
    deepStrictEqual([change?.path, change?.kind.type, change?.diff], [
      join(cwd, "new.txt"),
      "add",
      "some words\n",
    ]);
    strictEqual(await Deno.readTextFile(join(cwd, "new.txt")), "some words\n");
  });
  for (
    const [script, held] of [["gate", "never"], ["streamgate", "half"], ["toolgate", "after"]] as const
  ) {
    await step(t, `holds a reply at a gate: ${script}`, async () => {
      using listener = connection.listen();
      await connection.call("turn/start", { threadId, input: textInput(`SCRIPT:${script} ${held} true`) });
      await model.reached(held);
      deepStrictEqual((await connection.call("thread/read", { threadId })).thread.status, {
        type: "active",
        activeFlags: [],
      });
      model.open(held);
      match(replyOf((await endOfTurn(listener, threadId)).turn) ?? "", /^REPLY: /);
    });
  }
  await step(t, "never answers, until it is interrupted", async () => {
    using listener = connection.listen();
    const { turn: { id } } = await connection.call("turn/start", {
      threadId,
      input: textInput("SCRIPT:hang"),
    });
    // Measured: for some ms after the answer, there is "no active turn to interrupt".
    await hearUntil(listener, (incoming) => methodOf(incoming) === "turn/started");
    await connection.call("turn/interrupt", { threadId, turnId: id });
    strictEqual((await endOfTurn(listener, threadId)).turn.status, "interrupted");
  });
  for (
    const [script, word] of [
      ["err400", "other"],
      ["err401", { httpConnectionFailed: { httpStatusCode: 401 } }],
      ["err429", { responseTooManyFailedAttempts: { httpStatusCode: 429 } }],
      ["err500", "internalServerError"],
      ["err503", { httpConnectionFailed: { httpStatusCode: 503 } }],
      ["usagelimit", "usageLimitExceeded"],
      ["quota", "usageLimitExceeded"],
      ["context", "contextWindowExceeded"],
      ["failed rate_limit_exceeded", "rateLimitExceeded"],
      ["cut", "other"],
    ] as const
  ) {
    await step(t, `fails: ${script}`, async () => {
      const { turn: { status, error }, heard } = await turn(`SCRIPT:${script}`);
      deepStrictEqual([status, error?.codexErrorInfo], ["failed", word]);
      ok(heard.some(({ method, params }) => method === "error" && !params.willRetry));
    });
  }
  await step(t, "fails once, and Codex says that it tries again", async () => {
    const patient = await startThread(connection, {
      cwd,
      config: { ...NO_RETRIES, "model_providers.scripted.stream_max_retries": 3 },
    });
    const { turn: { status }, heard } = await turnOf(connection, patient, "SCRIPT:err503once");
    strictEqual(status, "completed");
    ok(heard.some(({ method, params }) => method === "error" && params.willRetry));
  });
  await step(t, "completes a goal in its third turn", async () => {
    using listener = connection.listen();
    await connection.call("thread/goal/set", { threadId, objective: "SCRIPT:goal 3", tokenBudget: 100_000 });
    const heard = await hearUntil(
      listener,
      (incoming) =>
        incoming.kind === "notification" && incoming.notification.method === "thread/goal/updated" &&
        incoming.notification.params.goal.status === "complete",
    );
    strictEqual(heard.filter((incoming) => methodOf(incoming) === "turn/completed").length, 2);
    await endOfTurn(listener, threadId);
    strictEqual((await connection.call("thread/goal/get", { threadId })).goal?.status, "complete");
    await connection.call("thread/goal/clear", { threadId });
  });
});

/** One story for both servers; `hold` and `approve` are the words that make a turn last or ask. */
async function story(
  codex: CodexSandbox,
  words: { readonly hold: string; readonly approve: string },
): Promise<Record<string, unknown>> {
  await using connection = await joinServer(codex);
  const cwd = codex.sandbox.workspace;
  const threadId = await startThread(connection, { cwd, approvalPolicy: "on-request" });
  using listener = connection.listen();
  const said: Record<string, unknown> = {};
  const input = textInput("hello");
  /** Without what only the real one tells, or tells before or after an answer. */
  const methods = (heard: readonly { method: string }[]) =>
    heard.map(({ method }) => method).filter((method) =>
      !["thread/started", "thread/tokenUsage/updated", "thread/settings/updated"].includes(method)
    );
  const refusal = (call: Promise<unknown>) =>
    call.then(
      () => "done",
      (error) => error instanceof RpcError ? error.message.replaceAll(/[0-9a-f-]{36}/g, "ID") : error,
    );
  const status = async () => (await connection.call("thread/read", { threadId })).thread.status;

  await connection.call("turn/start", { threadId, input });
  said["plain"] = methods((await endOfTurn(listener, threadId)).heard);
  said["idle"] = await status();
  said["steer idle"] = await refusal(
    connection.call("turn/steer", { threadId, input, expectedTurnId: "x" }),
  );
  said["interrupt idle"] = await refusal(connection.call("turn/interrupt", { threadId, turnId: "" }));

  const { turn } = await connection.call("turn/start", { threadId, input: textInput(words.hold) });
  // Measured: for some ms after the answer, the thread is idle and there is "no active turn to interrupt".
  await hearUntil(listener, (incoming) => methodOf(incoming) === "turn/started");
  said["busy"] = await status();
  const steered = await connection.call("turn/start", { threadId, input });
  said["start is steer"] = steered.turn.id === turn.id;
  said["steer another"] = (await refusal(
    connection.call("turn/steer", { threadId, input, expectedTurnId: "x" }),
  ) as string).replace(/`.*?`/, "`x`");
  for (const text of ["first in line", "second in line"]) {
    await connection.call("thread/queue/add", {
      threadId,
      input: textInput(text),
      clientUserMessageId: text,
    });
  }
  const queue = await connection.call("thread/queue/list", { threadId });
  said["queue"] = queue.data.map(({ clientUserMessageId }) => clientUserMessageId);
  await connection.call("turn/interrupt", { threadId, turnId: turn.id });
  said["interrupted"] = (await endOfTurn(listener, threadId)).turn.status;
  said["held"] = (await connection.call("thread/queue/list", { threadId })).data.length;
  await connection.call("thread/queue/start", { threadId });
  const [first, second] = [await endOfTurn(listener, threadId), await endOfTurn(listener, threadId)];
  said["drained"] = [replyOf(first.turn), replyOf(second.turn)];

  await connection.call("turn/start", { threadId, input: textInput(words.approve) });
  const request = await requestOf(listener);
  said["asks"] = request.method;
  said["waits"] = await status();
  connection.answer("item/commandExecution/requestApproval", request.id, { decision: "cancel" });
  said["cancelled"] = (await endOfTurn(listener, threadId)).turn.status;
  said["turns"] = (await connection.call("thread/turns/list", { threadId })).data.map(({ status }) => status);
  said["loaded"] = (await connection.call("thread/loaded/list", {})).data.length;
  await connection.call("thread/archive", { threadId });
  said["archived"] = (await connection.call("thread/loaded/list", {})).data.length;
  return said;
}

Deno.test("the stub tells the same story as the real Codex", async () => {
  await using real = await createCodexSandbox();
  await using stub = await createStubCodexSandbox();
  deepStrictEqual(
    await story(stub, { hold: "STUB:hold never", approve: "STUB:approve touch x" }),
    await story(real, { hold: "SCRIPT:gate never", approve: "SCRIPT:escalate touch x" }),
  );
});
