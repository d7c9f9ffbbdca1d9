/** What another host was asked and did not answer: whatever keeps the command from asking again, it is not known. */

import { deepStrictEqual, match } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import { holdAgent } from "../support/held_agent.ts";
import { OtherHost } from "../support/other_host.ts";
import { signal } from "../support/processes.ts";

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

Deno.test("what is stopped over there is not taken for the user's own Ctrl-C", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  await holdAgent(sandbox);
  const pid = async () => Number(await Deno.readTextFile(host.file("rpc")).catch(() => "0"));
  const place = `enter; echo $$ >'${host.file("rpc")}'; exec sh -c "$last"`;

  await t.step("its dev-sessions ends", async () => {
    await host.ssh(place);
    const create = sandbox.start(["create", "--host", "box"]);
    const made = async () => (await host.run("list", "--all", "--json")).stdout.includes('"creating"');
    await sandbox.eventually(made, { what: "it is being created" });
    signal(await pid(), "SIGTERM");
    const { code, stdout, stderr } = await create.doneWithin(SOON_MS, "create");
    deepStrictEqual([code, stdout], [255, ""], stderr);
    match(
      stderr,
      /^Remote create on box failed: Cannot create [^\n]*: dev-sessions was stopped there\. Try again/,
    );
    deepStrictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
  });
  await t.step("the user's own is", async () => {
    const create = sandbox.start(["create", "--host", "box"]);
    const made = async () => (await host.run("list", "--all", "--json")).stdout.includes('"creating"');
    await sandbox.eventually(made, { what: "it is being created" });
    create.kill("SIGINT");
    const { code, stderr } = await create.doneWithin(SOON_MS, "create");
    deepStrictEqual(code, 130, stderr);
  });
});

Deno.test("a create whose answer was lost is taken up, whatever its repetition is answered", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  await host.loses("create", host.refusal("create", "the first command with this key is still at work"));
  const made = await sandbox.run(["create", "-q", "--host", "box"]);
  deepStrictEqual(made.code, 0, made.stderr);
  deepStrictEqual((await host.run("status", made.stdout.trim())).stdout, "idle\n");
  deepStrictEqual((await sandbox.run(["status", made.stdout.trim()])).stdout, "idle\n");
});

Deno.test("an ssh that is killed here is a failure of the transport, and says nothing of dev-sessions there", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const host = await OtherHost.of(sandbox);
  const id = await host.create();
  await host.ssh("kill -9 $$");
  const { code, stdout, stderr } = await sandbox.run(["status", id]);
  deepStrictEqual([code, stdout], [255, ""], stderr);
  match(stderr, /^SSH transport failure talking to box: ssh gave no reason\. See with: ssh box true/);
});
