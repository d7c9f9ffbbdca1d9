/** Tokens of the gateway: how they look and what proves them. Of a token only its hash is ever stored. */

import { sha256 } from "../lib/sha256.ts";
import type { StoredToken } from "../lib/store/tokens.ts";

const SECRET_BYTES = 32;
const ID_BYTES = 4;
const MASTER_PREFIX = "dsm_";
const SCOPED = /^dst_([0-9a-f]{8})_[A-Za-z0-9_-]{43}$/;
/** What a person may put into the master token's file instead. */
const MASTER = /^[A-Za-z0-9_.~+/=-]{32,256}$/;

/** Where a token would be seen by those whom it does not concern: `dst_` or `dsm_` with what follows. */
export const LOOKS_LIKE_TOKEN = /ds[tm]_[A-Za-z0-9_-]{20,}/;

/** 256 random bits after a prefix by which a leaked one is recognised. */
export function newMasterToken(): string {
  return MASTER_PREFIX + base64url(random(SECRET_BYTES));
}

/** `id` is public; `token` is shown once. */
export function newScopedToken(): { readonly id: string; readonly token: string } {
  const id = random(ID_BYTES).toHex();
  return { id, token: `dst_${id}_${base64url(random(SECRET_BYTES))}` };
}

export type ParsedToken = { readonly kind: "master" } | { readonly kind: "scoped"; readonly id: string };

/** Null for what can't be a token. Pure. */
export function parseToken(text: string): ParsedToken | null {
  const id = SCOPED.exec(text)?.[1];
  if (id !== undefined) return { kind: "scoped", id };
  return MASTER.test(text) ? { kind: "master" } : null;
}

/** A slow hash would add nothing to 256 random bits. */
export async function hashToken(text: string): Promise<string> {
  return await sha256(text);
}

/** Takes the same time wherever two texts of the same length differ. Pure. */
export function isSameHash(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}

export type Validity = "valid" | "expired" | "revoked";

/** @param now milliseconds since the epoch. Pure. */
export function validityOf(
  { expiresAt, revokedAt }: Pick<StoredToken, "expiresAt" | "revokedAt">,
  now: number,
): Validity {
  if (revokedAt !== null) return "revoked";
  // An expiry that can't be understood has passed.
  return expiresAt !== null && !(Date.parse(expiresAt) > now) ? "expired" : "valid";
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
