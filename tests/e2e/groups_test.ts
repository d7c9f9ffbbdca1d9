/** A fleet of five real agents: one message to all, who is ready first, what they said, and the end of all of them. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunOutput } from "../support/harness.ts";
import {
  assertDeliveredOnce,
  assertNothingLeft,
  createSession,
  type LiveSession,
  modelOf,
  openSession,
  step,
  writeCommand,
} from "../support/live_session.ts";

const FLEET = 5;
const WAIT_MS = 50_000;

function lines(output: RunOutput): string[] {
  return output.stdout.split("\n").filter((line) => line !== "").toSorted();
}

Deno.test("a group of five", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const fleet: LiveSession[] = [];
  for (let i = 0; i < FLEET; i++) fleet.push(await createSession(sandbox, ["--group", "fleet"]));
  const ids = fleet.map(({ id }) => id);
  const each = (word: string, of = ids) => of.map((id) => `${id}\t${word}`).toSorted();

  await step(t, "send reaches each of them once, also when it is repeated", async () => {
    const args = ["send", "@fleet", "--key", "first", "-f", "-"];
    const sent = await sandbox.run(args, { stdin: "SCRIPT:plain hello" });
    deepStrictEqual([sent.code, lines(sent)], [0, each("submitted")], sent.stderr);
    const waited = await sandbox.run(["wait", "@fleet", "--all", "-t", "40"]);
    deepStrictEqual([waited.code, lines(waited)], [0, each("completed")], waited.stderr);
    const again = await sandbox.run([...args, "--json"], { stdin: "SCRIPT:plain hello" });
    const repeated = lines(again).map((line) => JSON.parse(line));
    deepStrictEqual(repeated.map(({ repeated }) => repeated), ids.map(() => true));
    for (const session of fleet) deepStrictEqual(model.prompts(session.claudeId), ["SCRIPT:plain hello"]);
  });

  await step(t, "last-message and status name each", async () => {
    const replies = ids.map((id) => `==> ${id} <==\nREPLY: hello [length 18]\n`).join("\n");
    strictEqual((await sandbox.run(["last-message", "@fleet"])).stdout, replies);
    const json = JSON.parse((await sandbox.run(["last-message", "@fleet", "--json"])).stdout);
    deepStrictEqual(json, ids.map((id) => ({ id, messages: ["REPLY: hello [length 18]"] })));
    strictEqual((await sandbox.run(["status", "@fleet"])).stdout, ids.map((id) => `${id}\tidle\n`).join(""));
  });

  await step(t, "ask prints the reply of each", async () => {
    const asked = await sandbox.run(["ask", "@fleet", "SCRIPT:plain what now", "-t", "40"]);
    strictEqual(asked.code, 0, asked.stderr);
    const replies = asked.stdout.trimEnd().split("\n\n").toSorted();
    deepStrictEqual(replies, ids.map((id) => `==> ${id} <==\nREPLY: what now [length 21]`).toSorted());
    match(asked.stderr, new RegExp(`^${ids[0]} receipt r-[0-9a-f]{16}$`, "m"));
  });

  await step(t, "wait --any names the first that is ready", async () => {
    const gates = fleet.map((_, index) => `fleet${index}`);
    for (const [index, session] of fleet.entries()) await session.send(`SCRIPT:gate ${gates[index]}`);
    const waiting = sandbox.start(["wait", "@fleet", "--any", "-t", "40"]);
    for (const session of fleet) await session.reaches("busy");
    model.open(gates[3]!);
    const first = await waiting.doneWithin(WAIT_MS, "wait --any");
    deepStrictEqual([first.code, first.stdout], [0, `${ids[3]}\tcompleted\n`], first.stderr);
    for (const gate of gates) model.open(gate);
    const all = await sandbox.run(["wait", "@fleet", "-t", "40"]);
    deepStrictEqual([all.code, lines(all)], [0, each("completed")], all.stderr);
  });

  await step(t, "an agent sends to its group, and never to itself", async () => {
    await writeCommand(sandbox);
    const [lead, ...others] = fleet as [LiveSession, ...LiveSession[]];
    const out = join(sandbox.root, "sent");
    await lead.send(`SCRIPT:bash dev-sessions send @fleet "from the lead" >${out} 2>${out}.err`);
    await lead.completed();
    const sent = (await Deno.readTextFile(out)).trim().split("\n").toSorted();
    deepStrictEqual(
      sent,
      each("submitted", others.map(({ id }) => id)),
      await Deno.readTextFile(`${out}.err`),
    );
    strictEqual(await Deno.readTextFile(`${out}.err`), `Left out ${lead.id}: it runs this command\n`);
    strictEqual((await sandbox.run(["wait", "@fleet", "-t", "40"])).code, 0);
    for (const session of others) match(model.prompts(session.claudeId).at(-1) ?? "", /\nfrom the lead$/);
    ok(!model.prompts(lead.claudeId).some((text) => text.endsWith("\nfrom the lead")));
  });

  await step(
    t,
    "a family of three generations ends with its root, and its members end neither it nor themselves",
    async () => {
      const root = await createSession(sandbox);
      const named = join(sandbox.root, "named");
      await root.turn(`SCRIPT:bash dev-sessions create -q >${named}1`);
      const child = await openSession(sandbox, (await Deno.readTextFile(`${named}1`)).trim());
      await child.turn(`SCRIPT:bash dev-sessions create -q >${named}2`);
      const grandchild = await openSession(sandbox, (await Deno.readTextFile(`${named}2`)).trim());
      deepStrictEqual([child.record.parent, grandchild.record.parent], [root.id, child.id]);

      const refusals = [root, child, grandchild].map(({ id }) =>
        `dev-sessions kill ${id}; echo $? >>${named}3`
      );
      await grandchild.turn(`SCRIPT:bash ${refusals.join("; ")}`);
      strictEqual(await Deno.readTextFile(`${named}3`), "8\n8\n8\n");

      const tree = (await sandbox.run(["list", "--tree"])).stdout.split("\n").slice(2, -1);
      deepStrictEqual(tree.map((line) => line.slice(0, line.indexOf("claude")).trimEnd()), [
        ...ids,
        root.id,
        `  ${child.id}`,
        `    ${grandchild.id}`,
      ]);
      const killed = await sandbox.run(["kill", "--tree", root.id]);
      const family = [root.id, child.id, grandchild.id];
      strictEqual(
        killed.stdout,
        `${family.map((id) => `Killed session ${id}\n`).join("")}Killed 3 session(s)\n`,
        killed.stderr,
      );
    },
  );

  await step(t, "kill ends all of it, and what they said stays readable", async () => {
    const killed = await sandbox.run(["kill", "@fleet"]);
    deepStrictEqual(
      killed.stdout,
      `${ids.map((id) => `Killed session ${id}\n`).join("")}Killed ${FLEET} session(s)\n`,
    );
    await assertNothingLeft(sandbox);
    match((await sandbox.run(["last-message", "@fleet"])).stdout, new RegExp(`==> ${ids[4]} <==\nREPLY: `));
    assertDeliveredOnce(model, ["SCRIPT:gate fleet3"]);
  });
});
