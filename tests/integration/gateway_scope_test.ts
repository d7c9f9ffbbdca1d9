/** What the holder of a token can do, and the ways in which he may try to do more. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { realDeps } from "../../lib/real_deps.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { created, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";

/** As a client asks for it. */
function request(path: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { path, agent: "claude", mode: null, ...more };
}

async function make(gateway: TestGateway, token: string, path: string, more: Record<string, unknown> = {}) {
  return (await gateway.result("create", request(path, more), { token })).session;
}

Deno.test("a token's holder sees and touches only what was made with it", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const one = (await gateway.token("--root", sandbox.workspace, "--mode", "yolo")).token;
  const two = (await gateway.token("--root", sandbox.workspace, "--mode", "yolo")).token;
  const ours = await make(gateway, one, sandbox.workspace, { group: "team" });
  const theirs = await make(gateway, two, sandbox.workspace, { group: "team" });
  const host = await created(sandbox, ["--group", "team"]);
  const ids = async (token: string | undefined, body = {}) =>
    (await gateway.result("list", body, token === undefined ? {} : { token }))
      .map((listed: { session: { id: string } }) => listed.session.id);

  await t.step("list", async () => {
    deepStrictEqual(await ids(one, { all: true }), [ours.id]);
    deepStrictEqual(await ids(two, { all: true }), [theirs.id]);
    deepStrictEqual((await ids(undefined)).sort(), [ours.id, theirs.id, host].sort());
  });
  await t.step("a group is that of its own sessions", async () => {
    const body = { targets: [{ kind: "group", group: "team" }], action: "wait", caller: null };
    deepStrictEqual((await gateway.result("expand", body, { token: one })).ids, [ours.id]);
  });
  await t.step("what belongs to others is as if it were not there, in every operation", async () => {
    for (const id of [theirs.id, host, "nobody-top"]) {
      const bodies: Record<string, unknown> = {
        send: { id, text: "x" },
        interrupt: { id },
        wait: { ids: [ours.id, id] },
        status: { id },
        lastMessages: { id },
        logs: { id },
        events: { ids: [id] },
        inspect: { id },
        respond: { id, answer: { kind: "approve" } },
        goal: { id, change: null },
        usage: { ids: [id] },
        kill: { ids: [ours.id, id], tree: false, everyone: true, caller: null },
        resume: { id },
        prune: { ids: [id] },
      };
      for (const [operation, body] of Object.entries(bodies)) {
        const { status, json, text } = await gateway.ask(operation, body, { token: one });
        strictEqual(json?.error?.code, "not_found", `${operation}: ${text}`);
        strictEqual(json.error.message, `Session not found: ${id}`);
        strictEqual(status, 404, operation);
      }
    }
  });
  await t.step("its own it can use: send, wait, read", async () => {
    const sent = await gateway.result("send", { id: ours.id, text: "hello" }, { token: one });
    strictEqual(sent.receipt.result, "submitted");
    strictEqual(sent.receipt.anchor, null);
    const waiting = await gateway.stream("wait", { ids: [ours.id], receipt: sent.receipt.receipt }, {
      token: one,
    });
    const [result, end] = await waiting.rest();
    deepStrictEqual([result.item.id, result.item.outcome.outcome, end], [ours.id, "completed", {
      end: true,
    }]);
    strictEqual((await gateway.result("lastMessages", { id: ours.id }, { token: one })).length, 1);
  });
  await t.step("inspect, create and list hide what only the host can use", async () => {
    const seen = await gateway.result("inspect", { id: ours.id }, { token: one });
    for (const session of [seen, ours]) {
      deepStrictEqual([session.handle, session.process, session.creator], [null, null, null]);
    }
    const [listed] = await gateway.result("list", {}, { token: one });
    deepStrictEqual(
      Object.keys(listed.session).filter((key) =>
        /handle|process|creator|lastSend|launch|worktree|resumer/.test(key)
      ),
      [],
    );
    ok((await gateway.result("inspect", { id: ours.id })).handle !== null, "the master sees all");
  });
  await t.step("a session that is named a thousand times is looked at once", async () => {
    const events = async (count: number) => {
      const stream = await gateway.stream("events", { ids: Array(count).fill(ours.id), follow: false }, {
        token: one,
      });
      return await stream.rest();
    };
    deepStrictEqual(await events(1_000), await events(1));
  });
  await t.step("events of its own sessions only, also of those that come later", async () => {
    const stream = await gateway.stream("events", { ids: null, follow: true }, { token: one });
    const first = await stream.next();
    deepStrictEqual([first.item.id, first.item.body.type], [ours.id, "session_created"]);
    const strange = await make(gateway, two, sandbox.workspace);
    const later = await make(gateway, one, sandbox.workspace);
    for (let line = await stream.next();; line = await stream.next()) {
      ok(line.item.id !== strange.id && line.item.id !== theirs.id && line.item.id !== host, line.item.id);
      if (line.item.id === later.id) break;
    }
    await stream.hangUp();
    const all = await (await gateway.stream("events", { ids: null, follow: false }, { token: two })).rest();
    deepStrictEqual([...new Set(all.flatMap((line) => line.item?.id ?? []))], [theirs.id, strange.id]);
  });
  await t.step("a parent must be its own", async () => {
    for (const parent of [theirs.id, host, "nobody-top"]) {
      const answer = await gateway.ask("create", request(sandbox.workspace, { parent }), { token: one });
      strictEqual(answer.json.error.code, "not_found", answer.text);
    }
    const child = await make(gateway, one, sandbox.workspace, { parent: ours.id });
    strictEqual(child.parent, ours.id);
    const killed = await gateway.result(
      "kill",
      { ids: [ours.id], tree: true, everyone: false, caller: null },
      {
        token: one,
      },
    );
    deepStrictEqual([...killed.killed].sort(), [ours.id, child.id].sort());
  });
  await t.step("a key of its own, though another caller has used the same", async () => {
    const mine = await make(gateway, one, sandbox.workspace, { key: "same" });
    const again = await gateway.result("create", request(sandbox.workspace, { key: "same" }), { token: one });
    deepStrictEqual([again.session.id, again.repeated], [mine.id, true]);
    const other = await gateway.result("create", request(sandbox.workspace, { key: "same" }), { token: two });
    deepStrictEqual([other.repeated, other.session.id === mine.id], [false, false]);
  });
  await t.step("prune by age leaves alone what is just being resumed", async () => {
    const { id } = await make(gateway, one, sandbox.workspace);
    await gateway.result("kill", { ids: [id], tree: false, everyone: true, caller: null }, { token: one });
    const resumer = JSON.stringify(await realDeps().identify(Deno.pid));
    sql(sandbox, "UPDATE sessions SET resumer = ? WHERE id = ?", resumer, id);
    const pruned = await gateway.result("prune", { olderThanMs: 0 }, { token: one });
    deepStrictEqual([pruned.failed, pruned.forgotten.some((gone: { id: string }) => gone.id === id)], [
      [],
      false,
    ]);
    sql(sandbox, "UPDATE sessions SET resumer = NULL WHERE id = ?", id);
  });
  await t.step("kill --all and prune mean its own", async () => {
    const before = await ids(one);
    ok(before.length > 0);
    const killed = await gateway.result("kill", { all: true, scope: "everyone", caller: null }, {
      token: one,
    });
    deepStrictEqual([...killed.killed].sort(), [...before].sort());
    deepStrictEqual(await ids(one), []);
    ok((await ids(two)).length > 0);
    await gateway.result("prune", { olderThanMs: 0 }, { token: two });
    const pruned = await gateway.result("prune", { olderThanMs: 0 }, { token: one });
    ok(pruned.forgotten.length >= before.length);
    deepStrictEqual(await ids(one, { all: true }), []);
    ok((await ids(undefined)).includes(host));
  });
});

Deno.test("twenty ways out of a token's scope, and none of them leads anywhere", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const root = await sandbox.folder("root");
  await sandbox.folder("root/inside");
  await sandbox.folder("root-beside");
  await sandbox.folder("outside/deep");
  await Deno.symlink(join(sandbox.root, "outside"), join(root, "way-out"));
  await Deno.symlink("/", join(root, "slash"));
  await Deno.symlink(join(sandbox.root, "nothing"), join(root, "broken"));
  await Deno.symlink("inside", join(root, "way-in"));
  await Deno.writeTextFile(join(root, "file"), "");
  const docker = (await gateway.token("--root", root)).token;
  const native = (await gateway.token("--root", root, "--mode", "native", "--cli", "claude")).token;
  const yolo = (await gateway.token("--root", root, "--mode", "yolo")).token;
  const own = await make(gateway, yolo, root);

  const create = (token: string, path: string, more: Record<string, unknown> = {}) =>
    ["create", request(path, more), token] as const;
  const attempts: [string, readonly [string, unknown, string], RegExp][] = [
    ["the parent folder", create(yolo, sandbox.root), /it is no folder below/],
    ["the whole disk", create(yolo, "/"), /it is no folder below/],
    ["a path with ..", create(yolo, `${root}/../outside`), /is not understood: path/],
    ["a path with .. at its end", create(yolo, `${root}/inside/../..`), /is not understood: path/],
    [
      "a folder whose name begins alike",
      create(yolo, join(sandbox.root, "root-beside")),
      /it is no folder below/,
    ],
    ["a symlink to elsewhere", create(yolo, join(root, "way-out")), /it is no folder below/],
    ["a folder behind a symlink", create(yolo, join(root, "way-out", "deep")), /it is no folder below/],
    ["a symlink to the disk", create(yolo, join(root, "slash", "etc")), /it is no folder below/],
    [
      "what does not exist behind a symlink says the same",
      create(yolo, join(root, "slash", "no-such")),
      /it is no folder below/,
    ],
    ["a broken symlink", create(yolo, join(root, "broken")), /it is no folder below/],
    ["a file", create(yolo, join(root, "file")), /it is no folder below/],
    ["a relative path", create(yolo, "root"), /is not understood: path/],
    ["a path with a NUL", create(yolo, `${root}\0/../..`), /is not understood: path/],
    ["a laxer mode", create(docker, root, { mode: "yolo" }), /--mode yolo is not permitted/],
    ["a laxer mode, one step", create(docker, root, { mode: "native" }), /--mode native is not permitted/],
    ["another agent", create(native, root, { agent: "codex" }), /--cli codex is not permitted/],
    [
      "arguments for the agent",
      create(yolo, root, { agentArgs: ["--settings", "x"] }),
      /--agent-arg is not permitted/,
    ],
    ["a model that is an option", create(yolo, root, { model: "--add-dir=/" }), /--model must be/],
    ["trust", create(native, root, { trust: true }), /--trust is not permitted/],
    ["another host", create(yolo, root, { host: "evil.example" }), /--host is not permitted/],
    ["a worktree", create(yolo, root, { worktree: { branch: "x" } }), /--worktree is not permitted/],
    ["an id of its choice", create(yolo, root, { id: "fizz-top" }), /--id is not permitted/],
    [
      "a template that asks git",
      ["send", { id: own.id, text: "{{git.branch}}", render: { vars: {} } }, yolo],
      /is not permitted with this token/,
    ],
    ["the terminal", ["attachCommand", { id: own.id }, yolo], /attach is not permitted/],
    ["an id that is a path", ["inspect", { id: "../../etc" }, yolo], /is not understood: id/],
    [
      "an id that is an option",
      ["kill", { ids: ["--all"], tree: false, everyone: true, caller: null }, yolo],
      /is not understood: ids/,
    ],
    [
      "a caller that is another's",
      ["send", { id: own.id, text: "x", sender: "nobody-top" }, yolo],
      /Session not found/,
    ],
  ];
  const before = { rows: rows(sandbox), tmux: await tmuxSessions(sandbox) };
  for (const [name, [operation, body, token], why] of attempts) {
    await t.step(name, async () => {
      const { status, json, text } = await gateway.ask(operation, body, { token });
      ok([400, 403, 404].includes(status), `${status} ${text}`);
      ok(["refused", "usage", "not_found"].includes(json.error.code), text);
      match(json.error.message, why);
    });
  }
  await t.step("what the request does not know is not passed on", async () => {
    const more = { env: { LD_PRELOAD: "x" }, owner: "another", remoteBin: "sh" };
    const session = await make(gateway, yolo, join(root, "way-in"), more);
    strictEqual(session.path, join(root, "inside"), "the folder that was checked is the one that is used");
    strictEqual((await gateway.result("list", {}, { token: yolo })).length, 2);
    await gateway.result("kill", { ids: [session.id], tree: false, everyone: true, caller: null }, {
      token: yolo,
    });
  });
  await t.step("nothing was made by any of them", async () => {
    deepStrictEqual(rows(sandbox).filter((row) => !row.endsWith("ended")), before.rows);
    deepStrictEqual(await tmuxSessions(sandbox), before.tmux);
  });
  await t.step("a workspace that was replaced is not resumed into", async () => {
    const session = await make(gateway, yolo, join(root, "inside"));
    const kill = { ids: [session.id], tree: false, everyone: true, caller: null };
    await gateway.result("kill", kill, { token: yolo });
    await Deno.rename(join(root, "inside"), join(root, "moved"));
    await Deno.symlink(join(sandbox.root, "outside"), join(root, "inside"));
    const { json } = await gateway.ask("resume", { id: session.id }, { token: yolo });
    strictEqual(json.error.code, "refused", JSON.stringify(json));
  });
  await t.step("a folder that is replaced while the agent starts ends the session", async () => {
    const target = await sandbox.folder("root/swapped");
    const slow = await startGateway(sandbox, ["--socket-dir", join(sandbox.root, "s")], {
      env: { STUB_AGENT: "slow-start=1500" },
    });
    try {
      const making = slow.ask("create", request(target), { token: yolo });
      await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length > before.tmux.length, {
        what: "its terminal is there",
      });
      await Deno.rename(target, join(root, "gone"));
      await Deno.symlink(join(sandbox.root, "outside"), target);
      const { json } = await making;
      strictEqual(json.error.code, "refused", JSON.stringify(json));
      match(json.error.message, /was replaced while the agent started/);
      deepStrictEqual(await tmuxSessions(sandbox), before.tmux);
    } finally {
      await slow[Symbol.asyncDispose]();
    }
  });
});

Deno.test("verbs, the number of sessions and the end of a token hold", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const yolo = ["--root", sandbox.workspace, "--mode", "yolo"];
  await t.step("only the verbs that were named", async () => {
    const { token } = await gateway.token(...yolo, "--verbs", "create,ask");
    const { id } = await make(gateway, token, sandbox.workspace);
    for (
      const [operation, body] of [["status", { id }], ["list", {}], ["kill", { ids: [id] }], ["logs", { id }]]
    ) {
      const { status, json } = await gateway.ask(operation as string, body, { token });
      strictEqual(status, 403, String(operation));
      strictEqual(json.error.code, "refused");
    }
    strictEqual((await gateway.result("send", { id, text: "x" }, { token })).receipt.result, "submitted");
    const interrupting = await gateway.ask("send", { id, text: "x", mode: "interrupt" }, { token });
    strictEqual(interrupting.status, 403, "send --interrupt is an interrupt, too");
  });
  await t.step("no more sessions at once than it may have, also when they come together", async () => {
    const { token } = await gateway.token(...yolo, "--max-sessions", "2");
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() => gateway.ask("create", request(sandbox.workspace), { token })),
    );
    deepStrictEqual(answers.map(({ status }) => status).sort(), [200, 200, 403, 403]);
    const why = answers.find(({ status }) => status === 403)?.json.error.message;
    match(why, /2 sessions made with this token live, and its limit is 2/);
    const [first] = answers.filter(({ status }) => status === 200);
    const { id } = first!.json.result.session;
    await gateway.result("kill", { ids: [id], tree: false, everyone: false, caller: null }, { token });
    await make(gateway, token, sandbox.workspace);
    const resumed = await gateway.ask("resume", { id }, { token });
    strictEqual(resumed.status, 403, "resume adds one, too");
  });
  await t.step("a revoked token's streams end, and its sessions go on", async () => {
    const made = await gateway.token(...yolo);
    const { token } = made;
    const { id } = await make(gateway, token, sandbox.workspace);
    await gateway.result("send", { id, text: "SCRIPT:slow 600" }, { token });
    const waiting = await gateway.stream("wait", { ids: [id], timeoutMs: 600_000 }, { token });
    const events = await gateway.stream("events", { ids: null, follow: true }, { token });
    await events.next();
    const other = await gateway.stream("events", { ids: [id], follow: true });
    await other.next();
    strictEqual((await sandbox.run(["gateway", "token", "revoke", made.id])).code, 0);
    for (const stream of [waiting, events]) {
      const last = (await stream.rest()).at(-1);
      strictEqual(last.error.code, "refused", JSON.stringify(last));
      match(last.error.message, /the token is no longer valid/);
    }
    strictEqual((await gateway.ask("status", { id }, { token })).status, 401);
    strictEqual((await gateway.result("status", { id })).state, "working");
    await other.hangUp();
    match((await sandbox.run(["gateway", "token", "list"])).stdout, /^((?!revoked)[\s\S])*$/);
    match(
      (await sandbox.run(["gateway", "token", "list", "--all"])).stdout,
      new RegExp(`${made.id} .*revoked .* 1/10`),
    );
  });
});

Deno.test("a token is made for a folder that is there, and says so else", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await Deno.writeTextFile(join(sandbox.root, "file"), "");
  const made = (root: string) =>
    sandbox.run(["gateway", "token", "create", "--root", join(sandbox.root, root)]);
  const missing = await made("missing");
  deepStrictEqual([missing.code, missing.stdout], [2, ""]);
  match(missing.stderr, /there is no such folder\. Make it first, or name another one\n/);
  match((await made("file")).stderr, /it is no folder\. Name the folder that holds the projects\n/);
});
