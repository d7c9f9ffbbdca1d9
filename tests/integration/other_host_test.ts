/** Commands about sessions of another host that can't be asked as it should be: nobody waits for longer than he likes. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import { OtherHost } from "../support/other_host.ts";

/** Far less than the host that says nothing would take. */
const SOON_MS = 30_000;

Deno.test("a host that takes the connection and says nothing holds up nobody who has stopped waiting", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const there = await host.create();
  const here = (await sandbox.run(["create", "-q"])).stdout.trim();
  await host.hangs();

  for (
    const args of [
      ["wait", there],
      ["wait", here, there],
      ["send", there, "hello"],
      ["logs", "--follow", there],
      ["events", "--follow", there],
      ["interrupt", there],
      ["respond", there, "--approve"],
      ["ask", there, "hello"],
      ["resume", there],
    ]
  ) {
    await t.step(`Ctrl-C ends ${args[0]}`, async () => {
      const before = await host.tries();
      const running = sandbox.start(args);
      await sandbox.eventually(async () => await host.tries() > before, { what: "ssh was started" });
      running.kill("SIGINT");
      const { code, stderr } = await running.doneWithin(SOON_MS, args.join(" "));
      strictEqual(code, 130, stderr);
    });
  }

  await t.step("wait --any ends with the first one", async () => {
    const running = sandbox.start(["wait", "--any", "--timeout", "100", here, there]);
    const { code, stdout, stderr } = await running.doneWithin(SOON_MS, "wait --any");
    deepStrictEqual([code, stdout], [0, `${here}\tidle\n`], stderr);
  });

  await t.step("wait ends with its own time, and a little for the answer", async () => {
    const running = sandbox.start(["wait", "--timeout", "0.5", there]);
    const { code, stdout, stderr } = await running.doneWithin(SOON_MS, "wait --timeout");
    deepStrictEqual([code, stdout], [255, ""]);
    match(stderr, /^SSH transport failure talking to box: no answer within 6 s\. Try again/);
  });
});
