/** `respond` answers what the real Claude Code asks, once, and tells what its record says. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  type LiveSession,
  modelOf,
  step,
} from "../support/live_session.ts";
import { isRunning } from "../support/processes.ts";

const NATIVE = ["--mode", "native", "--trust"];
/** Beyond the time after which the hook gives up on a registry that never said that it waits. */
const LONG_S = 12;

async function pendingOf(session: LiveSession) {
  const status = JSON.parse(await session.expect(0, "status", ["--json"]));
  strictEqual(status.state, "waiting_for_input", JSON.stringify(status));
  return status;
}

/** Sends and waits until it asks; returns the first open request. */
async function asks(session: LiveSession, text: string) {
  await session.send(text);
  await session.over(session.wait(), 5);
  return (await pendingOf(session)).pending;
}

/** Of the process that the request's id names. */
const hookOf = (pending: { readonly requestId: string }) =>
  Number(/-(\d+)\./.exec(pending.requestId)?.[1] ?? "0");

async function gone(session: LiveSession, pid: number): Promise<void> {
  await session.sandbox.eventually(async () => !await isRunning(pid), { what: `the end of the hook ${pid}` });
}

Deno.test("respond answers permissions in native mode", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const session = await createSession(sandbox, NATIVE);
  const file = (name: string) => join(sandbox.workspace, name);
  const made = (name: string) => Deno.stat(file(name)).then(() => true, () => false);

  await step(t, "nothing is pending", async () => {
    const { code, stderr } = await session.run("respond", ["--approve"]);
    strictEqual(code, 1);
    match(stderr, /nothing is pending, it is idle/);
  });

  await step(t, "approve: the tool runs, and the hook has ended", async () => {
    const pending = await asks(session, `SCRIPT:bash touch ${file("a")}`);
    deepStrictEqual([pending.kind, pending.tool, pending.answerable, pending.subagent], [
      "permission",
      "Bash",
      "direct",
      null,
    ]);
    ok(await isRunning(hookOf(pending)));
    const text = await session.expect(0, "status");
    match(text, /^waiting_for_input\n\na permission \(Bash: touch .*\/a\), since /);
    match(
      text,
      /\n {2}approve\n {2}always: .*\n {2}deny\nrequest \d+-\d+\.PermissionRequest\nAnswer it with: dev-sess/,
    );
    const refused = await session.run("send", ["SCRIPT:plain not now"]);
    await session.assertCode(refused, 5, "send");
    match(refused.stderr, new RegExp(`Answer it with: dev-sessions respond ${session.id} --approve\n`));

    const own = await session.run("respond", ["--approve"], { env: { DEV_SESSIONS_ID: session.id } });
    await session.assertCode(own, 8, "respond from inside");
    ok(!await made("a"));

    strictEqual(
      await session.expect(0, "respond", ["--approve"]),
      `Approved a permission (Bash: touch ${file("a")}) for ${session.id}`,
    );
    await gone(session, hookOf(pending));
    await session.completed();
    ok(await made("a"));
  });

  await step(t, "deny: the model has the message, and the turn goes on", async () => {
    await asks(session, `SCRIPT:bash touch ${file("b")}`);
    await session.expect(0, "respond", ["--deny", "--message", "use the other folder"]);
    await session.completed();
    match(await session.lastMessage(), /DONE after tool: .*"content":"use the other folder","is_error":true/);
    ok(!await made("b"));
  });

  await step(t, "of two answers at the same time one counts", async () => {
    await asks(session, `SCRIPT:bash touch ${file("c")}`);
    const codes = await Promise.all(
      ["--approve", "--approve", "--approve"].map(async (flag) =>
        (await session.run("respond", [flag])).code
      ),
    );
    deepStrictEqual(codes.sort(), [0, 1, 1]);
    await session.completed();
    ok(await made("c"));
  });

  await step(t, "a request that waited long is answered all the same", async () => {
    const pending = await asks(session, `SCRIPT:bash touch ${file("d")}`);
    const until = performance.now() + LONG_S * 1000;
    await sandbox.eventually(() => performance.now() >= until, { what: "time", timeoutMs: LONG_S * 2000 });
    ok(await isRunning(hookOf(pending)));
    await session.expect(0, "respond", ["--approve", "--request", pending.requestId]);
    await session.completed();
    ok(await made("d"));
  });

  await step(
    t,
    "a person answers first at the terminal: the hook ends, a later answer is an error",
    async () => {
      const pending = await asks(session, `SCRIPT:toolgate person touch ${file("e")}`);
      await session.shows("Do you want to proceed?");
      await session.answerDialog("1");
      await modelOf(sandbox).reached("person");
      strictEqual(await session.expect(0, "status"), "working");
      const late = await session.run("respond", ["--deny", "--request", pending.requestId]);
      await session.assertCode(late, 1, "respond");
      await gone(session, hookOf(pending));
      modelOf(sandbox).open("person");
      await session.completed();
      ok(await made("e"));
    },
  );

  await step(t, "Escape at the terminal ends the request, too", async () => {
    const pending = await asks(session, `SCRIPT:bash touch ${file("f")}`);
    await session.shows("Do you want to proceed?");
    await session.answerDialog("Escape");
    await gone(session, hookOf(pending));
    await session.assertCode(await session.run("respond", ["--approve"]), 1, "respond");
    ok(!await made("f"));
  });

  await step(t, "two tools of one message ask one after the other", async () => {
    const first = await asks(session, `SCRIPT:bashes touch ${file("g")} && touch ${file("h")}`);
    strictEqual(first.input.command, `touch ${file("g")}`);
    await session.expect(0, "respond", ["--approve", "--request", first.requestId]);
    await session.over(session.wait(), 5);
    const { pending: second, others } = await pendingOf(session);
    strictEqual(second.input.command, `touch ${file("h")}`);
    deepStrictEqual(others, []);
    const stale = await session.run("respond", ["--approve", "--request", first.requestId]);
    await session.assertCode(stale, 1, "respond to the first");
    match(stale.stderr, /is not pending/);
    await session.expect(0, "respond", ["--deny"]);
    await session.completed();
    deepStrictEqual([await made("g"), await made("h")], [true, false]);
  });

  await step(
    t,
    "tools that only read ask side by side, answered in any order or at the terminal",
    async () => {
      const open = async () => {
        const status = JSON.parse(await session.expect(0, "status", ["--json"]));
        return [status.pending, ...status.others].sort((a, b) =>
          a?.input.file_path < b?.input.file_path ? -1 : 1
        );
      };
      for (const name of ["/etc/group", "/etc/passwd"]) {
        await session.send(`SCRIPT:reads /etc/group && /etc/passwd`);
        const [one, two] = await sandbox.eventually(async () => {
          const found = await open();
          return found.length === 2 ? found : null;
        }, { what: "two open requests" });
        const [first, second] = name === one.input.file_path ? [one, two] : [two, one];
        await session.expect(0, "respond", ["--approve", "--request", first.requestId]);
        await sandbox.eventually(async () => (await open()).length === 1, { what: "one open request" });
        await session.expect(0, "respond", ["--deny", "--request", second.requestId]);
        await session.completed();
      }
    },
  );

  await step(t, "sub-agents ask at the same time, and each gets its own answer", async () => {
    await session.send(`SCRIPT:agents bash touch ${file("i")} && bash touch ${file("j")}`);
    const status = await sandbox.eventually(async () => {
      const found = JSON.parse(await session.expect(0, "status", ["--json"]));
      return found.others.length === 1 ? found : null;
    }, { what: "two open requests" });
    const open = [status.pending, ...status.others];
    deepStrictEqual(open.map(({ subagent, answerable }) => [subagent, answerable]), [
      ["general-purpose", "direct"],
      ["general-purpose", "direct"],
    ]);
    const vague = await session.run("respond", ["--approve"]);
    await session.assertCode(vague, 2, "respond without a request");
    for (const { requestId } of open) ok(vague.stderr.includes(requestId));
    const waited = await session.over(session.wait(), 5);
    match(waited.stderr, /and 1 more\n[\s\S]*--request \d+-\d+\.PermissionRequest --approve/);
    const [one, two] = open.sort((a, b) => a.input.command < b.input.command ? -1 : 1);
    await session.expect(0, "respond", ["--deny", "--request", two.requestId]);
    await session.expect(0, "respond", ["--approve", "--request", one.requestId]);
    await session.completed();
    deepStrictEqual([await made("i"), await made("j")], [true, false]);
  });

  await step(t, "who attaches gets a sub-agent's dialog, which a key answers", async () => {
    await session.send(`SCRIPT:agent bash touch ${file("k")}`);
    await session.over(session.wait(), 5);
    const attach = ["-qec", `tmux attach -t =${session.record.handle.tmuxSession}`, "/dev/null"];
    await using _person = sandbox.spawn("script", attach);
    await session.shows("Do you want to proceed?");
    await session.reaches("waiting");
    strictEqual((await pendingOf(session)).pending.answerable, "keys");
    const worded = await session.run("respond", ["--deny", "--message", "x"]);
    await session.assertCode(worded, 1, "a message by key");
    match(worded.stderr, /dev-sessions attach/);
    const { by } = JSON.parse(await session.expect(0, "respond", ["--approve", "--json"]));
    strictEqual(by, "keys");
    await session.completed();
    ok(await made("k"));
  });

  await step(t, "always: the like does not ask again", async () => {
    const pending = await asks(session, `SCRIPT:bash touch ${file("l")}`);
    ok(pending.always);
    await session.expect(0, "respond", ["--always"]);
    await session.completed();
    await session.send(`SCRIPT:bash touch ${file("m")}`);
    await session.completed();
    deepStrictEqual([await made("l"), await made("m")], [true, true]);
  });

  await step(t, "kill while it waits leaves no hook", async () => {
    const other = await createSession(sandbox, NATIVE);
    const pending = await asks(other, `SCRIPT:bash touch ${file("n")}`);
    ok(await isRunning(hookOf(pending)));
    await other.expect(0, "kill");
    await gone(other, hookOf(pending));
    await other.assertCode(await other.run("respond", ["--approve"]), 7, "respond");
  });

  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await assertNothingLeft(sandbox);
});

Deno.test("respond answers questions in yolo mode", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const session = await createSession(sandbox);
  const answered = async (...args: string[]) => {
    await session.expect(0, "respond", args);
    await session.completed();
    return await session.lastMessage();
  };

  await step(t, "one question: by number, by label, in words; what is none lists them", async () => {
    const pending = await asks(session, "SCRIPT:ask");
    deepStrictEqual(pending.questions, [{
      question: "Which colour?",
      header: "Colour",
      multiSelect: false,
      options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
    }]);
    const wrong = await session.run("respond", ["--option", "Green"]);
    await session.assertCode(wrong, 2, "respond");
    match(wrong.stderr, /"Green" is not among the options\n {2}1\. Red\n {2}2\. Blue\n/);
    match(await answered("--option", "2"), /\\"Which colour\?\\"=\\"Blue\\"/);
    await asks(session, "SCRIPT:ask");
    match(await answered("--option", "red"), /\\"Which colour\?\\"=\\"Red\\"/);
    await asks(session, "SCRIPT:ask");
    match(await answered("Mauve, if you can"), /\\"Which colour\?\\"=\\"Mauve, if you can\\"/);
  });

  await step(t, "several questions, several picks, and a text among them", async () => {
    await asks(session, "SCRIPT:ask2");
    await session.assertCode(await session.run("respond", ["--option", "Red"]), 2, "one for two");
    match(
      await answered("--option", "text:Mauve", "--option", "Corn,1"),
      /\\"Which colour\?\\"=\\"Mauve\\", \\"Which toppings\?\\"=\\"Ham, Corn\\"/,
    );
  });

  await step(t, "deny: the agent goes on without an answer", async () => {
    await asks(session, "SCRIPT:ask");
    match(await answered("--deny", "--message", "decide yourself"), /decide yourself/);
  });

  await step(t, "the agent dies while it asks: its hook goes, too", async () => {
    const pending = await asks(session, "SCRIPT:ask");
    Deno.kill(session.pid, "SIGKILL");
    await gone(session, hookOf(pending));
    await session.assertCode(await session.run("respond", ["--option", "1"]), 7, "respond");
  });
  await assertNothingLeft(sandbox);
});

Deno.test("respond approves and denies plans", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const planner = await createSession(sandbox, [
    ...NATIVE,
    "--agent-arg=--permission-mode",
    "--agent-arg=plan",
  ]);
  const pending = await asks(planner, "SCRIPT:plan");
  deepStrictEqual([pending.kind, pending.answerable], ["plan", "direct"]);
  await planner.expect(0, "respond", ["--deny", "--message", "make it shorter"]);
  await planner.completed();
  match(await planner.lastMessage(), /make it shorter/);
  await asks(planner, "SCRIPT:plan");
  await planner.expect(0, "respond", ["--approve"]);
  await planner.completed();
  match(await planner.lastMessage(), /You have exited plan mode/);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  await assertNothingLeft(sandbox);
});
