/** Decides where a session's worktree goes, and whether anything in one could be lost. Pure. */

import { isPlainAbsolute } from "./posix_path.ts";
import type { WorktreeRemoval } from "./service.ts";
import type { SessionId, Worktree } from "./session.ts";

/** Of the names in a reason. */
const NAMED = 3;

/** A repository as it was found, ready for worktrees beside it. */
export interface Site {
  /** Main working tree, or the repository itself where it is bare. */
  readonly repository: string;
  /** Of the session's folder within the working tree; empty for its top. */
  readonly prefix: string;
  /** Commit that the branch begins with, or stands at. */
  readonly base: string;
  /** Null: a new one, named after the session. */
  readonly branch: { readonly name: string; readonly exists: boolean } | null;
  /** Ids whose folder or branch is there already. */
  readonly taken: ReadonlySet<SessionId>;
  /** Changes that are in no commit, and so not in the worktree. */
  readonly uncommitted: boolean;
}

/** One entry of `git worktree list --porcelain`. */
export interface Listed {
  readonly path: string;
  /** Without `refs/heads/`; null when detached or bare. */
  readonly branch: string | null;
  readonly locked: boolean;
}

export interface Status {
  readonly changed: readonly string[];
  readonly untracked: readonly string[];
  readonly ignored: readonly string[];
}

/** What was found of a worktree whose agent is dead. */
export interface Findings {
  readonly worktree: Worktree;
  /** Live sessions that work in it. */
  readonly sessions: readonly SessionId[];
  /** Null: git does not list it. */
  readonly listed: Listed | null;
  readonly status: Status;
  /** Files that git was told not to look at. */
  readonly hidden: readonly string[];
  /** `rebase`, `merge`, ... that has not been finished. */
  readonly operation: string | null;
  /** References that only this worktree has. */
  readonly ownReferences: readonly string[];
  /** Commit of the branch; null when there is no such branch any more. */
  readonly tip: string | null;
  /** Whether another branch, a remote-tracking branch or a tag has that commit. */
  readonly reachable: boolean;
}

export type Removal =
  | { readonly remove: true; readonly branch: "delete" | "keep"; readonly note: string | null }
  | { readonly remove: false; readonly reason: string };

/** Where worktrees of a repository are: beside it. */
export function worktreesFolder(repository: string): string {
  return `${repository}.worktrees`;
}

export function plannedWorktree(
  site: Site,
  id: SessionId,
): { readonly worktree: Worktree; readonly path: string } {
  const path = `${worktreesFolder(site.repository)}/${id}`;
  const { repository, base, branch, prefix } = site;
  return {
    worktree: {
      repository,
      path,
      branch: branch?.name ?? ownBranch(id),
      newBranch: branch === null || !branch.exists,
      base,
    },
    path: prefix === "" ? path : `${path}/${prefix}`,
  };
}

export function ownBranch(id: SessionId): string {
  return `dev-sessions/${id}`;
}

/** Whether it may go, and its branch with it; the first thing that could be lost is the reason to keep it. */
export function judgeRemoval(found: Findings): Removal {
  const { worktree, listed, status, hidden, tip, reachable } = found;
  if (found.sessions.length > 0) return keep(`${names("session", found.sessions)} in it`);
  if (listed === null) return keep("git does not know it as a worktree of the repository (any more)");
  if (listed.locked) return keep("it is locked");
  if (found.operation !== null) return keep(`a ${found.operation} is in progress`);
  if (listed.branch === null) return keep("its HEAD is on no branch");
  if (listed.branch !== worktree.branch) {
    return keep(`it is on the branch ${listed.branch}, not on its own branch ${worktree.branch}`);
  }
  if (status.changed.length > 0) return keep(`it has ${names("changed file", status.changed)}`);
  if (status.untracked.length > 0) return keep(`it has ${names("untracked file", status.untracked)}`);
  if (status.ignored.length > 0) return keep(`it has ${names("ignored file", status.ignored)}`);
  if (hidden.length > 0) return keep(`git was told to overlook ${names("file", hidden)}`);
  if (found.ownReferences.length > 0) {
    return keep(`it has ${names("reference", found.ownReferences)} of its own`);
  }
  if (tip === null) return keep(`its branch ${worktree.branch} is gone`);
  if (tip !== worktree.base && !reachable) {
    return keep(`its branch ${worktree.branch} has commits that no other branch has`);
  }
  if (!worktree.newBranch) return { remove: true, branch: "keep", note: null };
  if (reachable) return { remove: true, branch: "delete", note: null };
  return {
    remove: true,
    branch: "keep",
    note: `its branch ${worktree.branch} stays: no other branch has its commits`,
  };
}

/** One line for people about a worktree that was not removed. */
export function keptNote({ id, path, reason, command }: WorktreeRemoval): string {
  return `kept the worktree of ${id} at "${path}": ${reason}. When nothing in it is needed: ${command}`;
}

/** Whether the branch may go of a worktree that is gone already. */
export function mayDeleteBranch(
  found: Pick<Findings, "worktree" | "tip" | "reachable">,
  users: readonly Listed[],
) {
  const { worktree, tip, reachable } = found;
  return worktree.newBranch && tip !== null && reachable &&
    users.every(({ branch }) => branch !== worktree.branch);
}

function keep(reason: string): Removal {
  return { remove: false, reason };
}

/** `2 untracked files (a, b)`; of sessions `the session a works`. */
function names(what: string, all: readonly string[]): string {
  const shown = all.slice(0, NAMED).map(oneLine).join(", ") + (all.length > NAMED ? ", ..." : "");
  if (what === "session") {
    return all.length === 1 ? `the session ${shown} works` : `the sessions ${shown} work`;
  }
  return `${all.length} ${what}${all.length === 1 ? "" : "s"} (${shown})`;
}

function oneLine(name: string): string {
  // deno-lint-ignore no-control-regex
  return name.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
}

/** Paths with line ends in them can't be told apart here, and then match nothing. */
export function parseWorktreeList(stdout: string): Listed[] {
  return stdout.split("\n\n").flatMap((block) => {
    const lines = block.split("\n").filter((line) => line !== "");
    const valueOf = (name: string) =>
      lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1);
    const path = valueOf("worktree");
    if (path === undefined) return [];
    const branch = valueOf("branch");
    return [{
      path,
      branch: branch?.startsWith("refs/heads/") ? branch.slice("refs/heads/".length) : null,
      locked: lines.some((line) => line === "locked" || line.startsWith("locked ")),
    }];
  });
}

/** Of `git status --porcelain=v2 -z`; null for a line that is not understood. */
export function parseStatus(stdout: string): Status | null {
  const status = { changed: [] as string[], untracked: [] as string[], ignored: [] as string[] };
  const entries = stdout.split("\0");
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    if (entry === "") continue;
    switch (entry[0]) {
      case "1":
        status.changed.push(entry.split(" ").slice(8).join(" "));
        break;
      case "2":
        status.changed.push(entry.split(" ").slice(9).join(" "));
        // The path it was renamed from.
        index++;
        break;
      case "u":
        status.changed.push(entry.split(" ").slice(10).join(" "));
        break;
      case "?":
        status.untracked.push(entry.slice(2));
        break;
      case "!":
        status.ignored.push(entry.slice(2));
        break;
      case "#":
        break;
      default:
        return null;
    }
  }
  return status;
}

/** Of `git ls-files -v -z`, the files that `git status` passes over: assumed unchanged, or left out of the checkout. */
export function parseHidden(stdout: string): string[] {
  return stdout.split("\0").filter((entry) => /^[a-zS] /.test(entry)).map((entry) => entry.slice(2));
}

/** Absolute and below the folder, or the folder itself. */
export function isWithin(path: string, folder: string): boolean {
  return isPlainAbsolute(path) && (path === folder || path.startsWith(`${folder}/`));
}

/** For a command that people may copy. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
