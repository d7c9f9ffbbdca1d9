/** Renders a message for one session: git is asked only when the template has a placeholder for it. */

import type { Deps } from "./deps.ts";
import { messageOf } from "./errors.ts";
import { askGit } from "./git.ts";
import { checkTemplate, render, type Value } from "./render.ts";
import type { Session } from "./session.ts";

const CANNOT = "git can't be asked";

/** @throws AppError (usage) that names the placeholder that can't be filled. */
export async function renderFor(
  deps: Pick<Deps, "run" | "env" | "clock">,
  session: Pick<Session, "id" | "path" | "group" | "parent">,
  template: string,
  vars: Readonly<Record<string, string>>,
): Promise<string> {
  const used = checkTemplate(template, vars);
  const git = (name: "git.branch" | "git.head", args: readonly string[], otherwise: string) =>
    used.includes(name) ? gitValue(deps, session.path, args, otherwise) : { missing: "it is not asked for" };
  return render(template, {
    "session.id": { value: session.id },
    "session.path": { value: session.path },
    "session.group": session.group === null
      ? { missing: "the session has no group" }
      : { value: session.group },
    "parent.id": session.parent === null
      ? { missing: "no session has created this one" }
      : { value: session.parent },
    "git.branch": await git(
      "git.branch",
      ["symbolic-ref", "--quiet", "--short", "HEAD"],
      "HEAD is on no branch",
    ),
    "git.head": await git("git.head", ["rev-parse", "--verify", "--quiet", "HEAD"], "there is no commit yet"),
    date: { value: new Date(deps.clock.now()).toISOString().slice(0, 10) },
  }, vars);
}

async function gitValue(
  deps: Pick<Deps, "run" | "env">,
  path: string,
  args: readonly string[],
  otherwise: string,
): Promise<Value> {
  try {
    const value = await askGit(deps, path, args, CANNOT);
    if (value !== null && value !== "") return { value };
    const inside = await askGit(deps, path, ["rev-parse", "--git-dir"], CANNOT);
    return { missing: inside === null ? `"${path}" is in no git repository` : otherwise };
  } catch (error) {
    return { missing: messageOf(error) };
  }
}
