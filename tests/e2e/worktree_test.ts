/** The real Claude Code in a git worktree of its own: trusted as its repository is, kept or removed with its session. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  LiveSession,
  modelOf,
  openSession,
  step,
} from "../support/live_session.ts";
import { branches, git, makeRepository } from "../support/repository.ts";

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

/** As Claude itself keeps it when a person has accepted its dialog. */
async function trust(sandbox: Sandbox, folder: string): Promise<void> {
  const file = join(sandbox.home, ".claude.json");
  const config = JSON.parse(await Deno.readTextFile(file));
  config.projects = { ...config.projects, [folder]: { hasTrustDialogAccepted: true } };
  await Deno.writeTextFile(file, JSON.stringify(config));
}

async function worktreeOf(session: LiveSession): Promise<{ path: string; branch: string }> {
  return JSON.parse(await session.expect(0, "inspect")).worktree;
}

Deno.test("worktrees with the real Claude Code", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  await makeRepository(sandbox);
  const untracked = (path: string) => git(sandbox, path, "status", "--porcelain", "--ignored");

  await step(
    t,
    "native mode: a worktree of a repository that nobody trusts shows the dialog, and is taken back",
    async () => {
      const { code, stderr } = await sandbox.run(["create", "--worktree", "-m", "native"]);
      strictEqual(code, 1);
      match(stderr, /Claude asks whether to trust this folder\. Trust it with --trust/);
      deepStrictEqual(await branches(sandbox), ["main"]);
      strictEqual(await exists(`${sandbox.workspace}.worktrees`), false);
    },
  );

  await step(
    t,
    "native mode: a worktree of a trusted repository is trusted, and goes when it is unchanged",
    async () => {
      await trust(sandbox, sandbox.workspace);
      const session = await createSession(sandbox, ["--worktree", "-m", "native"]);
      const { path, branch } = await worktreeOf(session);
      strictEqual(await session.turn("SCRIPT:plain in a worktree"), "REPLY: in a worktree [length 26]");
      strictEqual(await git(sandbox, path, "symbolic-ref", "--short", "HEAD"), branch);
      strictEqual(await untracked(path), "", "Claude leaves nothing of its own there");
      const killed = await session.expect(0, "kill");
      strictEqual(killed, `Killed session ${session.id}\nRemoved worktree ${path}`);
      strictEqual(await exists(path), false);
      // Its conversation stays readable.
      strictEqual(await session.lastMessage(), "REPLY: in a worktree [length 26]");
    },
  );

  await step(t, "what the agent has made is kept, and removed once it is merged", async () => {
    const session = await createSession(sandbox, ["--worktree", "topic"]);
    const { path } = await worktreeOf(session);
    await session.turn("SCRIPT:bash echo work > work.txt && git add work.txt && git commit --quiet -m work");
    strictEqual(await Deno.readTextFile(join(path, "work.txt")), "work\n");
    const { stderr, stdout } = await session.run("kill");
    strictEqual(stdout, `Killed session ${session.id}\n`);
    match(stderr, /kept the worktree .*: its branch topic has commits that no other branch has\./);
    await git(sandbox, sandbox.workspace, "merge", "--quiet", "topic");
    strictEqual(
      await session.expect(0, "kill"),
      `Session ${session.id} had already ended\nRemoved worktree ${path}`,
    );
    deepStrictEqual(await branches(sandbox), ["main"]);
  });

  await step(t, "create --message: the model receives it, and its tokens are counted", async () => {
    const text = "SCRIPT:plain from {{session.id}} on {{git.branch}}";
    const made = await sandbox.run(["create", "--json", "--worktree", "--render", "--message", text]);
    strictEqual(made.code, 0, made.stderr);
    const { id, send, worktree } = JSON.parse(made.stdout);
    strictEqual(send.result, "submitted");
    const session = await openSession(sandbox, id);
    strictEqual(await session.expect(0, "wait", ["--message", send.receipt, "-t", "30"]), "completed");
    deepStrictEqual(modelOf(sandbox).prompts(session.claudeId), [
      `SCRIPT:plain from ${id} on ${worktree.branch}`,
    ]);
    match(await session.lastMessage(), new RegExp(`^REPLY: from ${id} on ${worktree.branch} `));

    const usage = async () => JSON.parse(await session.expect(0, "inspect")).usage;
    const one = await usage();
    deepStrictEqual(Object.keys(one), ["input", "output", "cacheRead", "cacheWrite", "total"]);
    ok(one.input > 0);
    strictEqual(one.output, 42);
    strictEqual(one.total, one.input + one.output + one.cacheRead + one.cacheWrite);
    // A turn of two replies with a tool; then another conversation.
    await session.turn("SCRIPT:bash true");
    strictEqual((await usage()).output, 3 * 42);
    await session.type("/clear");
    await session.press("Enter");
    await sandbox.eventually(async () => (await session.live())?.sessionId !== session.claudeId, {
      what: "another conversation",
    });
    await session.turn("SCRIPT:plain afresh");
    strictEqual((await usage()).output, 4 * 42);
    const listed = JSON.parse((await sandbox.run(["list", "--json"])).stdout);
    deepStrictEqual(listed.map((one: { usage: unknown }) => one.usage), [await usage()]);
    await session.expect(0, "kill");
    const [ended] = JSON.parse((await sandbox.run(["usage", id, "--json"])).stdout);
    strictEqual(ended.usage.output, 4 * 42);
  });
  await assertNothingLeft(sandbox);
});
