/** A token is never refused for what can't be read just now: then nobody knows, and its holder asks again. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Authenticator, type Caller } from "../../gateway/authenticate.ts";
import { HttpError } from "../../gateway/http_answers.ts";
import { MasterToken } from "../../gateway/master_token.ts";
import type { Scope } from "../../gateway/scope.ts";
import { hashToken, newMasterToken, newScopedToken } from "../../gateway/tokens.ts";
import { NOON, StoreHome } from "../support/store_home.ts";

const TOO_MANY = new Error("Too many open files (os error 24)");
const SCOPE: Scope = {
  roots: [{ named: "/w", real: "/w" }],
  mode: "yolo",
  agents: ["claude"],
  verbs: null,
  maxSessions: 3,
  boundTo: null,
};
const CLOCK = { now: () => Date.parse(NOON) };

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof HttpError)) throw error;
  deepStrictEqual([error.status, error.error.code], [503, "transport"]);
  return true;
}

Deno.test("a registry that can't be read says nothing of a token; a row that can't be understood is none", async () => {
  using home = new StoreHome();
  const store = home.open();
  const { id, token } = newScopedToken();
  store.addToken({
    id,
    hash: await hashToken(token),
    name: null,
    scope: SCOPE,
    createdAt: NOON,
    expiresAt: null,
    revokedAt: null,
  });
  const own = new Authenticator(store, new MasterToken(`${home.home}/none`), CLOCK);
  const limits = [{ id, maxSessions: 3 }];
  const caller: Caller = { kind: "token", id, name: null, scope: SCOPE, limits };
  deepStrictEqual(await own.authenticate(`Bearer ${token}`), { ok: true, caller });
  strictEqual(own.isStillValid(caller), true);

  const database = new DatabaseSync(home.paths.database);
  // As a newer version might keep it.
  database.exec(
    `CREATE TABLE newer AS SELECT id, hash, name, scope, 7 AS created_at, expires_at, revoked_at FROM tokens;
    DROP TABLE tokens; ALTER TABLE newer RENAME TO tokens`,
  );
  strictEqual((await own.authenticate(`Bearer ${token}`)).ok, false);
  strictEqual(own.isStillValid(caller), false);

  database.exec("DROP TABLE tokens");
  database.close();
  await rejects(own.authenticate(`Bearer ${token}`), isUnavailable);
  strictEqual(own.isStillValid(caller), "unknown");
});

Deno.test("a master token that can't be read now is read the next time", async () => {
  using home = new StoreHome();
  const [path, token] = [`${home.home}/token`, newMasterToken()];
  await Deno.writeTextFile(path, token);
  let fails = true;
  const master = new MasterToken(path, (file) => fails ? Promise.reject(TOO_MANY) : Deno.readTextFile(file));
  const own = new Authenticator(home.open(), master, CLOCK);
  await rejects(own.authenticate(`Bearer ${token}`), isUnavailable);
  fails = false;
  strictEqual((await own.authenticate(`Bearer ${token}`)).ok, true);
  strictEqual(await master.hash(), await hashToken(token));
  await Deno.remove(path);
  strictEqual((await own.authenticate(`Bearer ${token}`)).ok, false);
});
