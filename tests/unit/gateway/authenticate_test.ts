/** A token is refused for what is known of it, and never for what can't be read just now. */

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { Authenticator } from "../../../gateway/authenticate.ts";
import { HttpError } from "../../../gateway/http_answers.ts";
import { MasterToken } from "../../../gateway/master_token.ts";
import { hashToken, newMasterToken, newScopedToken } from "../../../gateway/tokens.ts";
import { AppError } from "../../../lib/errors.ts";
import { storeError } from "../../../lib/store/errors.ts";

const SCOPED = newScopedToken().token;
const LOCKED = storeError("/db", new Error("database is locked"));
const TOO_MANY = new Error("Too many open files (os error 24)");

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof HttpError)) throw error;
  deepStrictEqual([error.status, error.error.code], [503, "transport"]);
  return true;
}

function authenticator(findToken: () => null, master = new MasterToken("/none/token")) {
  return new Authenticator({ findToken, idOf: () => null }, master, { now: () => 0 });
}

Deno.test("a registry that can't be read says nothing of a token", async () => {
  const busy = authenticator(() => {
    throw LOCKED;
  });
  const scope = {} as never;
  await rejects(busy.authenticate(`Bearer ${SCOPED}`), isUnavailable);
  strictEqual(busy.isStillValid({ kind: "token", id: "t1", name: null, scope, limits: [] }), "unknown");

  const odd = authenticator(() => {
    throw new AppError("failure", "Cannot read token");
  });
  strictEqual((await odd.authenticate(`Bearer ${SCOPED}`)).ok, false);
  strictEqual(odd.isStillValid({ kind: "token", id: "t1", name: null, scope, limits: [] }), false);
});

Deno.test("a master token that can't be read now is read the next time", async () => {
  const folder = await Deno.makeTempDir();
  const [path, token] = [join(folder, "token"), newMasterToken()];
  await Deno.writeTextFile(path, token);
  let fails = true;
  const master = new MasterToken(path, (file) => fails ? Promise.reject(TOO_MANY) : Deno.readTextFile(file));
  const own = authenticator(() => null, master);
  await rejects(own.authenticate(`Bearer ${token}`), isUnavailable);
  fails = false;
  strictEqual((await own.authenticate(`Bearer ${token}`)).ok, true);
  strictEqual(await master.hash(), await hashToken(token));
  await Deno.remove(folder, { recursive: true });
  strictEqual((await own.authenticate(`Bearer ${token}`)).ok, false);
});
