/** Tokens of sessions, and what they stand on: what the agent of a session may do, also of one that a token has made. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createToken } from "../../gateway/token_admin.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { created, sql } from "../support/sandbox_state.ts";

interface Made {
  readonly id: string;
  readonly parent: string | null;
}

async function create(gateway: TestGateway, token: string, path: string, more: Record<string, unknown> = {}) {
  return await gateway.ask("create", { path, agent: "claude", mode: null, ...more }, { token });
}

async function make(...asked: Parameters<typeof create>): Promise<Made> {
  const { json, text } = await create(...asked);
  if (json.result === undefined) throw new Error(text);
  return json.result.session;
}

/** As the container of a session gets it. */
async function bound(sandbox: Sandbox, id: string): Promise<string> {
  const [row] = sql(sandbox, "SELECT token FROM sessions WHERE id = ?", id);
  const { token } = await createToken({
    name: id,
    roots: [sandbox.workspace],
    mode: "yolo",
    agents: [],
    verbs: null,
    maxSessions: 10,
    ttlMs: 3_600_000,
    boundTo: String(row!["token"]),
  }, { ...realDeps(), env: sandbox.env });
  return token;
}

Deno.test("a token that is bound to a session speaks for it, and ends with it", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const self = await created(sandbox);
  const stranger = await created(sandbox);
  const token = await bound(sandbox, self);
  await t.step("what it creates are that session's children", async () => {
    strictEqual((await make(gateway, token, sandbox.workspace)).parent, self);
    const child = await make(gateway, token, sandbox.workspace, { parent: self });
    strictEqual(child.parent, self);
    strictEqual((await make(gateway, token, sandbox.workspace, { parent: child.id })).parent, child.id);
  });
  await t.step("the session itself is none of its own", async () => {
    for (const id of [self, stranger]) {
      strictEqual((await gateway.ask("status", { id }, { token })).status, 404);
      strictEqual((await gateway.ask("respond", { id, answer: { kind: "approve" } }, { token })).status, 404);
    }
    const sent = await create(gateway, token, sandbox.workspace, { parent: stranger });
    strictEqual(sent.json.error.code, "not_found");
  });
  await t.step("kill --all means its children, whatever it says of itself", async () => {
    const scope = { descendantsOf: self };
    const killed = await gateway.result("kill", { all: true, scope, caller: self }, { token });
    strictEqual(killed.killed.length, 3);
    strictEqual((await gateway.result("status", { id: self })).state, "idle");
  });
  await t.step("it ends with the session, and lives again with it", async () => {
    strictEqual((await sandbox.run(["kill", self])).code, 0);
    const answer = await gateway.ask("list", {}, { token });
    strictEqual(answer.status, 401);
    match(answer.json.error.message, /the session that it was made for has ended/);
    strictEqual((await sandbox.run(["resume", self])).code, 0);
    strictEqual((await gateway.ask("list", {}, { token })).status, 200);
  });
});

Deno.test("a session's token permits no more than the one with which the session was made", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const first = await gateway.token(
    ...["--root", sandbox.workspace, "--mode", "yolo", "--cli", "claude", "--max-sessions", "3"],
    ...["--verbs", "create,list,status,kill", "--ttl", "30m"],
  );
  const session = await make(gateway, first.token, sandbox.workspace);
  const token = await bound(sandbox, session.id);
  const child = await make(gateway, token, sandbox.workspace);
  const ids = async (holder: string) => {
    const listed = await gateway.result("list", {}, { token: holder });
    return listed.map((one: { session: Made }) => one.session.id).sort();
  };

  await t.step("no other agents, no other commands", async () => {
    const other = await create(gateway, token, sandbox.workspace, { agent: "codex" });
    match(other.json.error.message, /--cli codex is not permitted with this token, only claude/);
    const sent = await gateway.ask("send", { id: child.id, text: "hello" }, { token });
    deepStrictEqual([sent.status, sent.json.error.code], [403, "refused"]);
  });
  await t.step("what it makes belongs to both, and counts for both", async () => {
    strictEqual(child.parent, session.id);
    deepStrictEqual(await ids(token), [child.id]);
    deepStrictEqual(await ids(first.token), [session.id, child.id].sort());
    const last = await make(gateway, token, sandbox.workspace);
    const full = await create(gateway, token, sandbox.workspace);
    deepStrictEqual([full.status, full.json.error.code], [403, "refused"]);
    match(full.json.error.message, /3 sessions made with this token live, and its limit is 3/);
    await gateway.result("kill", { ids: [last.id], tree: false, everyone: false, caller: null }, {
      token: first.token,
    });
  });
  await t.step("that the host is full is all that is said of others", async () => {
    await Deno.writeTextFile(`${sandbox.home}/.dev-sessions/config.json`, JSON.stringify({ maxSessions: 2 }));
    const full = await create(gateway, token, sandbox.workspace);
    deepStrictEqual([full.status, full.json.error.code], [403, "refused"]);
    match(full.json.error.message, /: the host starts no more sessions at the moment\. [^/]*$/);
    await Deno.remove(`${sandbox.home}/.dev-sessions/config.json`);
  });
  await t.step("it shows as what it permits", async () => {
    const listed = JSON.parse((await sandbox.run(["gateway", "token", "list", "--json"])).stdout);
    const own = listed.find(({ name }: { name: string }) => name === session.id);
    const below = listed.find(({ id }: { id: string }) => id === first.id);
    deepStrictEqual([own.cli, own.verbs], [["claude"], ["create", "list", "status", "kill"]]);
    deepStrictEqual([own.state, own.expiresAt], ["valid", below.expiresAt]);
  });
  await t.step("a third one stands on both", async () => {
    const deeper = await bound(sandbox, child.id);
    const grandchild = await make(gateway, deeper, sandbox.workspace);
    deepStrictEqual(await ids(deeper), [grandchild.id]);
    deepStrictEqual(await ids(token), [child.id, grandchild.id].sort());
    deepStrictEqual(await ids(first.token), [session.id, child.id, grandchild.id].sort());
    strictEqual((await create(gateway, deeper, sandbox.workspace)).status, 403);
    strictEqual((await sandbox.run(["gateway", "token", "revoke", first.id])).code, 0);
    for (const ended of [token, deeper]) {
      const answer = await gateway.ask("list", {}, { token: ended });
      strictEqual(answer.status, 401);
      match(answer.json.error.message, /is no longer valid: it was revoked/);
    }
    match((await sandbox.run(["gateway", "token", "list"])).stdout, /No tokens/);
  });
});

Deno.test("a container's folder is no part of another one's", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const outer = await sandbox.folder("projects");
  const inner = await sandbox.folder("projects/api");
  await t.step("not within one token", async () => {
    const { code, stdout, stderr } = await sandbox.run(
      ["gateway", "token", "create", "--root", outer, "--root", inner],
    );
    deepStrictEqual([code, stdout], [2, ""]);
    match(stderr, /"[^"]*\/projects\/api": it is a part of the root "[^"]*\/projects"/);
  });
  await t.step("nor of two tokens, as long as both are valid", async () => {
    const one = await gateway.token("--root", inner);
    const asked = () => create(gateway, one.token, inner);
    // Permitted, but there is no image to be had.
    match((await asked()).json.error.message, /^Cannot create a session in docker mode: /);
    const other = await gateway.token("--root", outer);
    const answer = await asked();
    deepStrictEqual([answer.status, answer.json.error.code], [403, "refused"]);
    match(answer.json.error.message, /is a part of another folder that containers may have/);
    strictEqual((await sandbox.run(["gateway", "token", "revoke", other.id])).code, 0);
    strictEqual((await asked()).status, 422);
  });
  await t.step("nor of a session that was started by another name", async () => {
    await Deno.symlink(outer, `${sandbox.root}/alias`);
    const { stdout } = await sandbox.run(["create", "-q", "-p", `${sandbox.root}/alias`]);
    sql(sandbox, "UPDATE sessions SET mode = 'docker' WHERE id = ?", stdout.trim());
    const { token } = await gateway.token("--root", inner);
    strictEqual((await create(gateway, token, inner)).status, 403);
  });
  await t.step("nor of one that this version does not understand, or that is being resumed", async () => {
    const other = await sandbox.folder("others");
    const below = await sandbox.folder("others/api");
    const { token } = await gateway.token("--root", below);
    const id = (await sandbox.run(["create", "-q", "-p", other])).stdout.trim();
    const status = async () => (await create(gateway, token, below)).status;
    strictEqual(await status(), 422);
    sql(sandbox, "UPDATE sessions SET mode = 'pod' WHERE id = ?", id);
    strictEqual(await status(), 403);
    sql(
      sandbox,
      "UPDATE sessions SET mode = 'docker', lifecycle = 'ended', resumer = creator WHERE id = ?",
      id,
    );
    strictEqual(await status(), 403);
  });
});
