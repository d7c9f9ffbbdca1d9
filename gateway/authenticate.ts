/** Who calls: the holder of the master token, or of one that was made; nobody else gets any further. */

import type { Clock } from "../lib/deps.ts";
import type { TokenLimit } from "../lib/limits.ts";
import type { Store } from "../lib/store.ts";
import { isUnread } from "../lib/store/errors.ts";
import type { StoredToken } from "../lib/store/tokens.ts";
import { httpError } from "./http_answers.ts";
import type { MasterToken } from "./master_token.ts";
import type { Scope } from "./scope.ts";
import { type Standing, standingOf } from "./standing.ts";
import { hashToken, isSameHash, parseToken } from "./tokens.ts";

export type Caller =
  /** `version` of the file at that moment. */
  | { readonly kind: "master"; readonly version: string | null }
  | {
    readonly kind: "token";
    readonly id: string;
    readonly name: string | null;
    readonly scope: Scope;
    /** See `Standing`. */
    readonly limits: readonly TokenLimit[];
  };

export type Authentication =
  | { readonly ok: true; readonly caller: Caller }
  /** For the caller; never says how near a guess was. */
  | { readonly ok: false; readonly message: string };

const HELP = "Give it with DEV_SESSIONS_GATEWAY_TOKEN or DEV_SESSIONS_GATEWAY_TOKEN_FILE; " +
  "make one on the host with: dev-sessions gateway token create";
/** Compared with when there is nothing to compare with. */
const NO_HASH = "0".repeat(64);
const WHY_NOT: Readonly<Record<Extract<Standing, { readonly valid: false }>["reason"], string>> = {
  expired: "is no longer valid: it has expired",
  revoked: "is no longer valid: it was revoked",
  not_understood:
    "can't be understood: a newer version of dev-sessions has made it, or its record is damaged",
  session_ended: "is no longer valid: the session that it was made for has ended",
};

export class Authenticator {
  constructor(
    private readonly registry: Pick<Store, "findToken" | "idOf">,
    private readonly master: MasterToken,
    private readonly clock: Pick<Clock, "now">,
  ) {}

  /**
   * @param header `Authorization` as it came.
   * @throws HttpError (503) when what the gateway knows of tokens can't be read now.
   */
  async authenticate(header: string | undefined): Promise<Authentication> {
    try {
      return await this.#authenticated(header);
    } catch {
      // Why is not for somebody who is not known yet.
      throw httpError(
        503,
        "transport",
        "Cannot do that now: the gateway can't look at its tokens. Try again",
        {
          "retry-after": "1",
        },
      );
    }
  }

  async #authenticated(header: string | undefined): Promise<Authentication> {
    const text = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
    if (text === undefined) {
      return denied(header === undefined ? "a token is needed" : "no token was understood");
    }
    const parsed = parseToken(text);
    const hash = await hashToken(text);
    if (parsed?.kind === "scoped") {
      return judgeToken(this.#find(parsed.id), hash, (token) => this.#standing(token));
    }
    const version = this.master.version();
    const master = await this.master.hash();
    if (!isSameHash(master ?? NO_HASH, hash) || master === null) return denied("its token is not known");
    return { ok: true, caller: { kind: "master", version } };
  }

  /** Whether the caller of a request that goes on may still be answered. */
  isStillValid(caller: Caller): boolean | "unknown" {
    try {
      if (caller.kind === "master") return caller.version === this.master.version();
      const token = this.#find(caller.id);
      return token !== null && this.#standing(token)?.valid === true;
    } catch {
      return "unknown";
    }
  }

  /** Null: a row can't be understood. */
  #standing(token: StoredToken): Standing | null {
    try {
      return standingOf(token, this.registry, this.clock.now());
    } catch (error) {
      return nullUnlessUnread(error);
    }
  }

  /** One that can't be understood is none. */
  #find(id: string): StoredToken | null {
    try {
      return this.registry.findToken(id);
    } catch (error) {
      return nullUnlessUnread(error);
    }
  }
}

/**
 * Who holds a token that is no master token. Pure.
 *
 * @param token what is stored under the id that it names; null: nothing that can be understood.
 * @param hash of the token as it came.
 * @param standingOf asked of nobody who does not hold it; null: a row can't be understood.
 */
export function judgeToken(
  token: StoredToken | null,
  hash: string,
  standingOf: (token: StoredToken) => Standing | null,
): Authentication {
  if (!isSameHash(token?.hash ?? NO_HASH, hash) || token === null) return denied("its token is not known");
  const { id, name } = token;
  const standing = standingOf(token);
  if (standing === null) return denied(`the token that ${id} stands on can't be read`);
  if (!standing.valid) return denied(`the token ${id} ${WHY_NOT[standing.reason]}`);
  const { scope, limits } = standing;
  return { ok: true, caller: { kind: "token", id, name, scope, limits } };
}

function denied(why: string): Authentication {
  return { ok: false, message: `Cannot use the gateway: ${why}. ${HELP}` };
}

/** That the registry is locked or out of reach says nothing of a token. */
function nullUnlessUnread(error: unknown): null {
  if (isUnread(error)) throw error;
  return null;
}
