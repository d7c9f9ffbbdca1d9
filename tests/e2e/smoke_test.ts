/** The main job with the real Claude Code, from create to kill, and nothing is left of it. */

import { match, strictEqual } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import { assertNothingLeft, createSession, modelOf } from "../support/live_session.ts";

Deno.test("create, send, wait, last-message, list and kill with the real Claude Code", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const session = await createSession(sandbox, ["-d", "smoke"]);
  strictEqual(await session.expect(0, "status"), "idle");
  strictEqual(await session.expect(0, "wait"), "idle", "nothing was sent yet");

  strictEqual(await session.send("SCRIPT:gate answer"), "submitted");
  await model.reached("answer");
  strictEqual(await session.expect(0, "status"), "working");
  model.open("answer");
  await session.completed();
  strictEqual(await session.lastMessage(), "REPLY: gate answer opened");
  strictEqual(await session.expect(0, "status"), "idle");

  match(await session.turn("SCRIPT:bash echo from-the-tool"), /^DONE after tool: .*from-the-tool/);

  const listed = JSON.parse((await sandbox.run(["list", "--json"])).stdout);
  strictEqual(listed.length, 1);
  strictEqual(listed[0].id, session.id);
  strictEqual(listed[0].state, "idle");
  strictEqual(listed[0].description, "smoke");

  strictEqual(await session.expect(0, "kill"), `Killed session ${session.id}`);
  await assertNothingLeft(sandbox);
});
