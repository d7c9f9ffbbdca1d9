/** What another host was asked and did not answer: whatever keeps the command from asking again, it is not known. */

import { deepStrictEqual, match } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import { OtherHost } from "../support/other_host.ts";

const SOON_MS = 30_000;

Deno.test("a send whose answer was lost is unproven, whatever keeps it from being asked for again", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const id = await host.create();

  await t.step("dev-sessions is not there any more", async () => {
    await host.loses("send", "exit 127");
    const { code, stdout, stderr } = await sandbox.run(["send", id, "one"]);
    deepStrictEqual([code, stdout], [9, ""], stderr);
    match(stderr, /^Cannot tell what became of send: box was asked, but its answer was lost/);
    match(stderr, /dev-sessions not found on box/);
  });
  await t.step("the user stops it", async () => {
    await host.loses("send", `echo try >>'${host.file("tries")}'; exec sleep 120`);
    const send = sandbox.start(["send", id, "two"]);
    await sandbox.eventually(async () => await host.tries() > 0, { what: "it asks again" });
    send.kill("SIGINT");
    const { code, stderr } = await send.doneWithin(SOON_MS, "send");
    deepStrictEqual([code, stderr.split(":")[0]], [9, "Interrupted"], stderr);
    match(stderr, /^Interrupted: what became of send is not known/);
  });
});
