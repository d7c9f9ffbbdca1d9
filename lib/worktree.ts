/**
 * The git worktrees of sessions: made where their rows say, and removed only when nothing in them could be lost. A git
 * that fails or does not answer removes nothing.
 */

import { commandLines } from "./command_lines.ts";
import type { Deps } from "./deps.ts";
import { AppError, messageOf } from "./errors.ts";
import { acquireLock } from "./file_lock.ts";
import { realPathOf } from "./files.ts";
import { gitComplaint, queryGit, runGit } from "./git.ts";
import { pathsFrom } from "./paths.ts";
import type { WorktreeRemoval } from "./service.ts";
import { sha256 } from "./sha256.ts";
import type { Store } from "./store.ts";
import type { Session, SessionId, Worktree } from "./session.ts";
import {
  isWithin,
  judgeRemoval,
  type Listed,
  mayDeleteBranch,
  parseHidden,
  parseStatus,
  parseWorktreeList,
  shellWord,
  worktreesFolder,
} from "./worktree_decision.ts";

export { keptNote } from "./worktree_decision.ts";

/** A checkout of a large repository, and what its post-checkout hook does. */
const ADD_TIMEOUT_MS = 600_000;
const REMOVE_TIMEOUT_MS = 120_000;
/** For a `git worktree add` whose `create` was killed, and the pause between looks at it. */
const LATE_ADD_TIMEOUT_MS = 2_000;
const LATE_ADD_POLL_MS = 50;
/** Somebody may remove the empty folder between our steps. */
const FOLDER_ATTEMPTS = 20;

/** Files and folders of a worktree's git folder that stand for something unfinished. */
const OPERATIONS: readonly (readonly [name: string, operation: string])[] = [
  ["rebase-merge", "rebase"],
  ["rebase-apply", "rebase"],
  ["MERGE_HEAD", "merge"],
  ["CHERRY_PICK_HEAD", "cherry-pick"],
  ["REVERT_HEAD", "revert"],
  ["BISECT_LOG", "bisect"],
  ["sequencer", "sequence of commits"],
];

/** Thrown where something can't be told: then nothing is removed. */
class Untold extends Error {}

export class Worktrees {
  constructor(private readonly deps: Deps, private readonly store: Pick<Store, "list" | "atWork">) {}

  /** Makes the worktree that the session's row names. @throws AppError when git does not. */
  async add(worktree: Worktree, path: string): Promise<void> {
    const cannot = `Cannot create the worktree "${worktree.path}"`;
    try {
      await makeFolder(worktree.path);
    } catch (error) {
      const exists = error instanceof Deno.errors.AlreadyExists;
      const why = exists ? "it exists already. Try again" : (error as Error).message;
      throw new AppError("failure", `${cannot}: ${why}`);
    }
    const { branch, newBranch, base } = worktree;
    const args = newBranch ? ["-b", branch, "--", worktree.path, base] : ["--", worktree.path, branch];
    const result = await this.#alone(
      worktree,
      () => runGit(this.deps, worktree.repository, ["worktree", "add", ...args], ADD_TIMEOUT_MS),
    ).catch((error) => {
      throw error instanceof Untold ? new AppError("failure", `${cannot}: ${error.message}`) : error;
    });
    if (result === null) {
      throw new AppError("failure", `${cannot}: other commands are busy with worktrees of this repository`);
    }
    if (result.kind !== "exited" || result.code !== 0) {
      throw new AppError("failure", `${cannot}: ${gitComplaint(result)}`);
    }
    // A sparse checkout may leave it out although it is in the commit.
    if (!isFolder(path)) throw new AppError("failure", `${cannot}: "${path}" is not in its checkout`);
  }

  /** Takes away what a `create` began that did not come to its end; `unknown` while its git is still at work. */
  async rollBack(session: Session): Promise<"unknown" | WorktreeRemoval | null> {
    const { worktree } = session;
    if (worktree === null) return null;
    const deadline = this.deps.clock.monotonic() + LATE_ADD_TIMEOUT_MS;
    while (await isBeingAdded(this.deps, worktree.path)) {
      if (this.deps.clock.monotonic() >= deadline) return "unknown";
      await this.deps.clock.sleep(LATE_ADD_POLL_MS);
    }
    const listed = await this.#list(worktree).catch(() => null);
    if (listed !== null && !listed.some(({ path }) => path === worktree.path)) {
      // Its folder was all that was made; one that is not empty stays.
      if (isFolder(worktree.path)) await Deno.remove(worktree.path).catch(() => {});
    }
    return await this.removeUnlessNeeded(session);
  }

  /**
   * Removes the worktree of a session whose agent is proven to be dead, unless anything in it could be lost. Null when
   * there is none. What can't be removed, or not be judged, is kept, with the reason; nothing is thrown.
   */
  async removeUnlessNeeded(session: Session): Promise<WorktreeRemoval | null> {
    const { worktree, id } = session;
    if (worktree === null) return null;
    let there = true;
    const kept = (reason: string): WorktreeRemoval => ({
      id,
      path: worktree.path,
      removed: false,
      reason,
      command: removeCommand(worktree),
    });
    try {
      there = await exists(worktree.path);
      if (!there) {
        await this.#removeBranch(worktree);
        await removeEmpty(worktree);
        return null;
      }
      const result = await this.#alone(worktree, () => this.#remove(session, worktree));
      if (result === null) return kept("other commands are busy with worktrees of this repository");
      const { removed, reason } = result;
      if (!removed) return kept(reason);
      await removeEmpty(worktree);
      return { id, path: worktree.path, removed, reason, command: null };
    } catch (error) {
      // Whatever it is: the session has ended all the same.
      return there ? kept(messageOf(error)) : null;
    }
  }

  /** Git gives up when it meets a worktree that is just being made or removed. Null when others do not come to an end. */
  async #alone<T>({ repository }: Worktree, work: () => Promise<T>): Promise<T | null> {
    using lock = await this.#lock(repository);
    return lock === null ? null : await work();
  }

  /** @throws Untold when there can be no lock, e.g. on a full disk. */
  async #lock(repository: string): Promise<Disposable | null> {
    const { locks } = pathsFrom(this.deps.env);
    const name = (await sha256(repository)).slice(0, 16);
    try {
      Deno.mkdirSync(locks, { recursive: true, mode: 0o700 });
      return await acquireLock(`${locks}/worktrees-${name}.lock`, {
        timeoutMs: ADD_TIMEOUT_MS,
        clock: this.deps.clock,
        signal: new AbortController().signal,
      });
    } catch (error) {
      throw new Untold(messageOf(error));
    }
  }

  async #remove(
    session: Session,
    worktree: Worktree,
  ): Promise<{ removed: true; reason: string | null } | { removed: false; reason: string }> {
    const { path, repository } = worktree;
    const list = await this.#list(worktree);
    const listed = list.find((one) => one.path === path) ?? null;
    // Its folder is no worktree, so that git would answer for a repository around it.
    const asked = listed === null ? null : await this.#look(path);
    const branch = await this.#branch(worktree);
    const verdict = judgeRemoval({
      worktree,
      listed,
      sessions: await this.#sessionsIn(session, path),
      ...asked ?? { status: NOTHING, hidden: [], operation: null, ownReferences: [] },
      ...branch,
    });
    if (!verdict.remove) return { removed: false, reason: verdict.reason };
    const removed = await runGit(
      this.deps,
      repository,
      ["worktree", "remove", "--", path],
      REMOVE_TIMEOUT_MS,
    );
    if ((removed.kind !== "exited" || removed.code !== 0) && await exists(path)) {
      return { removed: false, reason: gitComplaint(removed) };
    }
    if (verdict.branch === "delete") await this.#deleteBranch(worktree, branch.tip);
    return { removed: true, reason: verdict.note };
  }

  /** The worktree is gone already; its own branch may still be there. */
  async #removeBranch(worktree: Worktree): Promise<void> {
    if (!worktree.newBranch || !await exists(worktree.repository)) return;
    const branch = await this.#branch(worktree);
    if (mayDeleteBranch({ worktree, ...branch }, await this.#list(worktree))) {
      await this.#deleteBranch(worktree, branch.tip);
    }
  }

  async #look(path: string) {
    const [status, files, gitFolder, references] = await Promise.all([
      this.#told(path, [
        "status",
        "--porcelain=v2",
        "-z",
        "--ignored",
        "--untracked-files=all",
        "--ignore-submodules=none",
      ]),
      this.#told(path, ["ls-files", "-v", "-z"]),
      this.#told(path, ["rev-parse", "--absolute-git-dir"]),
      this.#told(path, ["for-each-ref", "--format=%(refname)", "refs/worktree/"]),
    ]);
    const parsed = parseStatus(status);
    if (parsed === null) throw new Untold("git's list of its changes is not understood");
    const hidden: string[] = [];
    for (const file of parseHidden(files)) {
      if (await exists(`${path}/${file}`)) hidden.push(file);
    }
    let operation: string | null = null;
    for (const [name, title] of OPERATIONS) {
      if (operation === null && await exists(`${gitFolder.trimEnd()}/${name}`)) operation = title;
    }
    const ownReferences = references.split("\n").filter((line) => line !== "");
    return { status: parsed, hidden, operation, ownReferences };
  }

  async #branch({ repository, branch }: Worktree): Promise<{ tip: string | null; reachable: boolean }> {
    const reference = `refs/heads/${branch}`;
    const found = await this.#told(repository, [
      "for-each-ref",
      "--format=%(refname) %(objectname)",
      reference,
    ]);
    const line = found.split("\n").find((one) => one.startsWith(`${reference} `));
    if (line === undefined) return { tip: null, reachable: false };
    const tip = line.slice(reference.length + 1);
    const holders = await this.#told(repository, [
      "for-each-ref",
      "--format=%(refname)",
      `--contains=${tip}`,
      "refs/heads/",
      "refs/remotes/",
      "refs/tags/",
    ]);
    return { tip, reachable: holders.split("\n").some((holder) => holder !== "" && holder !== reference) };
  }

  /** Only while it still stands at that commit. */
  async #deleteBranch({ repository, branch }: Worktree, tip: string | null): Promise<void> {
    if (tip === null) return;
    const reference = `refs/heads/${branch}`;
    const args = ["update-ref", "-d", reference, tip];
    const deleted = await runGit(this.deps, repository, args, REMOVE_TIMEOUT_MS);
    if (deleted.kind !== "exited" || deleted.code !== 0) return;
    // What it tracked; most branches track nothing.
    await runGit(
      this.deps,
      repository,
      ["config", "--remove-section", `branch.${branch}`],
      REMOVE_TIMEOUT_MS,
    );
  }

  async #list({ repository }: Worktree): Promise<Listed[]> {
    return parseWorktreeList(await this.#told(repository, ["worktree", "list", "--porcelain"]));
  }

  /** @throws Untold when git does not answer. */
  async #told(folder: string, args: readonly string[]): Promise<string> {
    const result = await queryGit(this.deps, folder, args);
    if (result.kind === "exited" && result.code === 0) return result.stdout;
    throw new Untold(gitComplaint(result));
  }

  /** Those that live there, and those that are just being resumed, be it this one itself. */
  async #sessionsIn(session: Session, folder: string): Promise<SessionId[]> {
    const isInside = ({ path }: { readonly path: string }) => isWithin(realPathOf(path), folder);
    const sessions = this.store.list();
    const inside = sessions.filter(isInside);
    // Of those that are not understood, the worst is assumed.
    const known = new Set(sessions.map(({ token }) => token));
    const others = this.store.atWork().filter((one) => !known.has(one.token) && isInside(one));
    const resumers = inside.flatMap((one) => one.resumer === null ? [] : [one.resumer]);
    const states = await this.deps.processStates(resumers);
    const resuming = new Set(resumers.filter((_, index) => states[index] !== "dead"));
    const staying = inside.filter((one) =>
      one.resumer !== null && resuming.has(one.resumer) ||
      one.lifecycle !== "ended" && one.token !== session.token
    );
    return [...staying, ...others].map(({ id }) => id);
  }
}

const NOTHING = { changed: [], untracked: [], ignored: [] } as const;

/** Whether a `git worktree add` for this folder still runs; true, too, where that can't be told. */
async function isBeingAdded(deps: Pick<Deps, "run" | "env">, path: string): Promise<boolean> {
  const lines = await commandLines(deps);
  return lines === null || lines.some((line) => line.includes(path) && line.includes(" worktree add "));
}

/** @throws Deno.errors.AlreadyExists when there is anything under that name. */
async function makeFolder(path: string): Promise<void> {
  for (let attempt = 1;; attempt++) {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    try {
      return await Deno.mkdir(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || attempt === FOLDER_ATTEMPTS) throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new Untold((error as Error).message);
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** The last one takes the folder of worktrees with it; it stays while there is another in it. */
async function removeEmpty({ repository }: Worktree): Promise<void> {
  const folder = worktreesFolder(repository);
  if (isFolder(folder)) await Deno.remove(folder).catch(() => {});
}

function removeCommand({ repository, path }: Worktree): string {
  return `git -C ${shellWord(repository)} worktree remove --force ${shellWord(path)}`;
}
