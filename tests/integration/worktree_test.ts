/**
 * A session in a git worktree of its own: made beside the repository, removed only when nothing in it could be lost.
 *
 * Long, because each way in which something could be lost has its own test.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import {
  agentPid,
  assertNothingLeft,
  created,
  environmentOf,
  json,
  rows,
  sessionFolders,
  sql,
} from "../support/sandbox_state.ts";
import { gateGit, gateTmux } from "../support/tmux_gate.ts";
import { branches, commit, git, makeRepository } from "../support/repository.ts";

interface Made {
  readonly id: string;
  readonly path: string;
  readonly worktree: {
    readonly repository: string;
    readonly path: string;
    readonly branch: string;
    readonly newBranch: boolean;
    readonly base: string;
  };
}
interface Removal {
  readonly id: string;
  readonly path: string;
  readonly removed: boolean;
  readonly reason: string | null;
}

async function make(
  sandbox: Sandbox,
  args: readonly string[] = [],
  settings: RunSettings = {},
): Promise<Made> {
  const { code, stdout, stderr } = await sandbox.run(["create", "--json", "--worktree", ...args], settings);
  strictEqual(code, 0, stderr);
  return JSON.parse(stdout);
}

async function kill(sandbox: Sandbox, id: string): Promise<Removal[]> {
  const { worktrees } = await json<{ worktrees: Removal[] }>(sandbox, ["kill", id]);
  return worktrees;
}

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

Deno.test("a worktree is made beside the repository, and goes with its session and its branch", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const base = await makeRepository(sandbox);
  const { id, path, worktree } = await make(sandbox);
  deepStrictEqual(worktree, {
    repository: sandbox.workspace,
    path: `${sandbox.workspace}.worktrees/${id}`,
    branch: `dev-sessions/${id}`,
    newBranch: true,
    base,
  });
  strictEqual(path, worktree.path);
  strictEqual(await git(sandbox, path, "rev-parse", "HEAD"), base);
  strictEqual(await git(sandbox, path, "symbolic-ref", "--short", "HEAD"), worktree.branch);
  strictEqual(await Deno.readTextFile(join(path, "a.txt")), "a\n");

  const killed = await sandbox.run(["kill", id]);
  strictEqual(killed.stderr, "");
  strictEqual(killed.stdout, `Killed session ${id}\nRemoved worktree ${path}\n`);
  strictEqual(await exists(`${sandbox.workspace}.worktrees`), false);
  deepStrictEqual(await branches(sandbox), ["main"]);
  deepStrictEqual((await git(sandbox, sandbox.workspace, "worktree", "list")).split("\n").length, 1);
  deepStrictEqual(await kill(sandbox, id), []);
});

/** What makes a worktree worth keeping, and how `kill` says it. */
const KEPT:
  readonly (readonly [name: string, spoil: (sandbox: Sandbox, made: Made) => Promise<unknown>, RegExp])[] = [
    [
      "a changed file",
      (_, { path }) => Deno.writeTextFile(join(path, "a.txt"), "b\n"),
      /^it has 1 changed file \(a\.txt\)$/,
    ],
    [
      "a staged file",
      async (sandbox, { path }) => {
        await Deno.writeTextFile(join(path, "new.txt"), "b\n");
        await git(sandbox, path, "add", "new.txt");
      },
      /^it has 1 changed file \(new\.txt\)$/,
    ],
    [
      "an untracked file",
      (_, { path }) => Deno.writeTextFile(join(path, "notes"), ""),
      /^it has 1 untracked file \(notes\)$/,
    ],
    [
      "an ignored file",
      (_, { path }) => Deno.writeTextFile(join(path, ".env"), "KEY=1\n"),
      /^it has 1 ignored file \(\.env\)$/,
    ],
    [
      "a change that git was told to overlook",
      async (sandbox, { path }) => {
        await git(sandbox, path, "update-index", "--assume-unchanged", "a.txt");
        await Deno.writeTextFile(join(path, "a.txt"), "secret\n");
      },
      /^git was told to overlook 1 file \(a\.txt\)$/,
    ],
    [
      "a commit that is nowhere else",
      (sandbox, { path }) => commit(sandbox, path, "b.txt"),
      /^its branch dev-sessions\/\S+ has commits that no other branch has$/,
    ],
    [
      "a rebase in progress",
      async (sandbox, { path }) => {
        await commit(sandbox, path, "a.txt", "theirs\n");
        await commit(sandbox, sandbox.workspace, "a.txt", "ours\n");
        await git(sandbox, path, "rebase", "main").catch(() => {});
        ok((await git(sandbox, path, "status")).includes("rebase in progress"));
      },
      /^a rebase is in progress$/,
    ],
    [
      "a HEAD on no branch",
      (sandbox, { path }) => git(sandbox, path, "checkout", "--detach"),
      /^its HEAD is on no branch$/,
    ],
    [
      "another branch",
      (sandbox, { path }) => git(sandbox, path, "checkout", "-b", "other"),
      /^it is on the branch other, not on its own branch/,
    ],
    [
      "a lock",
      (sandbox, { path }) => git(sandbox, sandbox.workspace, "worktree", "lock", path),
      /^it is locked$/,
    ],
  ];

Deno.test("kill keeps a worktree with anything that could be lost, and says what", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  for (const [name, spoil, reason] of KEPT) {
    await t.step({
      name,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const made = await make(sandbox);
        await spoil(sandbox, made);
        const { code, stdout, stderr } = await sandbox.run(["kill", made.id]);
        strictEqual(code, 0, stderr);
        strictEqual(stdout, `Killed session ${made.id}\n`);
        const { path } = made.worktree;
        ok(stderr.startsWith(`[dev-sessions] kept the worktree of ${made.id} at "${path}": `), stderr);
        ok(stderr.endsWith(`: git -C ${sandbox.workspace} worktree remove --force ${path}\n`), stderr);
        // Killed again, it is looked at again.
        const [again, ...more] = await kill(sandbox, made.id);
        deepStrictEqual([again?.path, again?.removed, more], [path, false, []]);
        match(again?.reason ?? "", reason);
        ok(await exists(path));
        ok((await branches(sandbox)).includes(made.worktree.branch));
      },
    });
  }
});

Deno.test("what another session works in is kept, whoever is killed first", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const { id, path } = await make(sandbox);
  const guest = await created(sandbox, ["-p", join(path, "sub")]);
  const [kept] = await kill(sandbox, id);
  deepStrictEqual(kept, { id, path, removed: false, reason: `the session ${guest} works in it` });
  deepStrictEqual(await kill(sandbox, guest), []);
  deepStrictEqual(await kill(sandbox, id), [{ id, path, removed: true, reason: null }]);
  strictEqual(await exists(path), false);
});

Deno.test("a merged branch goes with its worktree; one that was there before stays", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const own = await make(sandbox);
  await commit(sandbox, own.path, "done.txt");
  await git(sandbox, sandbox.workspace, "merge", "--quiet", own.worktree.branch);
  deepStrictEqual((await kill(sandbox, own.id)).map(({ removed }) => removed), [true]);
  deepStrictEqual(await branches(sandbox), ["main"]);

  await git(sandbox, sandbox.workspace, "branch", "topic");
  const given = await make(sandbox, ["topic"]);
  deepStrictEqual([given.worktree.branch, given.worktree.newBranch], ["topic", false]);
  deepStrictEqual((await kill(sandbox, given.id)).map(({ removed }) => removed), [true]);
  deepStrictEqual(await branches(sandbox), ["main", "topic"]);

  const named = await make(sandbox, ["fix/login"]);
  deepStrictEqual([named.worktree.branch, named.worktree.newBranch], ["fix/login", true]);
  await commit(sandbox, named.path, "login.txt");
  // As a push to a remote leaves it.
  await git(sandbox, named.path, "update-ref", "refs/remotes/origin/fix/login", "HEAD");
  deepStrictEqual((await kill(sandbox, named.id)).map(({ removed }) => removed), [true]);
  deepStrictEqual(await branches(sandbox), ["main", "topic"]);
});

Deno.test("a worktree can be made of a subfolder and of another worktree, and a git hook's environment is not followed", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const base = await makeRepository(sandbox);
  const elsewhere = join(sandbox.root, "other");
  await makeRepository(sandbox, elsewhere);
  const env = { GIT_DIR: join(elsewhere, ".git"), GIT_WORK_TREE: elsewhere, GIT_INDEX_FILE: "/nonexistent" };
  const first = await make(sandbox, ["-p", "sub"], { env });
  deepStrictEqual(first.path, join(first.worktree.path, "sub"));
  deepStrictEqual([first.worktree.repository, first.worktree.base], [sandbox.workspace, base]);
  const environment = environmentOf(agentPid(sandbox, first.id));
  deepStrictEqual(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"].map((name) => environment.get(name)), [
    undefined,
    undefined,
    undefined,
  ]);
  const newer = await commit(sandbox, first.worktree.path, "b.txt");
  const second = await make(sandbox, ["-p", first.path]);
  deepStrictEqual([second.worktree.repository, second.worktree.base], [sandbox.workspace, newer]);
  strictEqual(second.path, join(`${sandbox.workspace}.worktrees`, second.id, "sub"));
  // Now the second one's branch has the first one's commit.
  deepStrictEqual((await kill(sandbox, first.id)).map(({ removed }) => removed), [true]);
  const [removal] = await kill(sandbox, second.id);
  strictEqual(removal?.removed, true);
  strictEqual(removal.reason, `its branch ${second.worktree.branch} stays: no other branch has its commits`);
  deepStrictEqual(await branches(sandbox), [second.worktree.branch, "main"]);
});

Deno.test("a worktree that can't be made is refused before anything has changed", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const plain = await sandbox.folder("plain");
  const empty = await sandbox.folder("empty");
  await makeRepository(sandbox);
  await git(sandbox, empty, "init", "--quiet");
  const bare = await sandbox.folder("bare.git");
  await git(sandbox, bare, "init", "--quiet", "--bare");
  const fresh = join(sandbox.workspace, "fresh");
  await Deno.mkdir(fresh);
  await Deno.mkdir(`${sandbox.workspace}.worktrees/fizz-top`, { recursive: true });
  const refusals: readonly (readonly [string, readonly string[], RegExp, RunSettings?])[] = [
    ["no repository", ["-p", plain], /: it is not in a git repository\. Make one with: git init/],
    ["a bare repository", ["-p", bare], /: it is a bare repository/],
    ["git's own folder", ["-p", join(sandbox.workspace, ".git")], /: it is git's own folder/],
    ["no commit", ["-p", empty], /: its repository has no commit yet\. Make one first/],
    [
      "a folder that is in no commit",
      ["-p", fresh],
      /: the folder "fresh" is not in the commit [0-9a-f]{12}\./,
    ],
    ["a branch in use", ["main"], /: the branch "main" is checked out in "[^"]+\/ws"\./],
    ["no name for a branch", ["a..b"], /: "a\.\.b" is no name for a branch/],
    ["another name for a branch", ["@{-1}"], /: "@\{-1\}" is no name for a branch/],
    [
      "a folder that is there",
      ["--id", "fizz-top"],
      /fizz-top" or the branch "dev-sessions\/fizz-top" exists already/,
    ],
  ];
  const state = async () => [
    rows(sandbox),
    sessionFolders(sandbox),
    await branches(sandbox),
    await git(sandbox, sandbox.workspace, "worktree", "list"),
    [...Deno.readDirSync(`${sandbox.workspace}.worktrees`)].length,
  ];
  const before = await state();
  for (const [name, args, message, settings] of refusals) {
    await t.step({
      name,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const { code, stdout, stderr } = await sandbox.run(["create", "--worktree", ...args], settings);
        ok(code === 1 || code === 2, stdout);
        match(stderr, /^Cannot create a worktree for "/);
        match(stderr, message);
        deepStrictEqual(await state(), before);
      },
    });
  }
  await t.step({
    name: "no git",
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const bin = await sandbox.folder("only");
      for (const name of ["tmux", "sh", "env", "rm"]) {
        const { stdout } = await sandbox.spawn("/bin/sh", ["-c", `command -v ${name}`]).done();
        await Deno.symlink(stdout.trim(), join(bin, name));
      }
      const env = { PATH: `${join(sandbox.root, "bin")}:${bin}` };
      const { code, stderr } = await sandbox.run(["create", "--worktree"], { env });
      strictEqual(code, 1);
      match(stderr, /git was not found on PATH\. Install git, or leave out --worktree\n$/);
      deepStrictEqual(await state(), before);
    },
  });
});

Deno.test("changes that are not committed are not in the worktree, and create says so", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  await Deno.writeTextFile(join(sandbox.workspace, "a.txt"), "changed\n");
  const { code, stderr } = await sandbox.run(["create", "-q", "--worktree"]);
  strictEqual(code, 0);
  strictEqual(
    stderr,
    `[dev-sessions] the worktree begins with the last commit: changes in "${sandbox.workspace}" that are not ` +
      "committed are not in it\n",
  );
});

Deno.test("sessions of one repository are made and killed at the same time", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const all = await Promise.all(Array.from({ length: 6 }, () => make(sandbox)));
  strictEqual(new Set(all.map(({ path }) => path)).size, 6);
  const removals = await Promise.all(all.map(({ id }) => kill(sandbox, id)));
  deepStrictEqual(
    removals.flat().map(({ removed, reason }) => [removed, reason]),
    all.map(() => [true, null]),
  );
  deepStrictEqual(await branches(sandbox), ["main"]);
  strictEqual(await exists(`${sandbox.workspace}.worktrees`), false);
});

Deno.test("a create that fails takes its worktree back", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["die-at-once=3"] });
  await makeRepository(sandbox);
  const { code, stderr } = await sandbox.run(["create", "--worktree"]);
  strictEqual(code, 1, stderr);
  await assertNothingLeft(sandbox);
  deepStrictEqual(await branches(sandbox), ["main"]);
  strictEqual(await exists(`${sandbox.workspace}.worktrees`), false);
});

const POINTS = [
  { program: "git", word: "add", when: "before", at: "before git has made its worktree" },
  { program: "git", word: "add", when: "after", at: "before it has learned that git made its worktree" },
  { program: "tmux", word: "new-session", when: "before", at: "before tmux has opened its session" },
  { program: "tmux", word: "display-message", when: "after", at: "while it looks at the agent" },
] as const;

for (const { program, word, when, at } of POINTS) {
  Deno.test(`create --worktree killed ${at} leaves nothing`, async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    await makeRepository(sandbox);
    const gate = await (program === "git" ? gateGit : gateTmux)(sandbox, word, when);
    await using creating = sandbox.start(["create", "--worktree"]);
    await gate.reached();
    creating.kill("SIGKILL");
    await creating.child.status;
    const atWork = program === "git";
    const listed = await json<unknown[]>(sandbox, ["list", "--all"]);
    // Its git is still at work: what that makes could not be taken back.
    strictEqual(listed.length, atWork ? 1 : 0);
    if (atWork) await gate.open();
    await sandbox.eventually(async () => (await json<unknown[]>(sandbox, ["list", "--all"])).length === 0, {
      what: "the next command has tidied up",
    });
    await assertNothingLeft(sandbox);
    deepStrictEqual(await branches(sandbox), ["main"]);
    strictEqual(await exists(`${sandbox.workspace}.worktrees`), false);
    await gate.open();
  });
}

Deno.test("a killed create's worktree with anything in it is kept, and the next command says so", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const gate = await gateTmux(sandbox, "new-session", "before");
  await using creating = sandbox.start(["create", "--worktree", "--id", "fizz-top"]);
  await gate.reached();
  const path = `${sandbox.workspace}.worktrees/fizz-top`;
  await Deno.writeTextFile(join(path, ".env"), "made by a hook\n");
  creating.kill("SIGKILL");
  await creating.child.status;
  const { stderr } = await sandbox.run(["list"]);
  match(
    stderr,
    /^\[dev-sessions\] kept the worktree of fizz-top at "[^"]+": it has 1 ignored file \(\.env\)\./,
  );
  ok(await exists(join(path, ".env")));
  deepStrictEqual(rows(sandbox), []);
  await gate.open();
});

Deno.test("a worktree in which a session lives that is not understood stays", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const { id, worktree } = await make(sandbox);
  const inside = await created(sandbox, ["-p", worktree.path]);
  sql(sandbox, "UPDATE sessions SET mode = 'another' WHERE id = ?", inside);
  const { code, stderr } = await sandbox.run(["kill", id]);
  strictEqual(code, 0, stderr);
  match(stderr, new RegExp(inside));
  ok(await exists(worktree.path));
  sql(sandbox, "UPDATE sessions SET mode = 'yolo' WHERE id = ?", inside);
  strictEqual((await sandbox.run(["status", inside])).stdout, "idle\n");
});

Deno.test("a worktree that can't be locked stays, and its session and the others are ended", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await makeRepository(sandbox);
  const { id, worktree } = await make(sandbox);
  const other = await created(sandbox);
  const locks = join(sandbox.home, ".dev-sessions", "locks");
  await Deno.remove(locks, { recursive: true });
  await Deno.writeTextFile(locks, "");
  const { code, stdout, stderr } = await sandbox.run(["kill", id, other]);
  deepStrictEqual([code, stdout], [0, `Killed session ${id}\nKilled session ${other}\n`], stderr);
  match(stderr, new RegExp(`^\\[dev-sessions\\] .*${worktree.path}`));
  ok(await exists(worktree.path));
});
