/** Which dev-sessions is at the other end, and which of the two to upgrade when they don't understand each other. Pure. */

import * as v from "valibot";
import { AppError } from "../errors.ts";
import { VERSION, WIRE_PROTOCOL } from "../version.ts";

/** What a dev-sessions says of itself before anything else. */
export interface Peer {
  readonly protocol: number;
  readonly version: string;
}

export const US: Peer = { protocol: WIRE_PROTOCOL, version: VERSION };

/** Kept loose: it must be understood whatever else a later version says in it. */
export const peer = v.object({
  protocol: v.pipe(v.number(), v.safeInteger()),
  version: v.pipe(v.string(), v.maxLength(100)),
});

export type Judgement =
  | { readonly kind: "ok" }
  /** `older` is the one to upgrade. */
  | { readonly kind: "mismatch"; readonly older: "ours" | "theirs" };

/** Two of the same protocol understand each other, whatever their versions. */
export function judgePeer(ours: Peer, theirs: Peer): Judgement {
  if (ours.protocol === theirs.protocol) return { kind: "ok" };
  return { kind: "mismatch", older: theirs.protocol < ours.protocol ? "theirs" : "ours" };
}

/**
 * Null when they understand each other.
 *
 * @param where the other one is, for people: `the gateway http://127.0.0.1:6767`, `build.example`.
 */
export function mismatchError(ours: Peer, theirs: Peer, where: string): AppError | null {
  const judgement = judgePeer(ours, theirs);
  if (judgement.kind === "ok") return null;
  const which = judgement.older === "ours"
    ? "Upgrade this one with: dev-sessions upgrade"
    : "Upgrade the other one; there, run: dev-sessions upgrade";
  return new AppError(
    "failure",
    `Cannot talk to ${where}: it is dev-sessions ${theirs.version} (protocol ${theirs.protocol}), this is ` +
      `${ours.version} (protocol ${ours.protocol}). ${which}`,
  );
}
