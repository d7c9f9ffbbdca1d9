/**
 * What a token permits at the moment. One that a session's container was given stands on the token with which that session
 * was made: it never permits more than that one, and ends with it. Pure, but for looking up rows.
 */

import * as v from "valibot";
import { STRICTNESS } from "../lib/families.ts";
import type { TokenLimit } from "../lib/limits.ts";
import type { Store } from "../lib/store.ts";
import type { StoredToken } from "../lib/store/tokens.ts";
import { type Scope, scopeSchema } from "./scope.ts";
import { validityOf } from "./tokens.ts";

export type Standing =
  | {
    readonly valid: true;
    readonly scope: Scope;
    /** The token itself, then those that it stands on. */
    readonly limits: readonly TokenLimit[];
    /** The first of their ends. */
    readonly expiresAt: string | null;
  }
  | { readonly valid: false; readonly reason: "expired" | "revoked" | "not_understood" | "session_ended" };

type Registry = Pick<Store, "findToken" | "idOf">;

/** @param now milliseconds since the epoch. @throws AppError for a row that can't be understood. */
export function standingOf(token: StoredToken, registry: Registry, now: number): Standing {
  const validity = validityOf(token, now);
  if (validity !== "valid") return { valid: false, reason: validity };
  const parsed = v.safeParse(scopeSchema, token.scope);
  if (!parsed.success) return { valid: false, reason: "not_understood" };
  const scope = parsed.output;
  const own: TokenLimit = { id: token.id, maxSessions: scope.maxSessions };
  const alone: Standing = { valid: true, scope, limits: [own], expiresAt: token.expiresAt };
  if (scope.boundTo === null) return alone;
  const session = registry.idOf(scope.boundTo);
  if (session === null || session.ended) return { valid: false, reason: "session_ended" };
  if (session.owner === null) return alone;
  // Its session was there before it, and that one's token before the session: this comes to an end.
  const below = registry.findToken(session.owner);
  // Forgotten, long after its end.
  if (below === null) return { valid: false, reason: "expired" };
  const standing = standingOf(below, registry, now);
  if (!standing.valid) return standing;
  return {
    valid: true,
    scope: narrowed(scope, standing.scope),
    limits: [own, ...standing.limits],
    expiresAt: earlier(token.expiresAt, standing.expiresAt),
  };
}

function earlier(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

/** What both permit; the folders are the first one's own. */
function narrowed(scope: Scope, by: Scope): Scope {
  const { verbs } = scope;
  return {
    ...scope,
    mode: STRICTNESS[by.mode] > STRICTNESS[scope.mode] ? by.mode : scope.mode,
    agents: scope.agents.filter((agent) => by.agents.includes(agent)),
    verbs: by.verbs === null
      ? verbs
      : verbs === null
      ? by.verbs
      : verbs.filter((verb) => by.verbs!.includes(verb)),
  };
}
