/** A token is refused for what is known of it; its holder alone hears why. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { judgeToken } from "../../../gateway/authenticate.ts";
import type { Scope } from "../../../gateway/scope.ts";
import type { Standing } from "../../../gateway/standing.ts";
import type { StoredToken } from "../../../lib/store/tokens.ts";

const HASH = "a".repeat(64);
const TOKEN: StoredToken = {
  id: "0123abcd",
  hash: HASH,
  name: "box",
  scope: null,
  createdAt: "2026-01-01T12:00:00.000Z",
  expiresAt: null,
  revokedAt: null,
};
const SCOPE: Scope = {
  roots: [{ named: "/w", real: "/w" }],
  mode: "docker",
  agents: ["claude"],
  verbs: null,
  maxSessions: 3,
  boundTo: null,
};
const LIMITS = [{ id: TOKEN.id, maxSessions: 3 }];
const VALID: Standing = { valid: true, scope: SCOPE, limits: LIMITS, expiresAt: null };
const not = (reason: Extract<Standing, { valid: false }>["reason"]): Standing => ({ valid: false, reason });

Deno.test("judgeToken() by what is stored and what it stands on", async (t) => {
  const rows: readonly [string, StoredToken | null, string, Standing | null, RegExp | null][] = [
    ["all is well", TOKEN, HASH, VALID, null],
    ["nothing is stored", null, HASH, VALID, /: its token is not known\. /],
    ["nothing is stored, whatever it hashes to", null, "0".repeat(64), VALID, /: its token is not known\. /],
    ["another secret", TOKEN, "b".repeat(64), VALID, /: its token is not known\. /],
    ["a hash that is none", TOKEN, "", VALID, /: its token is not known\. /],
    [
      "what it stands on is not understood",
      TOKEN,
      HASH,
      null,
      /token that 0123abcd stands on can't be read\. /,
    ],
    ["expired", TOKEN, HASH, not("expired"), /the token 0123abcd is no longer valid: it has expired\. /],
    ["revoked", TOKEN, HASH, not("revoked"), /the token 0123abcd is no longer valid: it was revoked\. /],
    ["made by a newer version", TOKEN, HASH, not("not_understood"), /0123abcd can't be understood: a newer/],
    [
      "its session has ended",
      TOKEN,
      HASH,
      not("session_ended"),
      /the session that it was made for has ended/,
    ],
  ];
  for (const [name, token, hash, standing, refused] of rows) {
    await t.step(name, () => {
      const judged = judgeToken(token, hash, () => standing);
      strictEqual(judged.ok, refused === null);
      if (judged.ok) {
        const { id, name } = TOKEN;
        deepStrictEqual(judged.caller, { kind: "token", id, name, scope: SCOPE, limits: LIMITS });
      } else match(judged.message, refused!);
    });
  }
});

Deno.test("judgeToken() looks at nothing for somebody who does not hold the token", () => {
  let looks = 0;
  const standing = () => (looks++, VALID);
  for (const token of [null, TOKEN]) strictEqual(judgeToken(token, "b".repeat(64), standing).ok, false);
  strictEqual(looks, 0);
});
