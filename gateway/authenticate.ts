/** Who calls: the holder of the master token, or of one that was made; nobody else gets any further. */

import * as v from "valibot";
import type { Clock } from "../lib/deps.ts";
import type { Store } from "../lib/store.ts";
import type { StoredToken } from "../lib/store/tokens.ts";
import type { MasterToken } from "./master_token.ts";
import { type Scope, scopeSchema } from "./scope.ts";
import { hashToken, isSameHash, parseToken, validityOf } from "./tokens.ts";

export type Caller =
  /** `version` of the file at that moment. */
  | { readonly kind: "master"; readonly version: string | null }
  | { readonly kind: "token"; readonly id: string; readonly name: string | null; readonly scope: Scope };

export type Authentication =
  | { readonly ok: true; readonly caller: Caller }
  /** For the caller; never says how near a guess was. */
  | { readonly ok: false; readonly message: string };

const HELP = "Give it with DEV_SESSIONS_GATEWAY_TOKEN or DEV_SESSIONS_GATEWAY_TOKEN_FILE; " +
  "make one on the host with: dev-sessions gateway token create";
/** Compared with when there is nothing to compare with. */
const NO_HASH = "0".repeat(64);
const ENDED = "the session that it was made for has ended";

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
    return token !== null && this.#whyNot(token, caller.scope) === null;
  }

  #scoped(id: string, hash: string): Authentication {
    const token = this.#find(id);
    if (!isSameHash(token?.hash ?? NO_HASH, hash) || token === null) return denied("its token is not known");
    const scope = v.safeParse(scopeSchema, token.scope);
    if (!scope.success) return denied(`the token ${id} was made by a newer version of dev-sessions`);
    const why = this.#whyNot(token, scope.output);
    if (why !== null) return denied(`the token ${id} is no longer valid: ${why}`);
    return { ok: true, caller: { kind: "token", id, name: token.name, scope: scope.output } };
  }

  #whyNot(token: StoredToken, { boundTo }: Scope): string | null {
    const validity = validityOf(token, this.clock.now());
    if (validity !== "valid") return validity === "expired" ? "it has expired" : "it was revoked";
    if (boundTo === null) return null;
    return this.registry.idOf(boundTo)?.ended === false ? null : ENDED;
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
