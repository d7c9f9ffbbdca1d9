/** Whether Claude already trusts the repository that a session's worktree was made of: the worktree is no other code. */

import * as v from "valibot";
import { folderOf } from "../../lib/posix_path.ts";
import type { Session } from "../../lib/session.ts";

const ConfigSchema = v.looseObject({
  projects: v.record(
    v.string(),
    v.looseObject({ hasTrustDialogAccepted: v.optional(v.boolean()) }),
  ),
});

/**
 * Whether Claude would ask nothing in a folder of a repository: it looks from there up to the repository's top, and no
 * further (measured with 2.1.330). Pure.
 *
 * @param config the text of its file; what can't be read trusts nothing.
 */
export function isTrusted(config: string, folder: string, top: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(config);
  } catch {
    return false;
  }
  const parsed = v.safeParse(ConfigSchema, value);
  if (!parsed.success) return false;
  const { projects } = parsed.output;
  for (let path = folder; path === top || path.startsWith(`${top}/`); path = folderOf(path)) {
    if (Object.hasOwn(projects, path) && projects[path]?.hasTrustDialogAccepted === true) return true;
  }
  return false;
}

/** Whether the repository is trusted where the session's worktree has its folder. */
export function trustsRepository(file: string, session: Pick<Session, "path" | "worktree">): boolean {
  const { worktree, path } = session;
  if (worktree === null) return false;
  const within = path.startsWith(`${worktree.path}/`) ? path.slice(worktree.path.length) : "";
  try {
    return isTrusted(Deno.readTextFileSync(file), `${worktree.repository}${within}`, worktree.repository);
  } catch {
    return false;
  }
}
