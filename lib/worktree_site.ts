/** Looks into the repository that a session's worktree is to be made of, and changes nothing. */

import type { Deps } from "./deps.ts";
import { AppError } from "./errors.ts";
import { askGit, gitComplaint, queryGit } from "./git.ts";
import { resolvePath } from "./posix_path.ts";
import type { SessionId } from "./session.ts";
import {
  type Listed,
  ownBranch,
  parseWorktreeList,
  shellWord,
  type Site,
  worktreesFolder,
} from "./worktree_decision.ts";

type GitDeps = Pick<Deps, "run" | "env" | "clock">;

/** Git can't always answer while another process adds or removes a worktree: then it is asked again. */
const ASK_ATTEMPTS = 20;
const ASK_PAUSE_MS = 50;

/**
 * The repository around a folder, changing nothing.
 *
 * @throws AppError when there can be no worktree of it.
 */
export async function inspectSite(
  deps: GitDeps,
  folder: string,
  branch: string | null,
  id: SessionId | null,
): Promise<Site> {
  const cannot = `Cannot create a worktree for "${folder}"`;
  const fail = (why: string) => new AppError("failure", `${cannot}: ${why}`);
  const ask = (args: readonly string[], at = folder) => askGit(deps, at, args, cannot);
  const answer = async (args: readonly string[]): Promise<string> => {
    for (let attempt = 1;; attempt++) {
      const result = await queryGit(deps, folder, args);
      if (result.kind === "exited" && result.code === 0) return result.stdout.replace(/\n$/, "");
      if (result.kind !== "exited" || attempt === ASK_ATTEMPTS) {
        throw fail(`${gitComplaint(result)}. See: git ${args.join(" ")}`);
      }
      await deps.clock.sleep(ASK_PAUSE_MS);
    }
  };

  const kind = await queryGit(deps, folder, [
    "rev-parse",
    "--is-bare-repository",
    "--is-inside-work-tree",
  ]);
  if (kind.kind !== "exited") throw fail(`${gitComplaint(kind)}. Install git, or leave out --worktree`);
  if (kind.code !== 0) {
    throw /not a git repository/.test(kind.stderr)
      ? fail("it is not in a git repository. Make one with: git init, or leave out --worktree")
      : fail(gitComplaint(kind));
  }
  const [bare, inside] = kind.stdout.split("\n");
  if (inside !== "true") {
    throw fail(
      bare === "true"
        ? "it is a bare repository, without files to work on. Use a working tree of it"
        : "it is git's own folder. Use the working tree",
    );
  }
  const [top, prefix, gitFolder, commonFolder, superproject, list, head] = await Promise.all([
    answer(["rev-parse", "--show-toplevel"]),
    answer(["rev-parse", "--show-prefix"]),
    answer(["rev-parse", "--git-dir"]),
    answer(["rev-parse", "--git-common-dir"]),
    ask(["rev-parse", "--show-superproject-working-tree"]),
    answer(["worktree", "list", "--porcelain"]),
    ask(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
  ]);
  if (superproject) {
    throw fail(`it is a submodule of "${superproject}". Use --worktree there`);
  }
  if (head === null) throw fail("its repository has no commit yet. Make one first");

  const all = parseWorktreeList(list);
  const isMain = resolvePath(folder, gitFolder) === resolvePath(folder, commonFolder);
  const repository = isMain ? top : all[0]?.path ?? top;
  const within = prefix.replace(/\/$/, "");
  const given = branch === null ? null : await givenBranch(deps, branch, top, all, cannot);
  const base = given?.commit ?? head;
  const [kindOfFolder, dirty, taken] = await Promise.all([
    within === "" ? "tree" : ask(["cat-file", "-t", `${base}:${within}`], top),
    queryGit(deps, top, ["status", "--porcelain", "-z"]),
    takenIds(deps, repository, given === null),
  ]);
  if (kindOfFolder !== "tree") {
    throw fail(
      `the folder "${within}" is not in the commit ${base.slice(0, 12)}. Commit it first, or use its parent`,
    );
  }
  if (id !== null && taken.has(id)) {
    throw fail(
      `"${worktreesFolder(repository)}/${id}" or the branch "${ownBranch(id)}" exists already. ` +
        "Remove it, or use another --id",
    );
  }
  return {
    repository,
    prefix: within,
    base,
    branch: given === null ? null : { name: given.name, exists: given.commit !== null },
    taken,
    uncommitted: dirty.kind === "exited" && dirty.code === 0 && dirty.stdout !== "",
  };
}

async function givenBranch(
  deps: GitDeps,
  branch: string,
  top: string,
  all: readonly Listed[],
  cannot: string,
): Promise<{ name: string; commit: string | null }> {
  const name = await askGit(deps, top, ["check-ref-format", "--branch", branch], cannot);
  // `@{-1}` would be understood as another branch's name.
  if (name !== branch) throw new AppError("usage", `${cannot}: "${branch}" is no name for a branch`);
  const reference = `refs/heads/${branch}`;
  const user = all.find((one) => one.branch === branch);
  if (user !== undefined) {
    throw new AppError(
      "failure",
      `${cannot}: the branch "${branch}" is checked out in "${user.path}". Use another branch, or work there with: ` +
        `dev-sessions create -p ${shellWord(user.path)}`,
    );
  }
  return {
    name,
    commit: await askGit(deps, top, ["rev-parse", "--verify", "--quiet", `${reference}^{commit}`], cannot),
  };
}

/** Ids that can't be used: a folder or a branch of theirs is there, perhaps kept for what is in it. */
async function takenIds(deps: GitDeps, repository: string, branches: boolean): Promise<Set<SessionId>> {
  const taken = new Set<SessionId>();
  try {
    for await (const { name } of Deno.readDir(worktreesFolder(repository))) taken.add(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new AppError(
        "failure",
        `Cannot create a worktree in "${worktreesFolder(repository)}": ${(error as Error).message}`,
      );
    }
  }
  if (!branches) return taken;
  const prefix = `refs/heads/${ownBranch("")}`;
  const found = await queryGit(deps, repository, ["for-each-ref", "--format=%(refname)", prefix]);
  for (const reference of found.kind === "exited" ? found.stdout.split("\n") : []) {
    const [id = ""] = reference.slice(prefix.length).split("/");
    if (reference.startsWith(prefix) && id !== "") taken.add(id);
  }
  return taken;
}
