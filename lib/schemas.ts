/** Schemas of the nouns (`session.ts`) that have the same form wherever they are read: in a row, and on the wire. */

import * as v from "valibot";
import { SANDBOX_KINDS } from "./session.ts";

const text = v.string();

export const launch = v.object({
  agentArgs: v.array(text),
  trust: v.boolean(),
  sandbox: v.optional(v.picklist(SANDBOX_KINDS)),
});

export const worktree = v.object({
  repository: text,
  path: text,
  branch: text,
  newBranch: v.boolean(),
  base: text,
});

export const question = v.object({
  question: text,
  header: text,
  multiSelect: v.boolean(),
  options: v.array(v.object({ label: text, description: text })),
});

export const pendingKind = v.picklist(["permission", "question", "plan", "dialog"]);
export const lifecycle = v.picklist(["creating", "active", "ended"]);
