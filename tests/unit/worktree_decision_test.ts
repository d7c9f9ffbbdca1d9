/** When a session's worktree may go, and what git's answers mean. */

import { deepStrictEqual } from "node:assert/strict";
import {
  type Findings,
  isWithin,
  judgeRemoval,
  mayDeleteBranch,
  parseHidden,
  parseStatus,
  parseWorktreeList,
  plannedWorktree,
  type Removal,
  shellWord,
  type Site,
} from "../../lib/worktree_decision.ts";

const WORKTREE = {
  repository: "/src/app",
  path: "/src/app.worktrees/fizz-top",
  branch: "dev-sessions/fizz-top",
  newBranch: true,
  base: "b".repeat(40),
};
const LISTED = { path: WORKTREE.path, branch: WORKTREE.branch, locked: false };
const CLEAN = { changed: [], untracked: [], ignored: [] };
const UNCHANGED: Findings = {
  worktree: WORKTREE,
  sessions: [],
  listed: LISTED,
  status: CLEAN,
  hidden: [],
  operation: null,
  ownReferences: [],
  tip: WORKTREE.base,
  reachable: true,
};
const OTHER = "c".repeat(40);

const removed = (branch: "delete" | "keep", note: string | null = null): Removal => ({
  remove: true,
  branch,
  note,
});
const kept = (reason: string): Removal => ({ remove: false, reason });

const TABLE: readonly (readonly [name: string, changes: Partial<Findings>, verdict: Removal])[] = [
  ["unchanged", {}, removed("delete")],
  ["merged", { tip: OTHER }, removed("delete")],
  [
    "unchanged, but the base is nowhere else",
    { reachable: false },
    removed(
      "keep",
      "its branch dev-sessions/fizz-top stays: no other branch has its commits",
    ),
  ],
  ["a branch that was there before", { worktree: { ...WORKTREE, newBranch: false } }, removed("keep")],
  [
    "a branch that was there before, unchanged and nowhere else",
    { worktree: { ...WORKTREE, newBranch: false }, reachable: false },
    removed("keep"),
  ],
  [
    "commits that are nowhere else",
    { tip: OTHER, reachable: false },
    kept("its branch dev-sessions/fizz-top has commits that no other branch has"),
  ],
  ["no branch any more", { tip: null, reachable: false }, kept("its branch dev-sessions/fizz-top is gone")],
  [
    "not known to git",
    { listed: null },
    kept("git does not know it as a worktree of the repository (any more)"),
  ],
  ["locked", { listed: { ...LISTED, locked: true } }, kept("it is locked")],
  ["detached", { listed: { ...LISTED, branch: null } }, kept("its HEAD is on no branch")],
  [
    "on another branch",
    { listed: { ...LISTED, branch: "main" } },
    kept("it is on the branch main, not on its own branch dev-sessions/fizz-top"),
  ],
  [
    "a rebase, which detaches",
    { listed: { ...LISTED, branch: null }, operation: "rebase" },
    kept("a rebase is in progress"),
  ],
  ["one changed file", { status: { ...CLEAN, changed: ["a b"] } }, kept("it has 1 changed file (a b)")],
  [
    "many untracked files",
    { status: { ...CLEAN, untracked: ["a", "b", "c", "d"] } },
    kept("it has 4 untracked files (a, b, c, ...)"),
  ],
  ["an ignored file", { status: { ...CLEAN, ignored: [".env"] } }, kept("it has 1 ignored file (.env)")],
  [
    "a name for terminals",
    { status: { ...CLEAN, untracked: ["a\n\x1b[2J"] } },
    kept("it has 1 untracked file (a??[2J)"),
  ],
  ["overlooked files", { hidden: ["a"] }, kept("git was told to overlook 1 file (a)")],
  [
    "own references",
    { ownReferences: ["refs/worktree/x"] },
    kept("it has 1 reference (refs/worktree/x) of its own"),
  ],
  ["a session in it", { sessions: ["zed-mid"] }, kept("the session zed-mid works in it")],
  ["sessions in it", { sessions: ["zed-mid", "vi-jg"] }, kept("the sessions zed-mid, vi-jg work in it")],
];

Deno.test("judgeRemoval() removes only what loses nothing", async (t) => {
  for (const [name, changes, verdict] of TABLE) {
    await t.step(name, () => deepStrictEqual(judgeRemoval({ ...UNCHANGED, ...changes }), verdict));
  }
});

Deno.test("mayDeleteBranch() of a worktree that is gone", () => {
  const may = (changes: Partial<Findings>, users = [{ ...LISTED, path: "/src/app", branch: "main" }]) =>
    mayDeleteBranch({ ...UNCHANGED, ...changes }, users);
  deepStrictEqual([
    may({}),
    may({ reachable: false }),
    may({ tip: null }),
    may({ worktree: { ...WORKTREE, newBranch: false } }),
    may({}, [LISTED]),
  ], [true, false, false, false, false]);
});

Deno.test("plannedWorktree() is beside the repository", () => {
  const site: Site = {
    repository: "/src/app",
    prefix: "",
    base: WORKTREE.base,
    branch: null,
    taken: new Set(),
    uncommitted: false,
  };
  deepStrictEqual(plannedWorktree(site, "fizz-top"), { worktree: WORKTREE, path: WORKTREE.path });
  deepStrictEqual(
    plannedWorktree({ ...site, prefix: "packages/web", branch: { name: "topic", exists: true } }, "fizz-top"),
    {
      worktree: { ...WORKTREE, branch: "topic", newBranch: false },
      path: "/src/app.worktrees/fizz-top/packages/web",
    },
  );
});

Deno.test("parseWorktreeList() reads branches, detached and bare entries, and locks", () => {
  const text = [
    "worktree /src/bare.git\nbare\n",
    "worktree /src/with space\nHEAD 1\nbranch refs/heads/fix/a\n",
    "worktree /src/b\nHEAD 2\ndetached\nlocked why not\n",
    "worktree /src/c\nHEAD 3\nbranch refs/heads/c\nlocked\nprunable gone\n",
  ].join("\n");
  deepStrictEqual(parseWorktreeList(text), [
    { path: "/src/bare.git", branch: null, locked: false },
    { path: "/src/with space", branch: "fix/a", locked: false },
    { path: "/src/b", branch: null, locked: true },
    { path: "/src/c", branch: "c", locked: true },
  ]);
  deepStrictEqual(parseWorktreeList(""), []);
});

Deno.test("parseStatus() sorts entries, renames included, and knows what it does not know", () => {
  const text = [
    "# branch.oid x",
    "1 .M N... 100644 100644 100644 a b c d.txt",
    "2 R. N... 100644 100644 100644 a b R100 new name",
    "? old name",
    "u UU N... 100644 100644 100644 100644 a b c both",
    "? un tracked",
    "! .env",
    "",
  ].join("\0");
  deepStrictEqual(parseStatus(text), {
    changed: ["c d.txt", "new name", "both"],
    untracked: ["un tracked"],
    ignored: [".env"],
  });
  deepStrictEqual(parseStatus(""), CLEAN);
  deepStrictEqual(parseStatus("x something new\0"), null);
});

Deno.test("parseHidden() finds what git status passes over", () => {
  deepStrictEqual(parseHidden("H a\0h b c\0S d\0M e\0s f\0"), ["b c", "d", "f"]);
});

Deno.test("isWithin() compares whole names", () => {
  const within = (path: string) => isWithin(path, "/a/b");
  deepStrictEqual(["/a/b", "/a/b/c", "/a/bc", "/a", "/a/b/../c", "a/b"].map(within), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("shellWord() quotes what a shell would take apart", () => {
  deepStrictEqual(["/a/b-1.c", "a b", "it's", ""].map(shellWord), ["/a/b-1.c", "'a b'", `'it'\\''s'`, "''"]);
});
