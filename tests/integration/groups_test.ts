/** `@group` and families: one message to many with one result each, and nobody ends more or less than what is meant. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createSandbox, type RunOutput, type Sandbox } from "../support/harness.ts";
import { holdAgent } from "../support/held_agent.ts";
import { isRunning } from "../support/processes.ts";
import {
  agentPid,
  agents,
  created,
  type Json,
  json,
  rows,
  sql,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { StubSession } from "../support/stub_session.ts";

const inside = (id: string) => ({ env: { DEV_SESSIONS_ID: id } });

async function group(sandbox: Sandbox, name: string, count: number): Promise<StubSession[]> {
  const sessions: StubSession[] = [];
  for (let i = 0; i < count; i++) {
    sessions.push(await StubSession.create(sandbox, { args: ["--group", name] }));
  }
  return sessions;
}

function lines(output: RunOutput): string[] {
  return output.stdout.split("\n").filter((line) => line !== "").toSorted();
}

// deno-lint-ignore no-explicit-any
function objects(output: RunOutput): any[] {
  return lines(output).map((line) => JSON.parse(line));
}

Deno.test("send @group delivers to each once, and a repetition with --key only where it was not sent", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [fine, waits, dead, busy] = await group(sandbox, "api", 4) as [
    StubSession,
    StubSession,
    StubSession,
    StubSession,
  ];
  const stranger = await StubSession.create(sandbox, { args: ["--group", "web"] });
  await waits.sent("SCRIPT:dialog");
  await waits.becomes("waiting_for_input");
  const gate = busy.gate();
  await busy.sent(`SCRIPT:gate ${gate.path}`);
  await dead.killAgent();

  const send = ["send", "@api", "--key", "k", "-f", "-"];
  const first = await sandbox.run([...send, "--json"], { stdin: "all of you" });
  const byId = Object.fromEntries(
    objects(first).map((one) => [one.id, [one.result, one.repeated, one.error]]),
  );
  deepStrictEqual(byId, {
    [fine.id]: ["submitted", false, undefined],
    [waits.id]: ["refused", false, undefined],
    [dead.id]: [null, false, "agent_gone"],
    [busy.id]: ["queued", false, undefined],
  });
  strictEqual(first.code, 7, first.stderr);
  match(first.stderr, new RegExp(`Cannot send to \\\\"${waits.id}\\\\": it waits for`));

  // Whoever waited answers; the death was told of once, and nobody gets the message twice.
  await waits.type("Escape");
  await waits.becomes("idle");
  const again = await sandbox.run(send, { stdin: "all of you" });
  deepStrictEqual(
    lines(again),
    [`${fine.id}\tsubmitted`, `${busy.id}\tqueued`, `${waits.id}\tsubmitted`].toSorted(),
  );
  strictEqual(again.code, 0, again.stderr);
  const alone = await fine.json("send", "--key", "k", "all of you");
  deepStrictEqual([alone.code, alone.json.repeated], [0, true]);
  const other = await sandbox.run(["send", "@api", "--key", "k", "something else"]);
  strictEqual(other.code, 2);
  match(
    other.stderr,
    new RegExp(`^Cannot send to ${fine.id} with key "k": it was used for another request`, "m"),
  );

  await gate.open();
  strictEqual((await sandbox.run(["wait", "@api"])).code, 0);
  for (const session of [fine, waits, busy]) {
    deepStrictEqual((await session.prompts()).filter((text) => text === "all of you"), ["all of you"]);
  }
  deepStrictEqual(await stranger.prompts(), []);
});

Deno.test("wait @group prints each as it becomes known, a line also for a group of one", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const sessions = await group(sandbox, "api", 3);
  const gates = sessions.map((session) => session.gate());
  for (const [index, session] of sessions.entries()) await session.sent(`SCRIPT:gate ${gates[index]!.path}`);
  const [one] = await group(sandbox, "solo", 1);
  const waiting = sandbox.start(["wait", "@api", one!.id, "-t", "40"]);
  const printed: string[] = [];
  const prints = async (id: string, outcome: string) => {
    printed.push(`${id}\t${outcome}\n`);
    await sandbox.eventually(() => waiting.stdout === printed.join(""), { what: printed.join("") });
  };
  await prints(one!.id, "idle");
  for (const index of [1, 0, 2]) {
    await gates[index]!.open();
    await prints(sessions[index]!.id, "completed");
  }
  strictEqual((await waiting.doneWithin(25_000, "wait")).code, 0);
  strictEqual((await sandbox.run(["wait", "@solo"])).stdout, `${one!.id}\tidle\n`);
  strictEqual(lines(await sandbox.run(["wait", "@api", "--any"])).length, 1);
  await sessions[0]!.sent(`SCRIPT:gate ${sessions[0]!.gate("never").path}`);
  await sessions[0]!.killAgent();
  const gone = await sandbox.run(["wait", "@api"]);
  strictEqual(gone.code, 7);
  ok(lines(gone).includes(`${sessions[0]!.id}\tgone`));
  // From then on it has ended, and nobody waits for it.
  const left = await sandbox.run(["wait", "@api"]);
  deepStrictEqual([left.code, lines(left).length], [0, 2]);
});

Deno.test("ask @group prints each reply as it comes, and one that does not come holds up no other", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [quick, slow, dead] = await group(sandbox, "api", 3) as [StubSession, StubSession, StubSession];
  const gate = slow.gate();
  await slow.sent(`SCRIPT:gate ${gate.path}`);
  await dead.killAgent();
  const asking = sandbox.start(["ask", "@api", "SCRIPT:plain done", "-t", "40"]);
  const said = (id: string) => `==> ${id} <==\nREPLY: done [length 17]\n`;
  await sandbox.eventually(() => asking.stdout === said(quick.id), { what: "the first reply" });
  await gate.open();
  const asked = await asking.doneWithin(25_000, "ask");
  deepStrictEqual([asked.code, asked.stdout], [7, `${said(quick.id)}\n${said(slow.id)}`], asked.stderr);
  match(asked.stderr, new RegExp(`^Cannot send to "${dead.id}": its agent is gone`, "m"));
  match(asked.stderr, new RegExp(`^${slow.id} receipt r-`, "m"));
});

Deno.test("reading verbs show who has ended beside the live ones, and forget an earlier use of the name", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [old] = await group(sandbox, "api", 1);
  strictEqual(
    (await sandbox.run(["kill", "@api"])).stdout,
    `Killed session ${old!.id}\nKilled 1 session(s)\n`,
  );
  deepStrictEqual((await sandbox.run(["status", "@api"])).stdout, `${old!.id}\tgone\n`);
  const [a, b] = await group(sandbox, "api", 2) as [StubSession, StubSession];
  await a.sent("SCRIPT:plain from a");
  await b.sent("SCRIPT:plain from b");
  strictEqual((await sandbox.run(["wait", "@api"])).code, 0);
  strictEqual((await sandbox.run(["kill", a.id])).code, 0);
  strictEqual((await sandbox.run(["status", "@api"])).stdout, `${a.id}\tgone\n${b.id}\tidle\n`);
  strictEqual(
    (await sandbox.run(["last-message", "@api"])).stdout,
    `==> ${a.id} <==\nREPLY: from a [length 19]\n\n==> ${b.id} <==\nREPLY: from b [length 19]\n`,
  );
  const messages = (id: string, text: string) => ({ id, messages: [`REPLY: ${text} [length 19]`] });
  deepStrictEqual(await json(sandbox, ["last-message", "@api"]), [
    messages(a.id, "from a"),
    messages(b.id, "from b"),
  ]);
  const records = JSON.parse((await sandbox.run(["inspect", "@api"])).stdout);
  deepStrictEqual(records.map((one: Json) => [one["id"], one["lifecycle"]]), [[a.id, "ended"], [
    b.id,
    "active",
  ]]);
  match(
    (await sandbox.run(["logs", "@api"])).stdout,
    new RegExp(`^==> ${a.id} <==\n\\[HUMAN\\]\n[^]*\n\n==> ${b.id} <==\n`),
  );
  strictEqual((await sandbox.run(["wait", "@api"])).stdout, `${b.id}\tcompleted\n`);
});

Deno.test("a group that can't be meant is an error that says where to look", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [one] = await group(sandbox, "api", 1);
  const nobody = await sandbox.run(["send", "@apo", "hi"]);
  deepStrictEqual([nobody.code, nobody.stdout], [3, ""]);
  strictEqual(
    nobody.stderr,
    'Cannot send to "@apo": no session is in this group. See the groups with: dev-sessions list --all\n' +
      "  There is: @api\n",
  );
  for (
    const args of [["wait", one!.id, "@apo"], ["kill", one!.id, "@apo"], ["status", "@apo"], ["logs", "@apo"]]
  ) {
    const { code, stdout } = await sandbox.run(args);
    deepStrictEqual([code, stdout], [3, ""], args.join(" "));
  }
  strictEqual((await one!.run("status")).stdout, "idle\n");
  strictEqual((await sandbox.run(["kill", "@api"])).code, 0);
  const ended = await sandbox.run(["send", "@api", "hi"]);
  strictEqual(ended.code, 3);
  match(
    ended.stderr,
    /all of its sessions have ended\. See them with: dev-sessions list --all --group api\n$/,
  );
  const again = await sandbox.run(["kill", "@api"]);
  deepStrictEqual([again.code, again.stdout], [0, "No matching sessions to kill\n"]);
});

Deno.test("from inside a session its group never means itself", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const lead = await StubSession.create(sandbox, { args: ["--group", "api"] });
  const own = { args: ["--group", "api"], env: { DEV_SESSIONS_ID: lead.id } };
  const [a, b] = [await StubSession.create(sandbox, own), await StubSession.create(sandbox, own)];
  const leftOut = (id: string) => `Left out ${id}: it runs this command\n`;

  const sent = await sandbox.run(["send", "@api", "work"], inside(lead.id));
  deepStrictEqual(lines(sent), [`${a.id}\tsubmitted`, `${b.id}\tsubmitted`].toSorted());
  deepStrictEqual([sent.code, sent.stderr], [0, leftOut(lead.id)]);
  // Downwards as it is, to a sister and upwards with the sender's name.
  deepStrictEqual(await a.prompts(), ["work"]);
  const aside = await sandbox.run(["send", "@api", "hello"], inside(a.id));
  deepStrictEqual(lines(aside), [`${lead.id}\tsubmitted`, `${b.id}\tsubmitted`].toSorted());
  for (const session of [lead, b]) {
    match(
      (await session.prompts()).at(-1) ?? "",
      new RegExp(`^Message from the agent session "${a.id}".*\nhello$`),
    );
  }
  const waited = await sandbox.run(["wait", "@api"], inside(lead.id));
  deepStrictEqual([waited.code, lines(waited).length, waited.stderr], [0, 2, leftOut(lead.id)]);

  const killed = await sandbox.run(["kill", "@api"], inside(a.id));
  strictEqual(killed.stdout, `Killed session ${b.id}\nKilled 1 session(s)\n`);
  strictEqual(
    killed.stderr,
    `Left out ${lead.id}: it is an ancestor of the session that runs this command\n${leftOut(a.id)}`,
  );
  const rest = await sandbox.run(["kill", "@api"], inside(lead.id));
  strictEqual(rest.stdout, `Killed session ${a.id}\nKilled 1 session(s)\n`);
  for (const verb of ["kill", "wait"]) {
    const alone = await sandbox.run([verb, "@api"], inside(lead.id));
    deepStrictEqual([alone.code, alone.stdout], [3, ""]);
    match(alone.stderr, /no other session is left/);
  }
  const everyone = await sandbox.run(["kill", "@api", "--everyone"], inside(lead.id));
  strictEqual(everyone.stdout, `Killed session ${lead.id}\nKilled 1 session(s)\n`, everyone.stderr);
});

Deno.test("an agent can't end itself or its ancestors by name, but others, unless --everyone", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const grand = await created(sandbox);
  const parent = await created(sandbox, [], inside(grand));
  const child = await created(sandbox, [], inside(parent));
  const sister = await created(sandbox, [], inside(parent));
  const all = [grand, parent, child, sister];
  for (const args of [[grand], [parent], [child], [sister, child], ["--tree", grand]]) {
    const refused = await sandbox.run(["kill", ...args], inside(child));
    deepStrictEqual([refused.code, refused.stdout], [8, ""], args.join(" "));
    match(refused.stderr, /^Cannot kill ".*": it is .*session that runs this command\. .*--everyone\n$/);
  }
  deepStrictEqual(rows(sandbox), all.map((id) => `${id} active`));
  strictEqual((await sandbox.run(["kill", sister], inside(child))).stdout, `Killed session ${sister}\n`);
  // The caller comes last, since the command may end with it.
  const killed = await sandbox.run(["kill", "--tree", grand, "--everyone"], inside(parent));
  deepStrictEqual(killed.stdout.split("\n").slice(0, 4), [
    `Killed session ${grand}`,
    `Killed session ${child}`,
    `Killed session ${parent}`,
    "Killed 3 session(s)",
  ], killed.stderr);
});

Deno.test("kill --tree ends three generations, parents first, and nobody else", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const stranger = await created(sandbox);
  const root = await created(sandbox, ["--group", "api"]);
  const child = await created(sandbox, [], inside(root));
  const grandchild = await created(sandbox, [], inside(child));
  const second = await created(sandbox, [], inside(root));
  const leaf = await sandbox.run(["kill", "--tree", grandchild]);
  strictEqual(leaf.stdout, `Killed session ${grandchild}\nKilled 1 session(s)\n`);
  const another = await created(sandbox, [], inside(child));
  // One between that has ended does not hide its children.
  strictEqual((await sandbox.run(["kill", child])).code, 0);
  const tree = await sandbox.run(["list", "--all", "--tree"]);
  deepStrictEqual(
    tree.stdout.split("\n").slice(2, -1).map((line) => line.slice(0, line.indexOf("claude")).trimEnd()),
    [
      stranger,
      root,
      `  ${child}`,
      `    ${grandchild}`,
      `    ${another}`,
      `  ${second}`,
    ],
  );
  const depths = await json<Json[]>(sandbox, ["list", "--tree"]);
  deepStrictEqual(depths.map(({ id, parent, depth }) => [id, parent, depth]), [
    [stranger, null, 0],
    [root, null, 0],
    [second, root, 1],
    [another, child, 0],
  ]);
  const pids = [root, second, another].map((id) => agentPid(sandbox, id));
  const killed = await sandbox.run(["kill", "--tree", "@api"]);
  strictEqual(killed.stderr, "");
  deepStrictEqual(killed.stdout.split("\n").slice(0, 4), [
    `Killed session ${root}`,
    `Killed session ${second}`,
    `Killed session ${another}`,
    "Killed 3 session(s)",
  ]);
  for (const pid of pids) strictEqual(await isRunning(pid), false);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${stranger}`]);
  const again = await sandbox.run(["kill", "--tree", root]);
  deepStrictEqual([again.code, again.stdout], [0, `Session ${root} had already ended\n`]);
});

Deno.test("kill --tree ends also what the family had begun to start", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const root = await StubSession.create(sandbox);
  const release = await holdAgent(sandbox);
  await using creating = sandbox.start(["create", "-q"], inside(root.id));
  await sandbox.eventually(() => rows(sandbox).some((row) => row.endsWith(" creating")), {
    what: "a create",
  });
  await using killing = sandbox.start(["kill", "--tree", root.id]);
  await sandbox.eventually(() => rows(sandbox).includes(`${root.id} ended`), { what: "the parent ended" });
  await release();
  const killed = await killing.doneWithin(25_000, "kill --tree");
  const child = rows(sandbox)[1]!.split(" ")[0];
  strictEqual(
    killed.stdout,
    `Killed session ${root.id}\nKilled session ${child}\nKilled 2 session(s)\n`,
    killed.stderr,
  );
  await creating.child.status;
  strictEqual((await agents(sandbox)).length, 0);
});

Deno.test("a name that was given again has no children of its first bearer", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const first = await created(sandbox, ["--id", "fizz-top"]);
  const child = await created(sandbox, [], inside(first));
  strictEqual((await sandbox.run(["kill", first])).code, 0);
  sql(sandbox, "DELETE FROM sessions WHERE id = ?", first);
  await created(sandbox, ["--id", "fizz-top"]);
  strictEqual(
    (await sandbox.run(["kill", "--all"], inside("fizz-top"))).stdout,
    "No matching sessions to kill\n",
  );
  strictEqual(
    (await sandbox.run(["kill", "--tree", "fizz-top"])).stdout,
    "Killed session fizz-top\nKilled 1 session(s)\n",
  );
  strictEqual((await sandbox.run(["status", child])).stdout, "idle\n");
});

Deno.test("respond, interrupt, events, usage, resume and prune take a group, too", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [asks, works, rests] = await group(sandbox, "api", 3) as [StubSession, StubSession, StubSession];
  await asks.sent("SCRIPT:ask");
  await asks.becomes("waiting_for_input");

  const answered = await sandbox.run(["respond", "@api", "--option", "Blue"]);
  strictEqual(answered.code, 1);
  strictEqual(answered.stdout, `Answered "Blue" for ${asks.id}\n`);
  for (const { id } of [works, rests]) match(answered.stderr, new RegExp(`Cannot answer "${id}": `));
  const named = await sandbox.run(["respond", "@api", "--approve", "--request", "r"]);
  strictEqual(named.code, 2);
  match(named.stderr, /^--request names the request of one session/);

  await works.sent("SCRIPT:slow 60");
  await works.becomes("working");
  const stopped = await sandbox.run(["interrupt", "@api", "--json"]);
  strictEqual(stopped.code, 0, stopped.stderr);
  deepStrictEqual(
    Object.fromEntries(objects(stopped).map(({ id, result }) => [id, result])),
    { [asks.id]: "not_running", [works.id]: "interrupted", [rests.id]: "not_running" },
  );

  const used = await json<Json[]>(sandbox, ["usage", "@api"]);
  deepStrictEqual(used.map(({ id }) => id), [asks.id, works.id, rests.id]);
  strictEqual((await sandbox.run(["kill", works.id, rests.id])).code, 0);
  const told = await sandbox.run(["events", "@api"]);
  strictEqual(told.code, 0, told.stderr);
  const ended = objects(told).filter(({ type }) => type === "session_ended").map(({ id }) => id);
  deepStrictEqual(ended.toSorted(), [works.id, rests.id].toSorted());

  const revived = await sandbox.run(["resume", "@api"]);
  strictEqual(revived.code, 0, revived.stderr);
  deepStrictEqual(lines(revived), [`Resumed session ${works.id}`, `Resumed session ${rests.id}`].toSorted());
  strictEqual(revived.stderr, `Left out ${asks.id}: it is live\n`);
  deepStrictEqual(await rows(sandbox), [asks, works, rests].map(({ id }) => `${id} active`));

  strictEqual((await sandbox.run(["kill", "@api"])).code, 0);
  const forgotten = await json<{ forgotten: { id: string }[] }>(sandbox, ["prune", "@api"]);
  deepStrictEqual(forgotten.forgotten.map(({ id }) => id), [asks.id, works.id, rests.id]);
  deepStrictEqual(await rows(sandbox), []);
  strictEqual((await sandbox.run(["resume", "@api"])).code, 3);
});
