/** Git repositories in a sandbox's home: no settings of the user's, no network. */

import { join } from "node:path";
import type { Sandbox } from "./harness.ts";

const GIT_TIMEOUT_MS = 30_000;

/** Stdout of a git command without the line end. @throws Error with what git said. */
export async function git(sandbox: Sandbox, folder: string, ...args: string[]): Promise<string> {
  const running = sandbox.spawn("git", ["-C", folder, ...args]);
  const { code, stdout, stderr } = await running.doneWithin(GIT_TIMEOUT_MS, `git ${args.join(" ")}`);
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
  return stdout.replace(/\n$/, "");
}

/** The sandbox's workspace, or another folder, as a repository with one commit on `main`, which is returned. */
export async function makeRepository(sandbox: Sandbox, folder = sandbox.workspace): Promise<string> {
  await Deno.writeTextFile(
    join(sandbox.home, ".gitconfig"),
    "[user]\n\tname = Tester\n\temail = tester@example.com\n[init]\n\tdefaultBranch = main\n",
  );
  await Deno.mkdir(folder, { recursive: true });
  await git(sandbox, folder, "init", "--quiet");
  await Deno.writeTextFile(join(folder, ".gitignore"), ".env\n");
  await Deno.mkdir(join(folder, "sub"));
  await Deno.writeTextFile(join(folder, "sub", "c.txt"), "c\n");
  await git(sandbox, folder, "add", "--all");
  return await commit(sandbox, folder, "a.txt", "a\n");
}

/** Writes a file and commits it; returns the commit. */
export async function commit(
  sandbox: Sandbox,
  folder: string,
  name: string,
  text = `${name}\n`,
): Promise<string> {
  await Deno.writeTextFile(join(folder, name), text);
  await git(sandbox, folder, "add", "--", name);
  await git(sandbox, folder, "commit", "--quiet", "--message", `write ${name}`);
  return await git(sandbox, folder, "rev-parse", "HEAD");
}

/** Names of the branches, sorted. */
export async function branches(sandbox: Sandbox, folder = sandbox.workspace): Promise<string[]> {
  return (await git(sandbox, folder, "for-each-ref", "--format=%(refname:short)", "refs/heads/")).split("\n");
}
