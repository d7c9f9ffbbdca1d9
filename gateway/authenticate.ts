/** Who calls: the holder of the master token, or of one that was made; nobody else gets any further. */

import type { Clock } from "../lib/deps.ts";
import type { TokenLimit } from "../lib/limits.ts";
import type { Store } from "../lib/store.ts";
import type { StoredToken } from "../lib/store/tokens.ts";
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
  newer: "was made by a newer version of dev-sessions",
  session_ended: "is no longer valid: the session that it was made for has ended",
};

export class Authenticator {
  constructor(
    private readonly registry: Pick<Store, "findToken" | "idOf">,
    private readonly master: MasterToken,
    private readonly clock: Pick<Clock, "now">,
  ) {}

  /** @param header `Authorization` as it came. */
  async authenticate(header: string | undefined): Promise<Authentication> {
    const text = /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1];
    if (text === undefined) {
      return denied(header === undefined ? "a token is needed" : "no token was understood");
    }
    const parsed = parseToken(text);
    const hash = await hashToken(text);
    if (parsed?.kind === "scoped") return this.#scoped(parsed.id, hash);
    const version = this.master.version();
    const master = await this.master.hash();
    if (!isSameHash(master ?? NO_HASH, hash) || master === null) return denied("its token is not known");
    return { ok: true, caller: { kind: "master", version } };
  }

  /** Whether the caller of a request that goes on may still be answered. */
  isStillValid(caller: Caller): boolean {
    if (caller.kind === "master") return caller.version === this.master.version();
    const token = this.#find(caller.id);
    return token !== null && this.#standing(token)?.valid === true;
  }

  #scoped(id: string, hash: string): Authentication {
    const token = this.#find(id);
    if (!isSameHash(token?.hash ?? NO_HASH, hash) || token === null) return denied("its token is not known");
    const standing = this.#standing(token);
    if (standing === null) return denied(`the token that ${id} stands on can't be read`);
    if (!standing.valid) return denied(`the token ${id} ${WHY_NOT[standing.reason]}`);
    const { scope, limits } = standing;
    return { ok: true, caller: { kind: "token", id, name: token.name, scope, limits } };
  }

  /** Null: a row can't be read. */
  #standing(token: StoredToken): Standing | null {
    try {
      return standingOf(token, this.registry, this.clock.now());
    } catch {
      return null;
    }
  }

  /** One that can't be read is none. */
  #find(id: string): StoredToken | null {
    try {
      return this.registry.findToken(id);
    } catch {
      return null;
    }
  }
}

function denied(why: string): Authentication {
  return { ok: false, message: `Cannot use the gateway: ${why}. ${HELP}` };
}
