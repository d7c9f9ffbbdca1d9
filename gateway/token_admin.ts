/** Makes, lists and revokes tokens in the registry, whether a gateway runs or not; a running one knows at once. */

import * as v from "valibot";
import type { Deps } from "../lib/deps.ts";
import { AppError, messageOf } from "../lib/errors.ts";
import { hasOwnFiles } from "../lib/own_files.ts";
import { type Paths, pathsFrom } from "../lib/paths.ts";
import { isWithin } from "../lib/posix_path.ts";
import { AGENT_KINDS, type AgentKind, type Mode } from "../lib/session.ts";
import { openStore, type Store } from "../lib/store.ts";
import type { StoredToken } from "../lib/store/tokens.ts";
import { type Scope, scopeSchema } from "./scope.ts";
import { type Standing, standingOf } from "./standing.ts";
import { hashToken, newScopedToken, type Validity, validityOf } from "./tokens.ts";
import type { ScopedVerb } from "./verbs.ts";

/** Of tokens that ended, until they are forgotten. */
const KEEP_ENDED_MS = 30 * 24 * 3_600_000;

export interface TokenRequest {
  readonly name: string | null;
  /** Absolute paths of folders that exist. */
  readonly roots: readonly string[];
  readonly mode: Mode;
  /** Empty: all. */
  readonly agents: readonly AgentKind[];
  /** Null: all that a token may permit. */
  readonly verbs: readonly ScopedVerb[] | null;
  readonly maxSessions: number;
  readonly ttlMs: number;
  /** The session (`Session.token`) in whose container it will be: it ends with that. */
  readonly boundTo: string | null;
}

export interface KnownToken {
  readonly id: string;
  readonly name: string | null;
  readonly createdAt: string;
  /** Its own end, or the earlier one of a token that it stands on. */
  readonly expiresAt: string | null;
  readonly validity: Validity;
  /** What it permits now. Null: that is not understood, and it permits nothing here. */
  readonly scope: Scope | null;
  /** Its sessions that live. */
  readonly sessions: number;
}

/** @returns the token itself, which nobody can read again. @throws AppError for roots that can't be one. */
export async function createToken(
  request: TokenRequest,
  deps: Deps,
): Promise<{ readonly token: string; readonly known: KnownToken }> {
  const paths = pathsFrom(deps.env);
  const roots = await Promise.all(request.roots.map((root) => rootOf(root, paths)));
  if (request.mode === "docker") assertApart(roots);
  const scope: Scope = {
    roots,
    mode: request.mode,
    agents: request.agents.length === 0 ? [...AGENT_KINDS] : [...new Set(request.agents)],
    verbs: request.verbs === null ? null : [...new Set(request.verbs)],
    maxSessions: request.maxSessions,
    boundTo: request.boundTo,
  };
  const { id, token } = newScopedToken();
  const hash = await hashToken(token);
  return withStore(deps, paths, (store) => {
    const now = deps.clock.now();
    store.forgetTokens(isoTime(now - KEEP_ENDED_MS));
    store.addToken({
      id,
      hash,
      name: request.name,
      scope,
      createdAt: isoTime(now),
      expiresAt: isoTime(now + request.ttlMs),
      revokedAt: null,
    });
    return { token, known: known(store, id, now) };
  });
}

/** By creation. */
export function listTokens(deps: Deps): KnownToken[] {
  return withStore(deps, pathsFrom(deps.env), (store) => {
    const now = deps.clock.now();
    return store.listTokens().map(({ id }) => known(store, id, now));
  });
}

/**
 * Makes them invalid; what was made with them stays.
 *
 * @throws AppError (not_found) when one is not known; then none is revoked.
 */
export function revokeTokens(ids: readonly string[], deps: Deps): KnownToken[] {
  return withStore(deps, pathsFrom(deps.env), (store) => {
    const now = deps.clock.now();
    for (const id of ids) {
      if (store.findToken(id) !== null) continue;
      throw tokenNotFound(id);
    }
    for (const id of ids) store.revokeToken(id, isoTime(now));
    return ids.map((id) => known(store, id, now));
  });
}

function tokenNotFound(id: string): AppError {
  return new AppError(
    "not_found",
    `Token not found: ${id}`,
    "List them with: dev-sessions gateway token list",
  );
}

function known(store: Store, id: string, now: number): KnownToken {
  const token = store.findToken(id);
  if (token === null) throw tokenNotFound(id);
  const { name, createdAt } = token;
  const scope = v.safeParse(scopeSchema, token.scope);
  const standing = standingOf(token, store, now);
  return {
    id,
    name,
    createdAt,
    expiresAt: standing.valid ? standing.expiresAt : token.expiresAt,
    validity: validityIn(standing, token, now),
    scope: standing.valid ? standing.scope : scope.success ? scope.output : null,
    sessions: store.liveMadeWith(id),
  };
}

/**
 * What is mounted into one container must not be a way to replace what will be mounted into another one.
 *
 * @throws AppError (usage)
 */
function assertApart(roots: Scope["roots"]): void {
  for (const inner of roots) {
    const outer = roots.find(({ real }) => real !== inner.real && isWithin(inner.real, real));
    if (outer === undefined) continue;
    throw new AppError(
      "usage",
      `Cannot make a token for the root "${inner.named}": it is a part of the root "${outer.named}", from where a ` +
        "container could replace it. Name folders that do not contain each other",
    );
  }
}

/** A session's token is worth nothing without it, nor without the token that it stands on. */
function validityIn(standing: Standing, token: StoredToken, now: number): Validity {
  if (standing.valid) return "valid";
  switch (standing.reason) {
    case "not_understood":
      return validityOf(token, now);
    case "expired":
    case "session_ended":
      return "expired";
    case "revoked":
      return "revoked";
  }
}

/** What the folder really is, now: what it may come to be a way to later does not count. */
async function rootOf(named: string, { state }: Paths): Promise<Scope["roots"][number]> {
  const cannot = (why: string) =>
    new AppError("usage", `Cannot make a token for the root "${named}": ${why}`);
  let real: string;
  try {
    real = await Deno.realPath(named);
    if (!(await Deno.stat(real)).isDirectory) {
      throw cannot("it is no folder. Name the folder that holds the projects");
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    const isMissing = error instanceof Deno.errors.NotFound;
    throw cannot(
      isMissing ? "there is no such folder. Make it first, or name another one" : messageOf(error),
    );
  }
  if (hasOwnFiles(real, state)) {
    throw cannot(`the gateway's own secrets are in it (${state}). Name a folder of your projects`);
  }
  return { named, real };
}

function withStore<T>(deps: Deps, paths: Paths, use: (store: Store) => T): T {
  const store = openStore(paths, {
    now: () => deps.clock.now(),
    randomUuid: deps.randomUuid,
    warn: (line) => deps.terminal.writeErr(`${line}\n`),
  });
  try {
    return use(store);
  } finally {
    store.close();
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
