/** Which verbs a token may permit, and which operations each of them needs. */

import type { Operation } from "../lib/wire.ts";

/** `attach` is not among them: it would hand out a command that runs on the host. */
const SCOPED_VERBS = {
  "create": ["create"],
  "send": ["send"],
  "ask": ["send", "wait", "lastMessages"],
  "interrupt": ["interrupt"],
  "wait": ["wait"],
  "respond": ["respond"],
  "status": ["status"],
  "last-message": ["lastMessages"],
  "logs": ["logs"],
  "events": ["events"],
  "list": ["list"],
  "inspect": ["inspect"],
  "usage": ["usage"],
  "goal": ["goal"],
  "kill": ["kill"],
  "resume": ["resume"],
  "prune": ["prune"],
} as const satisfies Readonly<Record<string, readonly Operation[]>>;

export type ScopedVerb = keyof typeof SCOPED_VERBS;
export const SCOPED_VERB_NAMES = Object.keys(SCOPED_VERBS) as ScopedVerb[];

/** @param verbs null: all that a token may permit. Pure. */
export function permits(verbs: readonly ScopedVerb[] | null, operation: Operation): boolean {
  // Only says what `@group` stands for among the token's own sessions.
  if (operation === "expand") return true;
  return (verbs ?? SCOPED_VERB_NAMES).some((verb) =>
    (SCOPED_VERBS[verb] as readonly Operation[]).includes(operation)
  );
}

/** What people call the operation. */
export function verbOf(operation: Operation): string {
  switch (operation) {
    case "lastMessages":
      return "last-message";
    case "attachCommand":
      return "attach";
    default:
      return operation;
  }
}
