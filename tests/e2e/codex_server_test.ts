/** The real Codex: one server per CODEX_HOME, whoever comes first, and turns through it. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type CodexServer, connectServer, findServer, stopIfOurs } from "../../backends/codex/server.ts";
import { createCodexSandbox } from "../support/codex_sandbox.ts";

const signal = new AbortController().signal;

Deno.test("explore", async () => {
  await using codex = await createCodexSandbox();
  const said = await codex.connected();
  console.log(said);
  const deps = codex.deps();
  const server = await findServer({ deps, signal });
  ok(server !== null);
  await using connection = server.connection;
  using listener = connection.listen();
  for (
    const prompt of [
      "SCRIPT:plain hi",
      "SCRIPT:shell echo one; pwd",
      "SCRIPT:patch f.txt hello",
      "SCRIPT:escalate touch /etc/nix",
      "SCRIPT:failed context_length_exceeded",
      "SCRIPT:err400",
      "SCRIPT:usagelimit",
      "SCRIPT:ask",
    ]
  ) {
    const { thread } = await connection.call("thread/start", { cwd: codex.sandbox.workspace });
    const t = performance.now();
    await connection.call("turn/start", {
      threadId: thread.id,
      input: [{ type: "text", text: prompt, text_elements: [] }],
    });
    for await (const incoming of { [Symbol.asyncIterator]: () => ({ next: () => listener.next() }) }) {
      if (incoming.kind === "request") {
        console.log(incoming.request);
        connection.answer("item/commandExecution/requestApproval", incoming.request.id, {
          decision: "accept",
        });
        continue;
      }
      const { method, params } = incoming.notification;
      if (method === "item/completed") console.log(JSON.stringify(params.item).slice(0, 400));
      if (method === "error") console.log(JSON.stringify(params));
      if (method === "turn/completed") {
        console.log(prompt, JSON.stringify(params.turn).slice(0, 300), performance.now() - t);
        break;
      }
    }
  }
  console.log(codex.model!.requests().map((r) => [r.prompt, r.thread, r.tools.join()]));
});
